"""How a demonstration trains networks: by the engine of the ablations.

All members of a program at once.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import ensemble
from jaxdl.ablation import planning
from jaxdl.data.on_device import Resident
from jaxdl.ensemble import Member, Programs, Training, chunks
from jaxdl.statistics import protocol
from jaxdl.train import train_step
from jaxdl.train.train_step import Batch, TrainState
from jaxdl.train.variant import Variant, program_key

Watch = Callable[[nn.Module, TrainState, Batch, Variant], Mapping[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A member after its last epoch.

    Args:
      history: `train_loss`, `train_accuracy`, `val_loss` and `val_accuracy`, float64 [epoch].
      watched: what `watch` gave, [1 + epoch, ...]: before the first epoch and after each.
      start: its state before the first step, of NumPy arrays.
      state: its state in the end.
    """

    member: Member
    history: Mapping[str, np.ndarray]
    watched: Mapping[str, np.ndarray]
    start: TrainState
    state: TrainState


def train(
    members: Sequence[Member],
    data: Resident,
    num_classes: int,
    epochs: int,
    *,
    watch: Watch | None = None,
    images: int = 256,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[list[Trained], list[dict[str, Any]]]:
    """Trains `members` in the order given, and the entries of their groups for run.json.

    Args:
      watch: asked of every member on the first `images` training images; (module, state, batch,
        variant) -> arrays.
    """
    sharing: dict[Any, list[int]] = {}
    for index, member in enumerate(members):
        sharing.setdefault(program_key(member.variant, ()), []).append(index)
    found: dict[int, Trained] = {}
    entries = []
    for number, indices in enumerate(sharing.values(), 1):
        own = [members[i] for i in indices]
        options = list(dict.fromkeys(member.option for member in own))
        note(
            f'training {len(own)} networks ({", ".join(options[:3])}{", ..." if len(options) > 3 else ""}), '
            f'program {number} of {len(sharing)}'
        )
        trained, entry = _group(own, data, num_classes, epochs, watch, images)
        found |= dict(zip(indices, trained, strict=True))
        entries.append(dict(condition='', phase='measure', options=options, conv='') | entry)
    return [found[i] for i in range(len(members))], entries


def best_rates(trained: Sequence[Trained], metric: str = 'val_accuracy') -> dict[str, float]:
    """Of every option the learning rate with the best mean of a metric (accuracy.

    Or minus a loss) in the end.
    """
    values: dict[str, dict[float, list[float]]] = {}
    for one in trained:
        last = float(one.history[metric][-1])
        value = -last if metric.endswith('loss') else last
        finite = np.isfinite(one.history['train_loss']).all() and np.isfinite(value)
        own = values.setdefault(one.member.option, {})
        own.setdefault(one.member.variant.learning_rate, []).append(value if finite else -np.inf)
    return {
        o: protocol.best_rate({r: float(np.mean(v)) for r, v in rates.items()})
        for o, rates in values.items()
    }


def batch_of(data: Resident, chosen: jax.Array | np.ndarray) -> Batch:
    """These images, int [batch], as the networks get them."""
    mask = jnp.ones(len(chosen), bool)
    return Batch(data.images[chosen], data.labels[chosen], mask, data.mean[0], data.std[0])


def _group(
    members: Sequence[Member],
    data: Resident,
    num_classes: int,
    epochs: int,
    watch: Watch | None,
    images: int,
) -> tuple[list[Trained], dict[str, Any]]:
    variant, devices = members[0].variant, jax.local_device_count()
    size = planning.member_bytes(variant, data.images.shape[1:], num_classes, 'auto')
    streams = [member.stream for member in members]
    layout, sides = chunks.layout(
        streams, devices, chunks.at_once(size), chunks.cores_of_a_device()
    )
    trained: dict[int, Trained] = {}
    programs, seconds = None, dict(train=0.0, evaluate=0.0)
    for chunk in chunks.cut(layout, sides, devices):
        training = ensemble.start(chunk, members, data, num_classes, epochs)
        variants, row_keys = ensemble.inputs(chunk, members)
        programs = programs or ensemble.compile_programs(
            variants, row_keys, training.states, data, num_classes, ensemble.noise_of(members)
        )
        begun, watched = (
            training.states,
            _run(training, programs, variants, row_keys, data, num_classes, watch, images),
        )
        ended = jax.tree.map(np.asarray, training.states)
        for place, index in np.ndenumerate(chunk):
            pick = functools.partial(
                jax.tree.map, lambda leaf, place=place: np.asarray(leaf)[place]
            )
            history = {name: values[:, *place] for name, values in training.history.items()}
            seen = {name: values[:, *place] for name, values in watched.items()}
            trained[int(index)] = Trained(members[index], history, seen, pick(begun), pick(ended))
        seconds = {name: seconds[name] + training.seconds[name] for name in seconds}
    assert programs is not None
    entry = dict(
        members=len(members),
        traces=programs.traces,
        steps=epochs * ensemble.steps_per_epoch(data, variant.batch_size),
        batch_size=variant.batch_size,
        compile_seconds=round(programs.seconds, 3),
        **{f'{name}_seconds': round(value, 3) for name, value in seconds.items()},
    )
    return [trained[i] for i in range(len(members))], entry


def _run(
    training: Training,
    programs: Programs,
    variants: Variant,
    row_keys: ensemble.Keys,
    data: Resident,
    num_classes: int,
    watch: Watch | None,
    images: int,
) -> dict[str, np.ndarray]:
    """Trains a chunk to its end; what was watched, [1 + epoch, row, column, ...]."""
    seen: list[dict[str, np.ndarray]] = []
    batch = batch_of(data, data.train[0][:images])
    module = train_step.module_of(variants, num_classes)

    def look(training: Training) -> None:
        if watch:
            seen.append(
                jax.tree.map(
                    np.asarray, dict(_watched(watch, module, training.states, batch, variants))
                )
            )

    training.states = jax.tree.map(jnp.asarray, training.states)
    look(training)
    ensemble.train(training, programs, variants, row_keys, data, look)
    return {name: np.stack([each[name] for each in seen]) for name in seen[0]} if seen else {}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _watched(
    watch: Watch, module: nn.Module, states: TrainState, batch: Batch, variants: Variant
) -> Any:
    return jax.vmap(jax.vmap(lambda state, variant: dict(watch(module, state, batch, variant))))(
        states, variants
    )
