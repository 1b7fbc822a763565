"""Figures of plain and residual networks: training, gradients, removal of a layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.theory.residual.formulas import CARRIED, Settings
from jaxdl.theory.residual.networks import Study

NAMES = dict(none='plain', identity='residual')
STYLES: Mapping[str, plots.Line] = dict(
    none=dict(
        color=plots.VERMILION, linestyle=(0, (4, 1.5)), marker='o', mfc='white', markersize=5
    ),
    identity=dict(color=plots.BLUE, linestyle='-', marker='s', markersize=4.5),
)
DASHED: plots.Line = dict(color=plots.GREY, linestyle=(0, (1, 1.2)), linewidth=1.6)


def degradation(study: Study, settings: Settings) -> FigureBlock:
    """Training error against depth, and of the deepest networks against the epoch."""
    depths, deep = sorted(settings.depths), max(settings.depths)
    errors = {
        skip: 100
        * (1 - np.array([study.final(('mlp', depth, skip), 'train_accuracy') for depth in depths]))
        for skip in CARRIED
    }
    curves = {
        skip: 100
        * (1 - np.array([run.history['train_accuracy'] for run in study.runs['mlp', deep, skip]]))
        for skip in CARRIED
    }

    def plot(width: float) -> Figure:
        figure, (left, right) = _two(width)
        for skip, style in STYLES.items():
            left.plot(
                np.repeat(depths, errors[skip].shape[1]),
                errors[skip].ravel(),
                '.',
                color=style['color'],
            )
            left.plot(depths, errors[skip].mean(1), label=NAMES[skip], **style)
            epochs = np.arange(1, curves[skip].shape[1] + 1)
            right.plot(epochs, curves[skip].T, color=style['color'], alpha=0.4, linewidth=0.9)
            right.plot(epochs, curves[skip].mean(0), label=NAMES[skip], **style)
        _depth_axis(left, depths)
        left.set(
            title='Training error after training',
            xlabel='hidden layers',
            ylabel='error, %',
            ylim=(0, 100),
        )
        right.axhline(90, **DASHED, label='chance')
        right.set(
            title=f'Training with {deep} hidden layers',
            xlabel='epoch',
            ylabel='error, %',
            ylim=(0, 100),
        )
        right.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
        left.legend(loc='upper left')
        right.legend(loc='lower left')
        return figure

    listed = {
        skip: [f'{e:.1f} % at {d}' for d, e in zip(depths, by_depth.mean(1), strict=True)]
        for skip, by_depth in errors.items()
    }
    means = '; '.join(f'{NAMES[skip]} {", ".join(texts)}' for skip, texts in listed.items())
    caption = (
        'Left: training error in the last epoch against depth; lines: mean, dots: single seeds. '
        'Right: training error of the deepest networks against the epoch; thin lines: single '
        'seeds. Every network at its best learning rate.'
    )
    return FigureBlock(
        'degradation', plots.draw(plot), f'Mean training error by hidden layers: {means}.', caption
    )


def gradients(
    norms: Mapping[str, np.ndarray],
    depths: Sequence[int],
    curves: Mapping[str, Sequence[tuple[float, float]]],
) -> FigureBlock:
    """Gradient norms at initialisation, [seed, layer], and correlations (predicted, measured)."""
    count = norms['none'].shape[1]
    means = {skip: np.exp(np.log(values).mean(0)) for skip, values in norms.items()}

    def plot(width: float) -> Figure:
        figure, (left, right) = _two(width)
        for skip, style in STYLES.items():
            left.plot(
                np.arange(2, count + 2),
                means[skip],
                label=NAMES[skip],
                **style,
                markevery=-(-count // 12),
            )
            predicted, measured = np.array(curves[skip]).T
            marks: plots.Line = dict(style, linestyle='none')
            right.plot(depths, predicted, **DASHED)
            right.plot(depths, measured, label=NAMES[skip], **marks)
        left.set_yscale('log')
        left.xaxis.set_major_locator(ticker.MaxNLocator(7, integer=True))
        left.yaxis.set_minor_locator(ticker.NullLocator())
        left.yaxis.set_major_formatter(lambda value, _: f'{value:,.10g}')
        left.set(title='Gradient norm at initialisation', xlabel='hidden layer', ylabel='norm')
        _depth_axis(right, [depth for depth in depths if depth & (depth - 1) == 0])
        right.plot([], [], label='predicted', **DASHED)
        right.set(
            title='Correlation at nearby inputs',
            xlabel='layers',
            ylabel='correlation of gradients',
            ylim=(-0.1, 1.05),
        )
        left.legend(loc='upper right')
        right.legend(loc='lower left')
        return figure

    norm_text = '; '.join(
        f'{NAMES[s]} {values[0]:.2g} at the second layer, {values[-1]:.2g} at the last'
        for s, values in means.items()
    )
    listed = {
        skip: [f'{mean:.2f} at {d}' for d, (_, mean) in zip(depths, values, strict=True)]
        for skip, values in curves.items()
    }
    agreed = '; '.join(f'{NAMES[skip]} {", ".join(texts)}' for skip, texts in listed.items())
    caption = (
        'Left: norm of the gradient with respect to the kernel of each hidden layer, MLPs of '
        f'{count + 1} hidden layers on digits, geometric mean over seeds. Right: correlation '
        'between the gradients at two nearby inputs against the number of layers of wide random '
        'networks; marks: measured, dotted: predicted.'
    )
    alt = f'Gradient norms: {norm_text}. Correlation of gradients by layers: {agreed}.'
    return FigureBlock('gradients', plots.draw(plot), alt, caption)


def deletion(cut: Mapping[str, np.ndarray]) -> FigureBlock:
    """Validation accuracy with all layers and without each one, [seed, 1 + layer]."""

    def plot(width: float) -> Figure:
        figure = Figure(figsize=(min(width, 7.2), 3.1), layout='constrained')
        axes = figure.subplots()
        for skip, style in STYLES.items():
            layers = np.arange(2, cut[skip].shape[1] + 1)
            all_layers, share = 100 * cut[skip][:, 0].mean(), 100 * cut[skip][:, 1:]
            axes.axhline(all_layers, color=style['color'], linestyle=(0, (1, 1.5)), linewidth=1.3)
            axes.plot(
                np.tile(layers, len(share)), share.ravel(), '.', color=style['color'], alpha=0.5
            )
            axes.plot(layers, share.mean(0), label=NAMES[skip], **style)
        axes.set(xlabel='removed hidden layer', ylabel='validation accuracy, %', ylim=(0, 102))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(8, integer=True))
        figure.legend(*axes.get_legend_handles_labels(), loc='outside upper left', ncols=2)
        return figure

    accuracies = '; '.join(
        f'{NAMES[skip]} {words.percent(accuracy[:, 0].mean())} with all layers, without one layer '
        f'{100 * accuracy[:, 1:].mean(0).min():.0f} to {100 * accuracy[:, 1:].mean(0).max():.0f} %'
        for skip, accuracy in cut.items()
    )
    caption = (
        f'Trained MLPs of {cut["none"].shape[1]} hidden layers after the removal of one layer, '
        'without further training. Dotted: all layers. Lines: mean over seeds; dots: single '
        'seeds. Chance is 10 %.'
    )
    return FigureBlock('deletion', plots.draw(plot), f'Validation accuracy: {accuracies}.', caption)


def _two(width: float) -> tuple[Figure, Sequence[Axes]]:
    """Two panels, side by side on a page and one above the other on a phone."""
    wide = width == plots.WIDE
    figure = Figure(figsize=(width, 3.5 if wide else 6.4), layout='constrained')
    return figure, figure.subplots(*((1, 2) if wide else (2, 1)))


def _depth_axis(axes: Axes, depths: Sequence[int]) -> None:
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_locator(ticker.FixedLocator(list(depths)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda depth, _: f'{depth:g}')
