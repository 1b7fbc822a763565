"""Figures of sigmoid against ReLU: derivatives, curves, saturated and dead units."""

from collections.abc import Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.theory.activations import formulas as activations
from jaxdl.theory.activations.checks import LONGEST, Chains
from jaxdl.theory.activations.networks import COUNTED, DEPTH, Kind, Results

SIGMOID: plots.Line = dict(color=plots.BLUE, linestyle='-')
RELU: plots.Line = dict(color=plots.VERMILION, linestyle=(0, (4, 1.5)))
RANDOM: plots.Line = dict(color=plots.BLUE, linestyle=':', marker='.', markersize=5)
NETWORK: plots.Line = dict(
    color=plots.INK, linestyle='none', marker='D', markersize=3.5, mfc='white'
)
HEADROOM = 52  # over 100 %, for the legend
BOTH = dict(sigmoid=('sigmoid', SIGMOID), relu=('ReLU', RELU))
DEPTHS: Sequence[plots.Line] = (
    dict(color=plots.BLUE, linestyle='-', marker='o', markersize=4),
    dict(color=plots.VERMILION, linestyle=(0, (4, 1.5)), marker='s', markersize=3.5),
    dict(color=plots.INK, linestyle=':', marker='^', markersize=4.5),
    dict(color=plots.GREY, linestyle='-.', marker='D', markersize=3.5, mfc='white'),
)
DEAD: Sequence[plots.Line] = (
    dict(color=plots.VERMILION, linestyle=(0, (4, 1.5)), marker='s', markersize=4),
    dict(color=plots.INK, linestyle=':', marker='^', markersize=5),
    dict(color=plots.BLUE, linestyle='-', marker='o', markersize=4),
)


def slopes(chains: Chains, results: Results) -> FigureBlock:
    """Both functions, their derivatives, and products of derivatives against depth."""
    deepest = results.depths[-1]
    network = np.cumprod(results.recorded(Kind('sigmoid', deepest), 'slope')[:, 0], 1).mean(0)
    middle = np.exp(np.log(chains.sigmoid).mean(0))

    def plot(width: float) -> Figure:
        drawn, (function, slope, product) = _row(3, width)
        x = np.linspace(-6, 6, 601)
        for axes, (a, b) in (
            (function, (activations.sigmoid(x), activations.relu(x))),
            (slope, (activations.sigmoid_slope(x), activations.relu_slope(x))),
        ):
            axes.plot(x, a, **SIGMOID)
            axes.plot(x, b, **RELU)
            axes.set_xlabel('pre-activation z')
        function.set_ylim(-0.1, 2.1)
        slope.set_ylim(-0.05, 1.1)
        _products(product, middle, network)
        titles = ('activation', 'derivative', 'product of derivatives')
        for axes, title in zip((function, slope, product), titles, strict=True):
            axes.set_title(title)
        handles = [Line2D([], [], label=label, **style) for label, style in BOTH.values()]
        handles += [
            Line2D([], [], label='sigmoid, random chains', **RANDOM),
            Line2D([], [], label='sigmoid network', **NETWORK),
        ]
        plots.legend(drawn, handles, width)
        return drawn

    alt = (
        'The sigmoid rises from 0 to 1 and its derivative peaks at 0.25; ReLU is 0, then z, with '
        f'derivative 0, then 1. The product of {LONGEST} derivatives is at most '
        f'{activations.slope_bound(LONGEST):.1e} for the sigmoid, {middle[-1]:.1e} in random '
        f'chains, and 1 for active ReLU units; in a network of {deepest} layers {network[-1]:.1e}.'
    )
    caption = (
        'Left: the functions. Middle: their derivatives. Right: the product of the derivatives in '
        'a chain against its length, logarithmic. Solid: bound of the sigmoid; dashed: active '
        f'ReLU units; dotted: geometric mean of {len(chains.sigmoid):,} random sigmoid chains; '
        'diamonds: product of the mean derivatives of the layers of sigmoid networks of depth '
        f'{deepest} at initialisation, mean of {results.settings.seeds} seeds.'
    )
    return FigureBlock('slopes', plots.draw(plot), alt, caption)


def curves(results: Results) -> FigureBlock:
    """Training accuracy against epoch, one panel per depth."""

    def plot(width: float) -> Figure:
        names = [f'depth {depth}' for depth in results.depths]
        drawn, grid = plots.panels(names, width, 'epoch', 'training accuracy, %')
        for axes, depth in zip(grid, results.depths, strict=True):
            for name, (_, style) in BOTH.items():
                _band(axes, 100 * results.accuracy(Kind(name, depth)), 1, style)
            axes.axhline(100 * results.chance, color=plots.GREY, linewidth=1, linestyle=(0, (1, 2)))
        grid[0].set_ylim(0, 104)
        grid[0].xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
        handles = [Line2D([], [], label=label, **style) for label, style in BOTH.values()]
        chance = Line2D(
            [], [], label='chance', color=plots.GREY, linewidth=1, linestyle=(0, (1, 2))
        )
        plots.legend(drawn, [*handles, chance], width)
        return drawn

    ends = (
        f'{label} {100 * results.accuracy(Kind(name, depth))[:, -1].mean():.1f}{words.SPACE}% at '
        f'depth {depth}'
        for depth in results.depths
        for name, (label, _) in BOTH.items()
    )
    caption = (
        'Training accuracy of MLPs on digits, each activation at its best learning rate for that '
        f'depth: mean of {results.settings.seeds} seeds with 95{words.SPACE}% interval.'
    )
    return FigureBlock(
        'curves', plots.draw(plot), f'In the last epoch: {", ".join(ends)}.', caption
    )


def shares(results: Results) -> FigureBlock:
    """Saturated derivatives against epoch, and dead units against learning rate."""
    styles = [DEPTHS[i % len(DEPTHS)] for i in range(len(results.depths))]

    def plot(width: float) -> Figure:
        drawn, (saturated, dead) = _row(2, width)
        for depth, style in zip(results.depths, styles, strict=True):
            _band(
                saturated,
                100 * results.recorded(Kind('sigmoid', depth), 'saturated').mean(2),
                0,
                style,
            )
        saturated.set(xlabel='epoch', ylabel='% of derivatives', title='sigmoid: saturated')
        saturated.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
        for i, (kind, style) in enumerate(zip(COUNTED, DEAD, strict=True)):
            _dead(dead, results, kind, style, 1.12 ** (i - 1))
        plots.rate_axis(dead, results.rates)
        dead.set(xlabel='learning rate', ylabel='% of units', title=f'depth {DEPTH}: dead')
        for axes in (saturated, dead):
            axes.set_ylim(-4, 104 + HEADROOM)
            axes.yaxis.set_major_locator(ticker.FixedLocator(range(0, 101, 20)))
        named = [
            (f'depth {depth}', style) for depth, style in zip(results.depths, styles, strict=True)
        ]
        rows = (named, [(kind.name, style) for kind, style in zip(COUNTED, DEAD, strict=True)])
        for axes, row in zip((saturated, dead), rows, strict=True):
            axes.legend(
                handles=[Line2D([], [], label=label, **style) for label, style in row],
                loc='upper left',
            )
        return drawn

    dead_shares = (
        f'{kind.name} {100 * results.dead(kind, rate).mean():.1f}{words.SPACE}% at learning rate '
        f'{rate:g}'
        for kind in COUNTED
        for rate in results.rates
        if results.finite(kind, rate).any()
    )
    start, end = (
        [results.recorded(Kind('sigmoid', d), 'saturated')[:, e].mean() for d in results.depths]
        for e in (0, -1)
    )
    alt = 'Saturated: ' + ', '.join(
        f'{100 * a:.1f} to {100 * b:.1f}{words.SPACE}% at depth {d}'
        for d, a, b in zip(results.depths, start, end, strict=True)
    )
    caption = (
        'Saturated: share of (unit, image) pairs of sigmoid networks with a derivative below '
        f'{activations.saturated_slope():g}, at the best learning rate of each depth; mean of '
        f'{results.settings.seeds} seeds with 95{words.SPACE}% interval. Dead: units with '
        f'derivative 0 on all {results.images:,} training images after training; lines: mean of '
        'the finite networks, dots: single networks. A line ends where no network is finite.'
    )
    return FigureBlock(
        'shares', plots.draw(plot), f'{alt}. Dead: {", ".join(dead_shares)}.', caption
    )


def _row(count: int, width: float) -> tuple[Figure, list[Axes]]:
    """Panels in a row on a page, in a column on a phone."""
    side = width == plots.WIDE
    size = (width, 3.2) if side else (width, 2.4 * count + 0.6)
    drawn = Figure(figsize=size, layout='constrained')
    grid = drawn.subplots(*((1, count) if side else (count, 1)), squeeze=False)
    return drawn, list(grid.ravel())


def _products(axes: Axes, middle: np.ndarray, network: np.ndarray) -> None:
    depths = np.arange(1, LONGEST + 1)
    axes.plot(
        depths, [activations.slope_bound(depth) for depth in range(1, LONGEST + 1)], **SIGMOID
    )
    axes.plot(depths, np.ones(LONGEST), **RELU)
    axes.plot(depths, middle, **RANDOM)
    axes.plot(np.arange(1, len(network) + 1), network, **NETWORK)
    axes.set_yscale('log')
    axes.yaxis.set_major_locator(ticker.LogLocator(numticks=6))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(lambda v, _: words.power(np.log10(v)))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    axes.set_xlabel('units in the chain')


def _band(axes: Axes, values: np.ndarray, first: int, style: plots.Line) -> None:
    """Mean of `values` [seed, epoch] and its interval; the axis starts at epoch `first`."""
    mean, low, high = plots.band(values)
    epochs = np.arange(first, first + len(mean))
    axes.plot(epochs, mean, **style)
    axes.fill_between(
        epochs, np.clip(low, 0, 100), np.clip(high, 0, 100), color=style['color'], alpha=0.15, lw=0
    )


def _dead(axes: Axes, results: Results, kind: Kind, style: plots.Line, shift: float) -> None:
    rates = [rate for rate in results.rates if results.finite(kind, rate).any()]
    for rate in rates:
        shares = results.dead(kind, rate)
        axes.plot(
            [rate * shift] * len(shares),
            100 * shares,
            '.',
            color=style['color'],
            alpha=0.4,
            markersize=5,
            mew=0,
        )
    axes.plot(
        [rate * shift for rate in rates],
        [100 * results.dead(kind, rate).mean() for rate in rates],
        **style,
    )
