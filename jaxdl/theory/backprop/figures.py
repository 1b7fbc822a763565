"""Figures of the question `backprop`: the network, and the accuracy of each method."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from jaxdl.report.page import blocks, plots, words

NODES = {'x₁': (0, 1), 'x₂': (0, 0), 'h₁': (1, 1), 'h₂': (1, 0), 'y': (2, 0.5)}
# weight -> from, to, position of its name along the edge
EDGES = {
    'w¹₁₁': ('x₁', 'h₁', 0.5),
    'w¹₁₂': ('x₂', 'h₁', 0.27),
    'w¹₂₁': ('x₁', 'h₂', 0.27),
    'w¹₂₂': ('x₂', 'h₂', 0.5),
    'w²₁₁': ('h₁', 'y', 0.5),
    'w²₁₂': ('h₂', 'y', 0.5),
}
WAYS: Mapping[str, plots.Line] = {
    'float32': dict(color=plots.VERMILION, ls='--'),
    'float64': dict(color=plots.BLUE, ls='-'),
    'complex step': dict(color=plots.INK, ls=':'),
}
NAMED = {
    'float32': (1e-11, 0.1),
    'float64': (4e-10, 1e-5),
    'complex step': (1e-14, 4e-15),
}  # positions of the names
AGAINST: Mapping[str, plots.Line] = {
    'jax.grad': dict(color=plots.VERMILION, ls='--', marker='s'),
    'hand': dict(color=plots.BLUE, ls='-', marker='o'),
}


def network() -> blocks.Figure:
    """The network with the names of its six weights."""

    def plot(width: float) -> Figure:
        figure = Figure(
            (min(width, 6.4), 2.7 if width == plots.WIDE else 2.3), layout='constrained'
        )
        axes = figure.subplots()
        for name, (source, target, along) in EDGES.items():
            (x0, y0), (x1, y1) = NODES[source], NODES[target]
            axes.plot([x0, x1], [y0, y1], color=plots.GREY, lw=1.3, zorder=1)
            place = (x0 + along * (x1 - x0), y0 + along * (y1 - y0))
            axes.text(
                *place, name, ha='center', va='center', bbox=dict(fc='white', ec='none', pad=1.5)
            )
        for name, (x, y) in NODES.items():
            shape = 's' if name.startswith('x') else 'o'
            axes.plot(x, y, shape, ms=25, mfc=plots.SHADE, mec=plots.INK, mew=1.2)
            axes.text(x, y, name, ha='center', va='center', zorder=3)
        for x, text in ((0, 'input'), (1, 'tanh'), (2, 'sigmoid')):
            axes.text(x, -0.36, text, ha='center', va='center', color=plots.GREY)
        axes.set(xlim=(-0.25, 2.25), ylim=(-0.48, 1.25))
        axes.axis('off')
        return figure

    alt = (
        'Inputs x1 and x2 on the left, hidden units h1 and h2 in the middle, output y on the '
        'right. Weight w1_ij leads to hidden unit i from input j, weight w2_1j to the output from '
        'hidden unit j.'
    )
    caption = (
        'The network and its six weights. Upper index: layer. Lower indices: first the unit that '
        'the weight leads to, then the unit that it comes from.'
    )
    return blocks.Figure('network', plots.draw(plot), alt, caption)


def precision(
    steps: Sequence[float],
    curves: Mapping[str, np.ndarray],
    scales: Sequence[float],
    worst: Mapping[str, np.ndarray],
    bound: float,
) -> blocks.Figure:
    """Differences against their step; the hand rules and `jax.grad` against 50 digits."""

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure((width, 3.7 if wide else 6.6), layout='constrained')
        left, right = figure.subplots(1, 2) if wide else figure.subplots(2, 1)
        _differences(left, steps, curves)
        _digits(right, scales, worst, bound)
        return figure

    best = '; '.join(
        f'{k} {np.min(v):.1e} at step {steps[int(np.argmin(v))]:.1e}' for k, v in curves.items()
    )
    largest = '; '.join(
        f'{name} {", ".join(f"{errors.max():.1e}" for errors in worst[name])}' for name in AGAINST
    )
    alt = (
        f'Least median errors: {best}. Largest errors at scales {", ".join(map(str, scales))}: '
        f'{largest}.'
    )
    caption = (
        'Left (on a phone: top): median error of central differences and of the complex step '
        'against the step. Below the best step rounding dominates the differences. Right '
        '(bottom): largest error, compared with 50 digits, against the standard deviation of '
        'weights, inputs and targets. Errors are relative to the largest derivative of the point '
        '+ 1e-4.'
    )
    return blocks.Figure('precision', plots.draw(plot), alt, caption)


def _differences(axes: Axes, steps: Sequence[float], curves: Mapping[str, np.ndarray]) -> None:
    axes.set_title('Finite differences')
    for name, errors in curves.items():
        axes.plot(steps, errors, **WAYS[name])
        axes.annotate(name, NAMED[name], ha='left', va='center')
    axes.set(xscale='log', yscale='log', xlabel='step', ylabel='median error', ylim=(2e-17, 30))
    powers(axes.xaxis, range(-12, 1, 3))
    powers(axes.yaxis, range(-15, 1, 3))


def _digits(
    axes: Axes, scales: Sequence[float], worst: Mapping[str, np.ndarray], bound: float
) -> None:
    axes.set_title('Error against 50 digits')
    for name, line in AGAINST.items():
        axes.plot(
            scales, worst[name].max(1), label='hand rules' if name == 'hand' else name, **line
        )
    axes.axhline(bound, color=plots.GREY, lw=1.2, ls=':')
    axes.annotate(
        'the bound',
        (scales[-1], bound),
        (0, 3),
        textcoords='offset points',
        ha='right',
        va='bottom',
    )
    axes.set(
        xscale='log',
        yscale='log',
        xlabel='standard deviation of the points',
        ylabel='largest error',
    )
    axes.set_ylim(1e-16, 1e-6)
    powers(axes.yaxis, range(-15, -5, 3))
    axes.xaxis.set_major_locator(ticker.FixedLocator(list(scales)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
    axes.legend(loc='upper left')


def powers(axis: Axis, exponents: Sequence[int]) -> None:
    """Ticks at these powers of ten, on a logarithmic axis."""
    axis.set_major_locator(ticker.FixedLocator([10.0**exponent for exponent in exponents]))
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(lambda value, _: words.power(math.log10(value)))
