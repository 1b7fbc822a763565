"""Learning curves: error or metric against epoch, one panel per option."""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.page import markup, palette, plots, scale, words
from jaxdl.report.page.blocks import Chart, Curve
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import Scale

Values = tuple[np.ndarray, np.ndarray]  # of train (may be empty) and of val, each [seed, epoch]
Bands = dict[
    str, tuple[np.ndarray, ...]
]  # `training` (where measured) and `validation` -> mean and its interval, [epoch]

TRAIN: plots.Line = dict(color=plots.VERMILION, linestyle=(0, (4, 1.5)))
VAL: plots.Line = dict(color=plots.BLUE, linestyle='-')
STYLES = dict(training=TRAIN, validation=VAL)
REFERENCE: plots.Line = dict(color=plots.INK, linestyle=':', linewidth=1.3)


def figure(
    name: str,
    curves: Mapping[str, Values],
    baseline: str,
    diverged: Counter[str],
    images: int | None,
    unit: Scale = scale.DEFAULT,
    caption: str = '',
    *,
    tuned: bool = True,
) -> FigureBlock:
    """Draw the curves of every option, each with the validation curve of the baseline.

    Args:
      name: file name of the figure.
      curves: option -> metric on training and validation images, each [seed, epoch]; that on
        training images is empty where it was not measured.
      baseline: the option shown in every panel.
      diverged: option -> number of diverged runs.
      images: size of the validation split; None if it is not known, for a linear axis.
      unit: of the metric.
      caption: instead of that of a study whose learning rates were tuned.
      tuned: whether the learning rates were selected.

    Returns:
      The figure with caption, text alternative and chart.
    """
    bands = {
        option: {
            part: tuple(map(unit.drawn, plots.band(values)))
            for part, values in zip(('training', 'validation'), both, strict=True)
            if values.size
        }
        for option, both in curves.items()
    }
    titles = [
        f'{option} ({diverged[option]} diverged)' if diverged[option] else option
        for option in bands
    ]
    means = np.concatenate([mean for parts in bands.values() for mean, *_ in parts.values()])
    floor = plots.floor(means, images) if images and unit.percent else 0.0
    colours = palette.colours(bands)
    seeds = min(len(values) for both in curves.values() for values in both if values.size)
    reference = plots.in_colour(REFERENCE, colours[baseline])

    def plot(width: float) -> Figure:
        y = f'{unit.drawn_label} ({words.sample(seeds, "seed")})'
        drawn, grid = plots.panels(titles, width, 'epoch', y)
        for axes, (option, parts) in zip(grid, bands.items(), strict=True):
            for part, band in parts.items():
                _curve(axes, band, floor, plots.in_colour(STYLES[part], colours[option]))
            if option != baseline:
                mean = _above(bands[baseline]['validation'][0], floor)
                axes.plot(np.arange(1, len(mean) + 1), mean, **reference)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(5, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
            )
        plots.metric_axis(grid[0], means, floor, unit.percent)
        _legend(drawn, width, reference if len(bands) > 1 else {}, bands[baseline])
        return drawn

    chart = _chart(dict(zip(titles, bands.values(), strict=True)), floor, seeds, unit)
    caption = caption or _caption(floor, seeds, unit, tuned)
    return FigureBlock(name, plots.draw(plot), _alt(bands, unit), caption, chart)


def _chart(bands: Mapping[str, Bands], floor: float, seeds: int, unit: Scale) -> Chart:
    """Chart data; of several options only the validation curves are visible at first."""
    curves = []
    for option, parts in bands.items():
        for part, (middle, *ends) in reversed(parts.items()):
            mean, low, high = (
                values.tolist() for values in (middle, np.minimum(*ends), np.maximum(*ends))
            )
            interval = dict(low=low, high=high) if seeds > 1 else {}
            curves.append(Curve(option, part, range(1, len(mean) + 1), mean, **interval))
    hidden = ('training',) if len(bands) > 1 else ()
    return Chart(
        'epoch',
        [unit.axis(floor)],
        curves,
        f'95{words.SPACE}% interval',
        hidden=hidden,
        n=words.sample(seeds, 'seed'),
    )


def _alt(bands: Mapping[str, Bands], unit: Scale) -> str:
    form, options = unit.drawn_form, []
    for option, parts in bands.items():
        ends = (
            f'{part} {mean[0]:{form}} to {mean[-1]:{form}}' for part, (mean, *_) in parts.items()
        )
        options.append(f'{markup.flat(option)}: {", ".join(ends)}')
    quantity = f'{unit.drawn_name[0].upper()}{unit.drawn_name[1:]}'
    per_cent = ' in %' if unit.percent else ''
    return (
        f'{quantity}{per_cent} against epoch, mean over seeds, first to last epoch. '
        f'{"; ".join(options)}.'
    )


def _caption(floor: float, seeds: int, unit: Scale, tuned: bool) -> str:
    edge = f'it ends at {floor:.2g}{words.SPACE}%, half a validation image'
    axis = f' The axis is logarithmic; {edge}.' if floor else ''
    quantity = f'Error (1 {words.MINUS} {unit.name})' if unit.percent else f'Metric ({unit.name})'
    return (
        f'{quantity} against epoch{", at the selected learning rate" if tuned else ""}. Lines: '
        f'mean over {words.sample(seeds, "evaluation seed")}. Bands: '
        f'95{words.SPACE}% intervals. One colour per option in all figures.{axis}'
    )


def _curve(axes: Axes, band: tuple[np.ndarray, ...], floor: float, style: plots.Line) -> None:
    mean, low, high = (_above(part, floor) for part in band)
    epochs = np.arange(1, len(mean) + 1)
    axes.fill_between(epochs, low, high, color=style['color'], alpha=0.2, linewidth=0)
    axes.plot(epochs, mean, marker='o' if len(epochs) < 4 else '', markersize=4, **style)


def _above(values: np.ndarray, floor: float) -> np.ndarray:
    """Values on a logarithmic axis that ends at `floor`; unchanged on a linear one."""
    return np.maximum(values, floor) if floor else values


def _legend(figure: Figure, width: float, reference: plots.Line, parts: Collection[str]) -> None:
    handles = [
        Line2D([], [], label=part, **plots.in_colour(STYLES[part], plots.INK)) for part in parts
    ]
    if reference:
        handles.append(Line2D([], [], label='validation, baseline', **reference))
    plots.legend(figure, handles, width)
