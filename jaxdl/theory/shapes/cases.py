"""Random convolutions and poolings, and their output sizes by XLA."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Pair = tuple[int, int]
NONE_LEFT = 0.25  # share of the cases whose filter is larger than the padded input
# one pooling in so many is compiled too: XLA takes 20 ms for each, and 1 ms for a convolution
POOLS_RUN = 20
PROGRAM = 250  # convolutions that are compiled as one program
# Only shapes are of interest, so XLA is to compile quickly.
QUICKLY: dict[str, str | bool] = dict(
    xla_backend_optimization_level='0', xla_gpu_autotune_level='0'
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A convolution, each number (vertical, horizontal); its pooling has F = the first side."""

    size: Pair
    window: Pair
    stride: Pair
    padding: Pair
    dilation: Pair


@dataclasses.dataclass(frozen=True)
class OutputSizes:
    """Output sizes of all cases, [case] each.

    Args:
      convolutions: rows and columns, 0 for an empty output.
      poolings: rows and columns, 0 for an empty output; traced only.
      same: rows and columns, 0 for an empty output.
      poolings_run: sizes of those that were run.
      same_pads: padding of JAX for `SAME`, ((top, bottom), (left, right)).
    """

    convolutions: Sequence[Pair]
    poolings: Sequence[Pair]
    poolings_run: Mapping[int, Pair]
    same: Sequence[Pair]
    same_pads: Sequence[tuple[Pair, ...]]


def draw(seed: int, count: int) -> list[Case]:
    """Random cases; in a quarter of them the filter does not fit along one axis or both."""
    random = np.random.default_rng([seed, *b'conv_arithmetic'])
    return [
        _case(random, int(random.integers(1, 4)) if random.random() < NONE_LEFT else 0)
        for _ in range(count)
    ]


def _case(random: np.random.Generator, too_large: int) -> Case:
    """One case; `too_large`: 1 for the vertical axis, 2 for the horizontal, 3 for both, else 0."""
    size, stride = random.integers(1, 33, 2), random.integers(1, 6, 2)
    padding, dilation = random.integers(0, 4, 2), np.maximum(random.integers(-2, 4, 2), 1)
    fits = (size + 2 * padding - 1) // dilation + 1
    window = random.integers(1, np.minimum(fits, 7), endpoint=True)
    larger = fits + random.integers(1, 4, 2)
    window = np.where([too_large & 1, too_large & 2], larger, window)
    pairs = (tuple(map(int, pair)) for pair in (size, window, stride, padding, dilation))
    return Case(*pairs)  # type: ignore[arg-type]


def observe(cases: Sequence[Case], seed: int) -> OutputSizes:
    """Output sizes by XLA; 0 for empty outputs, which XLA accepts."""
    every = range(seed % POOLS_RUN, len(cases), POOLS_RUN)
    pooled = run_poolings([cases[i] for i in every])
    return OutputSizes(
        convolutions=run_convolutions(cases),
        poolings=[
            _sides(jax.eval_shape(functools.partial(_pool, case=case), _map(case)))
            for case in cases
        ],
        poolings_run=dict(zip(every, pooled, strict=True)),
        same=run_convolutions(cases, 'SAME'),
        same_pads=[_same_pads(case) for case in cases],
    )


def run_convolutions(cases: Sequence[Case], padding: str | None = None) -> list[Pair]:
    """Rows and columns of each convolution, compiled and run.

    Args:
      padding: `SAME` in place of the case's own padding.
    """
    sizes = []
    for start in range(0, len(cases), PROGRAM):
        part = cases[start : start + PROGRAM]
        inputs = [
            (np.ones((1, *case.size, 1), np.float32), np.ones((*case.window, 1, 1), np.float32))
            for case in part
        ]
        sizes += _run(
            lambda inputs, part=part: [
                _conv(x, w, c, padding) for (x, w), c in zip(inputs, part, strict=True)
            ],
            inputs,
        )
    return sizes


def run_poolings(cases: Sequence[Case]) -> list[Pair]:
    """Rows and columns of each max pooling, compiled and run."""
    inputs = [np.ones((1, *case.size, 1), np.float32) for case in cases]
    return _run(lambda inputs: [_pool(i, c) for i, c in zip(inputs, cases, strict=True)], inputs)


def _run(program: Callable[[list], list[jax.Array]], inputs: list) -> list[Pair]:
    return [
        _sides(output)
        for output in jax.jit(program).lower(inputs).compile(compiler_options=QUICKLY)(inputs)
    ]


def _conv(images: jax.Array, kernel: jax.Array, case: Case, padding: str | None) -> jax.Array:
    pads = padding or [(p, p) for p in case.padding]
    return lax.conv_general_dilated(
        images,
        kernel,
        case.stride,
        pads,
        rhs_dilation=case.dilation,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


def _pool(images: jax.Array, case: Case) -> jax.Array:
    side = case.window[0]
    return lax.reduce_window(
        images, -jnp.inf, lax.max, (1, side, side, 1), (1, *case.stride, 1), 'VALID'
    )


def _same_pads(case: Case) -> tuple[Pair, ...]:
    spans = [d * (m - 1) + 1 for m, d in zip(case.window, case.dilation, strict=True)]
    return tuple(
        (int(low), int(high))
        for low, high in lax.padtype_to_pads(case.size, spans, case.stride, 'SAME')
    )


def _map(case: Case) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *case.size, 1), 'float32')


def _sides(images: jax.Array | jax.ShapeDtypeStruct) -> Pair:
    return images.shape[1], images.shape[2]
