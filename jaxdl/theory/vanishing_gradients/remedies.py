"""Growth of gradients under the usual remedies, and training with other gains."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from jaxdl import ensemble
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import place_on_device
from jaxdl.ensemble import Member, TrainedMember, Workload
from jaxdl.report.page import words
from jaxdl.report.page.blocks import Table
from jaxdl.statistics import protocol
from jaxdl.theory.answer import Note
from jaxdl.theory.vanishing_gradients import formulas as theory
from jaxdl.theory.vanishing_gradients import networks
from jaxdl.train import variant
from jaxdl.train.variant import Variant
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim
from jaxdl.workdir.records import GroupRecord

DEPTH, HE = 64, math.sqrt(2)
SEEDS, BATCH, LARGE_BATCH = 4, 8, 128  # examples of a row below; what batch norm's prediction needs
TOLERANCE = 0.03
SCALES = (0.5, 0.7, 1.0, 2.0, 4.0)  # the gains of networks that train
RATES = (0.001, 0.003, 0.01, 0.03)
TRAINED_DEPTH = 20


@dataclasses.dataclass(frozen=True)
class Remedy:
    """A kind of layer, and the predicted growth rate of its gradients."""

    layer: networks.Layer
    predicted: float
    batch: int = BATCH


def _finite(activation: str, gain: float) -> float:
    return float(theory.layer_rates(activation, gain, DEPTH)[DEPTH // 4 :].mean())


REMEDIES: Mapping[str, Callable[[], Remedy]] = {
    'sigmoid, gain 1 (Glorot)': lambda: Remedy(
        networks.plain('sigmoid', 1.0), _finite('sigmoid', 1.0)
    ),
    'tanh, gain 1 (Glorot)': lambda: Remedy(networks.plain('tanh', 1.0), _finite('tanh', 1.0)),
    'ReLU, gain 1 (Glorot)': lambda: Remedy(networks.plain('relu', 1.0), _finite('relu', 1.0)),
    'ReLU, gain √2 (He)': lambda: Remedy(networks.plain('relu', HE), _finite('relu', HE)),
    'ReLU, gain 2': lambda: Remedy(networks.plain('relu', 2.0), _finite('relu', 2.0)),
    'ReLU, gain 2, layer norm': lambda: Remedy(
        networks.normalise('relu', 2.0, -1), theory.normalised_rate('relu')
    ),
    'ReLU, gain 2, batch norm': lambda: Remedy(
        networks.normalise('relu', 2.0, 0), theory.batch_norm_rate(), LARGE_BATCH
    ),
    'ReLU, gain 1, skip connections': lambda: Remedy(
        networks.skip(1.0, 1.0), theory.skip_rate(1.0)
    ),
    'ReLU, gain √2, skip connections': lambda: Remedy(networks.skip(HE, 1.0), theory.skip_rate(HE)),
    'ReLU, gain √2, skip connections, branches / 8': lambda: Remedy(
        networks.skip(HE, 1 / 8), theory.skip_rate(HE, 1 / 8)
    ),
}


def measure_norms(
    width: int, seeds: int = SEEDS, names: Sequence[str] = tuple(REMEDIES)
) -> dict[str, np.ndarray]:
    """Log gradient norms of each remedy, [seed, layer]."""
    remedies = {name: REMEDIES[name]() for name in names}

    @jax.jit
    def norms(kernels: jax.Array, images: jax.Array, direction: jax.Array) -> dict[str, jax.Array]:
        return {
            name: networks.log_norms(
                remedy.layer, kernels, images[: remedy.batch], direction[: remedy.batch]
            )
            for name, remedy in remedies.items()
        }

    by_seed = [
        norms(*networks.draw(seed, 'remedies', DEPTH, width, LARGE_BATCH)) for seed in range(seeds)
    ]
    return {
        name: np.stack([np.asarray(norms_of_seed[name]) for norms_of_seed in by_seed])
        for name in names
    }


def remedy_claims(
    norms: Mapping[str, np.ndarray], width: int, predicted: Mapping[str, float]
) -> list[Claim]:
    """Claims: the rate of each remedy is as predicted."""
    seeds = len(next(iter(norms.values())))
    where = (
        f'growth of the log gradient norm per layer, backward ({DEPTH} layers of {width} units, '
        f'{seeds} seeds)'
    )
    return [
        claims.close(
            f'{name}: {where}', predicted[name], float(networks.rate(log_norms).mean()), TOLERANCE
        )
        for name, log_norms in norms.items()
    ]


def predictions() -> dict[str, float]:
    """Predicted rate of each remedy, to the precision of the integrals."""
    return {name: round(make().predicted, 12) for name, make in REMEDIES.items()}


def table(norms: Mapping[str, np.ndarray], predicted: Mapping[str, float]) -> Table:
    """Predicted and measured rate of each remedy, and the gradient ratio over 64 layers."""
    rows = [
        [
            name,
            signed(predicted[name]),
            signed(float(networks.rate(log_norms).mean())),
            power(_ratio(log_norms)),
        ]
        for name, log_norms in norms.items()
    ]
    columns = ('Layers', 'Predicted rate', 'Measured rate', 'First / last layer')
    caption = f'Growth of the log gradient norm per layer at initialisation, {DEPTH} layers'
    return Table(caption, columns, rows, 'lrrr', name='remedies')


def signed(value: float) -> str:
    """Rate with three decimals and its sign, `+0.347`; no sign if it rounds to 0."""
    text = f'{abs(value):.3f}'
    return text if not float(text) else f'{"+" if value > 0 else words.MINUS}{text}'


def power(log: float) -> str:
    """e to the power of `log`, as `1.64` or as a number times a power of ten."""
    digits, exponent = f'{math.exp(log):.1e}'.split('e')
    if -2 <= int(exponent) <= 2:
        return words.significant(math.exp(log))
    return f'{digits}{words.SPACE}{words.TIMES}{words.SPACE}{words.power(int(exponent))}'


def _ratio(norms: np.ndarray) -> float:
    return float(np.mean(norms[:, 0] - norms[:, -1]))


def train(seeds: int, epochs: int, note: Note) -> tuple[dict[float, float], list[GroupRecord]]:
    """Final training accuracy by gain, each at its best learning rate, mean over seeds."""
    base = Variant(
        model='mlp',
        norm='none',
        activation='tanh',
        depth=TRAINED_DEPTH,
        width=32,
        init='lecun_normal',
    )
    members = [
        Member(
            f'gain {scale:g}',
            seed,
            variant.replace(base, dict(init_scale=scale, learning_rate=rate)),
        )
        for scale in SCALES
        for rate in RATES
        for seed in range(seeds)
    ]
    data = Data(dataset='digits')
    dataset = load(data)
    resident_data = place_on_device(dataset, [split(dataset, data)])
    workload = Workload(resident_data, len(dataset.class_names), epochs)
    trained, groups = ensemble.train_members(members, workload, note=note)
    rates = protocol.best_learning_rates(
        (one.member.option, one.member.variant.learning_rate, one.final('train_accuracy'))
        for one in trained
    )
    best = functools.partial(_best, trained, rates)
    return {scale: best(scale) for scale in SCALES}, groups


def _best(trained: Sequence[TrainedMember], rates: Mapping[str, float], scale: float) -> float:
    option = f'gain {scale:g}'
    chosen = [
        t
        for t in trained
        if t.member.option == option and t.member.variant.learning_rate == rates[option]
    ]
    return float(np.mean([t.history['train_accuracy'][-1] for t in chosen]))


def training_claims(accuracy: Mapping[float, float], seeds: int, epochs: int) -> list[Claim]:
    """Claims: gain 1 trains better than gains 0.5 and 4."""
    where = (
        f'tanh MLP of {TRAINED_DEPTH} layers on digits, {epochs} epochs, best of {len(RATES)} '
        'learning rates'
    )
    return [
        claims.at_least(
            f'{where}: training accuracy at gain 1 minus that at gain {scale:g}, mean of {seeds} '
            'seeds',
            0.3,
            accuracy[1.0] - accuracy[scale],
        )
        for scale in (0.5, 4.0)
    ]


def values(accuracy: Mapping[float, float], seeds: int) -> dict[str, str]:
    """Numbers of the text on training."""
    names = ('gain_half', 'gain_low', 'gain_one', 'gain_two', 'gain_four')
    return dict(zip(names, map(words.percent, accuracy.values()), strict=True)) | dict(
        trained_depth=str(TRAINED_DEPTH),
        trained_rates=str(len(RATES)),
        training_seeds=words.count(seeds, 'seed'),
    )
