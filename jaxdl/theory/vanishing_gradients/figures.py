"""Figures of exploding and vanishing gradients: norms, rates, the edge."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.theory.vanishing_gradients import formulas as theory

NAMES = dict(sigmoid='sigmoid', tanh='tanh', relu='ReLU')
STYLES: Mapping[str, plots.Line] = {  # of a gain, by its place among those measured
    'half the critical gain': dict(color=plots.BLUE, marker='v'),
    'the critical gain': dict(color=plots.INK, marker='o', mfc='white'),
    'twice the critical gain': dict(color=plots.VERMILION, marker='^'),
}
DASHED: plots.Line = dict(color=plots.GREY, linestyle=(0, (4, 2)), linewidth=1.4)
MAP = LinearSegmentedColormap.from_list(
    'edge', ['#2166ac', '#92c5de', '#ffffff', '#f4a582', '#b2401a']
)
LEVELS = (-20, -16, -12, -8, -4, 4, 8, 12, 16, 20)  # powers of ten
TICKS = (0.5, 1, 2, 5, 10, 20)

Values = Mapping[str, np.ndarray]


def norms(gains: Values, log_norms: Values) -> FigureBlock:
    """Gradient norm by layer at half, once and twice the critical gain, [seed, gain, layer]."""
    chosen = {name: by_gain[[0, len(by_gain) // 2, -1]] for name, by_gain in gains.items()}
    logs = {
        name: log_norms[name].mean(0)[[0, len(gains[name]) // 2, -1]] / math.log(10)
        for name in gains
    }
    logs = {name: by_gain - by_gain[:, -1:] for name, by_gain in logs.items()}
    depth = next(iter(logs.values())).shape[-1]

    def plot(width: float) -> Figure:
        figure, grid = _row(width, 'layer', 'norm relative to the last layer')
        for axes, name in zip(grid, gains, strict=True):
            for log, gain, style in zip(logs[name], chosen[name], STYLES.values(), strict=True):
                rates = theory.layer_rates(name, gain, depth)[::-1]
                predicted = np.append(np.cumsum(rates)[::-1], 0) / math.log(10)
                axes.plot(np.arange(depth) + 1, predicted, **DASHED)
                axes.plot(
                    np.arange(depth) + 1, log, linestyle='none', markevery=7, markersize=5, **style
                )
            axes.set_title(
                f'{NAMES[name]}: gains {words.listing(f"{gain:.3g}" for gain in chosen[name])}'
            )
            axes.yaxis.set_major_formatter(lambda power, _: words.power(power))
            axes.yaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
        points = [
            Line2D([], [], linestyle='none', label=label, **style)
            for label, style in STYLES.items()
        ]
        _legend(figure, [*points, Line2D([], [], label='predicted', **DASHED)], width)
        return figure

    ratios = '; '.join(
        f'{NAMES[name]}, gain {words.listing(f"{g:.3g}" for g in chosen[name])}: '
        f'{words.listing(f"10 to the {log[0]:.1f}" for log in logs[name])}'
        for name in gains
    )
    caption = (
        'Norm of the gradient with respect to the bias of each layer, relative to the last layer: '
        f'mean of the logarithm over {len(log_norms["relu"])} random networks of {depth} layers. '
        'Backpropagation runs from right to left. Dashed: predicted from the activation and the '
        'gain.'
    )
    return FigureBlock(
        'norms', plots.draw(plot), f'Ratio of first to last gradient norm. {ratios}.', caption
    )


def rates(gains: Values, measured: Values, depth: int) -> FigureBlock:
    """Growth per layer against gain: `measured` [gain] and the curve of theory."""

    def plot(width: float) -> Figure:
        figure, grid = _row(width, 'gain', 'growth of the log norm per layer')
        for axes, name in zip(grid, gains, strict=True):
            dense = np.geomspace(gains[name][0], gains[name][-1], 101)
            edge = theory.critical_gain(name)
            axes.axhline(0, color=plots.GREY, linewidth=1)
            axes.axvline(edge, color=plots.GREY, linewidth=1, linestyle=':')
            axes.plot(dense, [theory.rate(name, gain) for gain in dense], **DASHED)
            axes.plot(gains[name], measured[name], 'o', color=plots.BLUE, markersize=5)
            axes.set_title(f'{NAMES[name]}: edge at {edge:.4g}')
            _gain_axis(axes, gains[name])
        points = Line2D([], [], color=plots.BLUE, marker='o', linestyle='none', label='measured')
        _legend(
            figure,
            [points, Line2D([], [], label=f'log(gain {words.TIMES} RMS derivative)', **DASHED)],
            width,
        )
        return figure

    listed = {
        name: [f'{r:+.3f} at {g:.3g}' for g, r in zip(gains[name], measured[name], strict=True)]
        for name in gains
    }
    growth = '; '.join(f'{NAMES[name]}: {", ".join(texts)}' for name, texts in listed.items())
    caption = (
        'Growth of the log gradient norm per layer, backward, in the last three quarters of '
        f'{depth} layers, against the gain. Below 0 gradients vanish, above 0 they explode. Dotted '
        'line: edge predicted by theory.'
    )
    return FigureBlock('rates', plots.draw(plot), f'Measured growth per layer. {growth}.', caption)


def edge(gains: np.ndarray, variances: Values) -> FigureBlock:
    """Variance of activations over inputs, [gain, layer], and the predicted edge."""

    def plot(width: float) -> Figure:
        figure, grid = _row(width, 'gain', 'layer')
        for axes, (name, by_gain) in zip(grid, variances.items(), strict=True):
            logs = np.log10(np.maximum(by_gain, 1e-300)).T
            layers = np.arange(len(logs)) + 1
            axes.contourf(gains, layers, logs, levels=LEVELS, cmap=MAP, extend='both')
            lines = axes.contour(
                gains,
                layers,
                logs,
                levels=[-20, -12, -4, 4, 12, 20],
                colors=plots.INK,
                linewidths=0.6,
                linestyles='solid',
            )
            axes.clabel(
                lines,
                levels=[power for power in lines.levels if abs(power) < 20],
                fmt=words.power,
                fontsize=8,
            )
            critical = theory.critical_gain(name)
            axes.axvline(critical, color=plots.INK, linewidth=2, linestyle=(0, (4, 2)))
            axes.set_title(f'{NAMES[name]}: edge at {critical:.4g}')
            axes.grid(visible=False)
            _gain_axis(axes, gains)
        return figure

    last_layers = '; '.join(
        f'{NAMES[name]}: '
        + ', '.join(
            f'10 to the {math.log10(by_gain[i, -1]):.0f} at gain {gains[i]:.2g}'
            for i in range(0, len(gains), 8)
        )
        for name, by_gain in variances.items()
    )
    caption = (
        'Variance of an activation over 16 inputs, mean over units, against gain and layer. '
        'Lines: equal variance. White: between 10⁻⁴ and 10⁴; blue: all inputs converge to one '
        'output; orange: activations explode. Dashed: edge predicted from the gradient.'
    )
    return FigureBlock(
        'edge', plots.draw(plot), f'Variance in the last layer. {last_layers}.', caption
    )


def _row(width: float, x: str, y: str) -> tuple[Figure, Sequence[Axes]]:
    """Three panels: in a row on a page, in a column on a phone."""
    rows, columns = (1, 3) if width == plots.WIDE else (3, 1)
    figure = Figure(figsize=(width, 3.2 if rows == 1 else 7.2), layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.supxlabel(x, fontsize=plots.STYLE['font.size'])
    figure.supylabel(y, fontsize=plots.STYLE['font.size'])
    return figure, list(grid)


def _legend(figure: Figure, handles: Sequence[Line2D], width: float) -> None:
    columns = len(handles) if width == plots.WIDE else 1 if len(handles) > 2 else 2
    figure.legend(handles=list(handles), loc='outside upper left', ncols=columns)


def _gain_axis(axes: Axes, gains: np.ndarray) -> None:
    ticks = [
        tick
        for tick in (0.5, 0.7, 1, 1.4, 2, 2.8, 5, 7, 10, 14, 20)
        if gains[0] / 1.01 <= tick <= gains[-1] * 1.01
    ]
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(
        ticker.FixedLocator(ticks if len(ticks) < 7 else [t for t in ticks if t in TICKS])
    )
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
