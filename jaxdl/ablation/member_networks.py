"""Networks of the measured members: kept in the workdir, or trained again one at a time."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from jaxdl import workdir
from jaxdl.ablation import planning
from jaxdl.ablation.planning import Condition
from jaxdl.config.experiment import Ablation, option_variant
from jaxdl.config.load import load_config
from jaxdl.data.on_device import place_on_device
from jaxdl.data.preprocess import normalize, to_float
from jaxdl.ensemble import Member
from jaxdl.ensemble.run import Chunk, Result, Workload, train_members
from jaxdl.errors import InputError, unknown
from jaxdl.runtime import distributed, sharding
from jaxdl.statistics import protocol
from jaxdl.train import losses, train_step
from jaxdl.train.variant import Variant
from jaxdl.workdir import records, tables
from jaxdl.workdir.networks import FOLDER, INDEX
from jaxdl.workdir.records import DataPlan

PREFIX = 'network/'  # of the arrays of a network in the result of a member


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A measured network of an ablation after its last epoch.

    Attributes:
      module: the network: float [batch, height, width, channel], normalised -> logits.
      variables: its parameters and batch statistics, averaged where the option has `ema`.
      config: option, seed, condition, all settings (`variant`), class names, name of the data
        set, `image_shape`, and `fit` of image files.
      mean: [channel], subtracted from images in the unit of `to_float`.
      std: [channel], divides the images.
    """

    module: nn.Module
    variables: dict[str, Any]
    config: dict[str, Any]
    mean: np.ndarray
    std: np.ndarray
    variant: Variant

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Outputs of the network for images as the data set has them: probabilities by default.

        Args:
          images: uint8, or float in [0, 1], [batch, height, width, channel].

        Returns:
          float [batch, class].
        """
        return np.asarray(self.activate(self.logits(jnp.asarray(images))))

    def logits(self, images: jax.Array) -> jax.Array:
        """Logits [batch, class] of images as the data set has them."""
        inputs = normalize(to_float(images), self.mean, self.std)
        return train_step.apply(self.module, self.variant, self.variables, inputs, train=False)

    def activate(self, logits: jax.Array) -> jax.Array:
        """Outputs of the network for logits: probabilities by default."""
        return losses.find(self.variant.loss).activation(logits)


def load_member(
    workdir: str | pathlib.Path, option: str, seed: int, condition: str = ''
) -> TrainedNetwork:
    """Load a measured network of a finished ablation that ran with `keep_networks=true`.

    Args:
      workdir: of the ablation.
      option: name of the option.
      seed: evaluation seed, such as 1000.
      condition: name of the condition; empty for a study with one.

    Returns:
      The network.

    Raises:
      InputError: the run is not finished or kept no networks, or there is no such member.
    """
    folder = pathlib.Path(workdir)
    ablation = _read_ablation(folder)
    if not ablation.keep_networks:
        raise InputError(
            f'{folder} has no networks: run the study with --set=keep_networks=true, or use '
            'jaxdl.train_member, which trains one network again'
        )
    name = _check_member(ablation, option, seed, condition)
    rows = tables.read_table(folder / FOLDER / 'index.csv', INDEX, further=float)
    row = next(r for r in rows if (r['condition'], r['option'], r['seed']) == (name, option, seed))
    arrays = _read(folder / FOLDER / row['file'])
    study = planning.with_condition(ablation, name)
    setting = {
        field: value
        for field, value in row.items()
        if (field == 'learning_rate' or field not in INDEX) and value is not None
    }
    variant = dataclasses.replace(option_variant(study, option), **setting)
    data = _read_plan(folder).merged().data[name]
    module = train_step.module_of(variant, len(data.classes))
    variables = train_step.variables_of_arrays(module, data.image_shape, arrays)
    moments = arrays['mean'], arrays['std']
    return _network(variables, variant, (option, seed, name), data, *moments)


def train_member(
    workdir: str | pathlib.Path, option: str, seed: int, condition: str = ''
) -> TrainedNetwork:
    """Train a measured network of a finished ablation again, alone.

    The chosen hyperparameters, the data and the split are those of the run. The result equals the
    measured network up to rounding.

    Args:
      workdir: of the ablation.
      option: name of the option.
      seed: seed of the training; other seeds than those of the study are allowed.
      condition: name of the condition; empty for a study with one.

    Returns:
      The network.

    Raises:
      InputError: the run is not finished, its data set has changed, or there is no such option.
    """
    folder = pathlib.Path(workdir)
    ablation = _read_ablation(folder)
    name = _check_member(ablation, option, None, condition)
    plan = planning.resume_plan(ablation, _read_plan(folder))
    part = next(each for each in plan.conditions if each.name == name)
    measured = next(
        row
        for row in tables.read_results(folder / 'results.csv')
        if (row['condition'], row['phase'], row['option']) == (name, 'measure', option)
    )
    setting = {
        field: measured[field]
        for field in tables.hyperparameters(measured)
        if measured[field] is not None
    }
    variant = dataclasses.replace(option_variant(part.study, option), **setting)
    split = variant.split_offset + seed * part.study.data.resample_split
    if split not in part.splits:
        raise InputError(
            f'seed {seed}: every seed has a split of its own, and the study has none for this one'
        )
    member = Member(option, seed, variant, split)
    data = place_on_device(part.dataset, [part.splits[split]])
    classes = part.dataset.class_names
    workload = Workload(data, len(classes), part.study.epochs, (split,))
    (trained,), _ = train_members([member], workload)
    variables = train_step.select_variables(trained.state, variant.ema)
    moments = np.asarray(data.mean[0]), np.asarray(data.std[0])
    facts = plan.record.merged().data[name]
    return _network(variables, variant, (option, seed, name), facts, *moments)


def chunk_arrays(chunk: Chunk) -> Result:
    """Variables and moments of the networks of a chunk, in the process that writes them.

    Args:
      chunk: after its last epoch.

    Returns:
      `network/PATH` -> array [row, column, ...].
    """
    states = sharding.gather(chunk.training.states)
    if not distributed.is_first():
        return {}
    variables = jax.vmap(jax.vmap(lambda s, v: train_step.select_variables(s, v.ema)))(
        states, chunk.variants
    )
    arrays: dict[str, Any] = dict(traverse_util.flatten_dict(variables, sep='/'))
    for name in ('mean', 'std'):
        moments = np.asarray(getattr(chunk.data, name))[:, None]
        arrays[name] = np.broadcast_to(moments, (*chunk.indices.shape, moments.shape[-1]))
    return {f'{PREFIX}{name}': np.asarray(array) for name, array in arrays.items()}


def write(
    folder: pathlib.Path,
    tested: Sequence[tuple[Condition, Member, Result]],
    columns: Sequence[str] = (),
) -> None:
    """Write the networks of all measured members to artifacts/networks/.

    Args:
      folder: workdir of the run.
      tested: condition, member and result of each.
      columns: further hyperparameters, which follow `file` in index.csv.
    """
    rows = []
    for number, (condition, member, result) in enumerate(tested):
        arrays = {
            name.removeprefix(PREFIX): np.asarray(values)
            for name, values in result.items()
            if name.startswith(PREFIX)
        }
        file = f'{number}.npz'
        workdir.write_arrays(folder / FOLDER / file, arrays)
        rate = float(member.variant.learning_rate)
        further = {column: getattr(member.variant, column, None) for column in columns}
        rows.append(
            dict(
                condition=condition.name,
                option=member.option,
                seed=member.seed,
                learning_rate=rate,
                file=file,
                **further,
            )
        )
    index = INDEX | dict.fromkeys(columns, float)
    tables.write_table(folder / FOLDER / 'index.csv', index, rows)


def _read_ablation(folder: pathlib.Path) -> Ablation:
    ablation = load_config(folder / 'config.json')
    if not isinstance(ablation, Ablation):
        raise InputError(f'{folder} is not the workdir of an ablation: give one of an ablation')
    if ablation.base:
        raise InputError(
            f'{folder} is an ablation of a fine-tuning, which keeps no networks: '
            'run the option as an experiment finetune'
        )
    if not workdir.is_finished(folder):
        raise InputError(f'{folder}: the run is not finished; the same command resumes it')
    return ablation


def _read_plan(folder: pathlib.Path) -> records.Plan:
    """The plan of the finished run in a workdir, without an unfinished extension."""
    config = workdir.read_json(folder / 'config.json')
    return records.read(folder / 'plan.json', records.Plan).of(config)


def _check_member(ablation: Ablation, option: str, seed: int | None, condition: str) -> str:
    """The name of the condition in memory.

    Raises:
      InputError: there is no such condition, option or seed.
    """
    name = '' if condition == tables.ALL else condition
    if name not in ablation.conditions:
        raise unknown('condition', condition, [c or tables.ALL for c in ablation.conditions])
    if option not in ablation.options:
        raise unknown('option', option, ablation.options)
    seeds = protocol.seed_numbers(planning.with_condition(ablation, name).seeds)
    if seed is not None and seed not in seeds:
        numbers = protocol.seed_words(seeds)
        raise InputError(f'seed {seed}: the evaluation seeds of the study are {numbers}')
    return name


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        return workdir.read_arrays(path)
    except FileNotFoundError:
        raise InputError(f'{path} is missing: copy the whole workdir') from None


def _network(
    variables: Any,
    variant: Variant,
    member: tuple[str, int, str],
    data: DataPlan,
    mean: np.ndarray,
    std: np.ndarray,
) -> TrainedNetwork:
    option, seed, condition = member
    config = dict(option=option, seed=seed, condition=condition or tables.ALL)
    config |= dict(variant=dataclasses.asdict(variant), class_names=list(data.classes))
    config |= dict(image_shape=list(data.image_shape), fit=data.fit, data=data.name)
    module = train_step.module_of(variant, len(data.classes))
    arrays = jax.tree.map(jnp.asarray, dict(variables))
    return TrainedNetwork(module, arrays, config, mean, std, variant)
