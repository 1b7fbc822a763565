"""Tuning budget: expected best of the learning rates or points against their number."""

from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl import statistics
from jaxdl.report.ablation import queries
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Block, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import Scale

OPTION: plots.Line = dict(marker='o', markersize=3.5)
REFERENCE: plots.Line = dict(linestyle=':', linewidth=1.3)
OTHER: plots.Line = dict(color='#c4c4c4', linewidth=1)
CAPTION = (
    'Expected {quantity} of k {tried}s drawn without replacement from those '
    'tried (Dodge et al. 2019; Tang et al. 2020), against k. A line that is flat early means '
    'that {tuned} little.'
)
EXTENDED = ' Rates of extended grids count as tried.'
TUNED = {
    'learning rate': 'the learning rate matters',
    'point': 'the searched hyperparameters matter',
}


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Expected best of every option as a figure named `figure`; empty without tuning."""
    searches = queries.searches(study, condition)
    if any(searched.stopped for searched in searches.values()):
        return []  # the values of stopped points at the last epoch are not known
    tunings = (
        {}
        if searches
        else {option: queries.tuning(study, condition, option) for option in study.options}
    )
    means = {
        option: list(tuning.means.values())
        for option, tuning in (searches or tunings).items()
        if tuning
    }
    if not means:
        return []
    sign, unit = int(study.metric.improvement(1)), study.scale
    best = {
        option: sign * statistics.expected_best(sign * np.array(values))
        for option, values in means.items()
    }
    per_cent = ', %,' if unit.percent else ''
    tried = 'point' if searches else 'learning rate'
    caption = CAPTION.format(
        quantity=f'{_quantity(unit)}{per_cent}', tried=tried, tuned=TUNED[tried]
    ) + (EXTENDED if any(tuning.added for tuning in tunings.values() if tuning) else '')
    n = words.sample(study.design(condition)['tuning_seeds'], 'tuning seed')
    return [
        Paragraph(_leads(best, study, tried)),
        _figure(figure, best, study, study.data[condition].val, caption, (tried, n)),
    ]


def _quantity(unit: Scale) -> str:
    """The quantity of the figure, such as `lowest validation error`."""
    return f'{unit.drawn_best} validation {unit.drawn_name}'


def _leads(best: Mapping[str, np.ndarray], study: AblationRun, noun: str) -> str:
    unit, gain = study.scale, study.metric.improvement
    one, full = (max(best, key=lambda option: round(gain(best[option][k]), 12)) for k in (0, -1))
    tried = words.count(len(best[full]), noun)
    alone, reached = unit.drawn_value(best[one][0]), unit.drawn_value(best[full][-1])
    head = f'With one {noun}, drawn at random from those tried, the '
    if len(best) == 1:
        return f'{head}expected validation {unit.drawn_name} is {alone}.'
    direction = unit.drawn_best
    head += f'{direction} expected validation {unit.drawn_name} is {alone} ({markup.name(one)})'
    return f'{head}. With all {tried} the {direction} is {reached} ({markup.name(full)}).'


def _figure(
    name: str,
    best: Mapping[str, np.ndarray],
    study: AblationRun,
    images: int,
    caption: str,
    labels: tuple[str, str],
) -> FigureBlock:
    """The figure; `labels` are the noun for what was tried, and the sample size."""
    unit, baseline, (tried, n) = study.scale, study.baseline, labels
    lines = {option: unit.drawn(values) for option, values in best.items()}
    everything = np.concatenate(list(lines.values()))
    floor = plots.floor(everything, images) if unit.percent else 0.0
    colours = palette.colours(best)
    reference = plots.in_colour(REFERENCE, colours[baseline])
    labelled = {
        'this option': plots.in_colour(OPTION, plots.INK),
        'baseline': reference,
        'other options': OTHER,
    }

    def plot(width: float) -> Figure:
        y = f'{_quantity(unit)}{", %" if unit.percent else ""}, expected'
        x = f'number k of {tried}s tried ({n})'
        drawn, grid = plots.panels(list(best), width, x, y)
        plots.metric_axis(grid[0], everything, floor, unit.percent)
        for axes, option in zip(grid, best, strict=True):
            order = sorted(
                lines, key=lambda other: (other == option, other == baseline)
            )  # this option on top
            for other in order:
                this = plots.in_colour(OPTION, colours[other])
                style = this if other == option else reference if other == baseline else OTHER
                line = np.maximum(lines[other], floor) if floor else lines[other]
                axes.plot(np.arange(1, len(line) + 1), line, **style)
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
            )
        handles = [Line2D([], [], label=label, **style) for label, style in labelled.items()]
        plots.legend(drawn, handles[: min(len(best), 3)], width)
        return drawn

    axis = ' The vertical axis is logarithmic.' if floor else ''
    return FigureBlock(name, plots.draw(plot), _alt(best, unit, tried), caption + axis)


def _alt(best: Mapping[str, np.ndarray], unit: Scale, tried: str) -> str:
    options = (
        f'{markup.flat(option)}: {", ".join(map(unit.drawn_number, values))}'
        for option, values in best.items()
    )
    per_cent = ' in %' if unit.percent else ''
    return (
        f'Expected {_quantity(unit)}{per_cent} with 1, 2, ... {tried}s tried. {"; ".join(options)}.'
    )
