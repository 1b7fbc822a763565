"""Isolation plots of a search: validation against one hyperparameter, one panel per option."""

from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxdl.report.ablation.queries import Searched
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import protocol

POINT: plots.Line = dict(color=plots.GREY, marker='o', markersize=4, linestyle='', alpha=0.7)
STOPPED: plots.Line = dict(color=plots.GREY, marker='x', markersize=4, linestyle='', alpha=0.7)
FINALIST: plots.Line = dict(marker='o', markersize=5, linestyle='')
CHOSEN: plots.Line = dict(marker='D', markersize=7, linestyle='', mec=plots.INK, mew=1.3)


def figure(
    name: str, field: str, searches: Mapping[str, Searched], study: AblationRun, condition: str
) -> FigureBlock:
    """Draw all points of the options that search a field.

    Args:
      name: file name.
      field: the hyperparameter.
      searches: option -> its search.
      study: an ablation.
      condition: name of the condition.
    """
    unit, images = study.scale, study.data[condition].val
    panels = {option: s for option, s in searches.items() if field in s.planned}
    parts = [part for s in panels.values() for part in (s.stopped, s.means, s.further)]
    everything = unit.drawn(np.array([value for part in parts for value in part.values()]))
    floor = plots.floor(everything, images) if unit.percent else 0.0
    colours = palette.colours(searches)
    seeds = words.sample(study.design(condition)['tuning_seeds'], 'tuning seed')
    label = words.field(field)

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(list(panels), width, label, f'validation {unit.drawn_label}')
        plots.metric_axis(grid[0], everything, floor, unit.percent)
        _axis(grid[0], field, panels)
        for axes, (option, searched) in zip(grid, panels.items(), strict=True):
            _growth(axes, searched, field)
            for values, style in (
                (searched.stopped, STOPPED),
                (searched.means, POINT),
                (searched.further, plots.in_colour(FINALIST, colours[option])),
                (
                    {searched.chosen: searched.further[searched.chosen]},
                    plots.in_colour(CHOSEN, colours[option]),
                ),
            ):
                x = [searched.value(point, field) for point in values]
                y = unit.drawn(np.array(list(values.values())))
                axes.plot(x, np.maximum(y, floor) if floor else y, **style)
        _legend(drawn, width, field, panels)
        return drawn

    per_cent = ', %,' if unit.percent else ''
    stopped = any(s.stopped for s in panels.values())
    crosses = ' Cross: point that halving stopped, at its last epoch.' if stopped else ''
    axis = ' The vertical axis is logarithmic.' if floor else ''
    caption = (
        f'Validation {unit.drawn_name} at the last epoch{per_cent} against {label}, all points. '
        f'Grey: mean over {seeds}. Colour: the best points, mean over '
        f'{protocol.FURTHER_SEEDS} further seeds. Diamond: selected point.{crosses}{axis}'
    )
    return FigureBlock(name, plots.draw(plot), _alt(field, panels, study), caption)


def _axis(axes: Axes, field: str, panels: Mapping[str, Searched]) -> None:
    values = [
        s.value(point, field) for s in panels.values() for point in (*s.tuned.values, *s.stopped)
    ]
    ends = [end for s in panels.values() for end in s.planned[field][1:]]
    scales = {s.planned[field].scale for s in panels.values()}
    if scales == {'log'}:
        plots.rate_axis(axes, [*values, *ends])
        return
    low, high = min(*values, *ends), max(*values, *ends)
    axes.set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')


def _growth(axes: Axes, searched: Searched, field: str) -> None:
    """Shade the part by which the range grew."""
    planned, limits = searched.planned[field], searched.ranges[field]
    for low, high in ((limits.low, planned.low), (planned.high, limits.high)):
        if low < high:
            axes.axvspan(low, high, color=plots.SHADE, linewidth=0)


def _alt(field: str, panels: Mapping[str, Searched], study: AblationRun) -> str:
    unit, options = study.scale, []
    for option, searched in panels.items():
        value = f'{searched.value(searched.chosen, field):.4g}'
        best = unit.drawn_number(searched.further[searched.chosen])
        drawn = [float(unit.drawn(mean)) for mean in searched.means.values()]
        options.append(
            f'{markup.flat(option)}: {words.count(searched.trials, "point")}, {min(drawn):.4g} to '
            f'{max(drawn):.4g}, selected {value} with {best}'
        )
    per_cent = ' in %' if unit.percent else ''
    return f'Validation {unit.drawn_name}{per_cent} by {words.field(field)}. {"; ".join(options)}.'


def _legend(figure: Figure, width: float, field: str, panels: Mapping[str, Searched]) -> None:
    grown = any(s.ranges[field] != s.planned[field] for s in panels.values())
    stopped = any(s.stopped for s in panels.values())
    handles = [
        Line2D([], [], label='point', **POINT),
        Line2D([], [], label='best points, further seeds', color=plots.INK, **FINALIST),
        Line2D([], [], label='selected', color='white', **CHOSEN),
    ]
    patch = [Patch(color=plots.SHADE, label='grown range')] if grown else []
    cross = [Line2D([], [], label='stopped early', **STOPPED)] if stopped else []
    plots.legend(figure, handles + cross + patch, width)
