"""Tuning budget: expected lowest validation error against the number of learning rates tried."""

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

OPTION: plots.Line = dict(marker='o', markersize=3.5)
REFERENCE: plots.Line = dict(linestyle=':', linewidth=1.3)
OTHER: plots.Line = dict(color='#c4c4c4', linewidth=1)
CAPTION = (
    'Expected lowest validation error, %, of k learning rates drawn without replacement from the '
    'rates tried (Dodge et al. 2019; Tang et al. 2020), against k. A line that is flat early means '
    'that the learning rate matters little.'
)
EXTENDED = ' Rates of extended grids count as tried.'


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Expected best of every option as a figure named `figure`; empty without tuning."""
    tunings = {option: queries.tuning(study, condition, option) for option in study.options}
    means = {option: list(tuning.means.values()) for option, tuning in tunings.items() if tuning}
    if not means:
        return []
    best = {option: statistics.expected_best(values) for option, values in means.items()}
    caption = CAPTION + (
        EXTENDED if any(tuning.added for tuning in tunings.values() if tuning) else ''
    )
    n = words.sample(study.design(condition)['tuning_seeds'], 'tuning seed')
    return [
        Paragraph(_leads(best)),
        _figure(figure, best, study.baseline, study.data[condition].val, caption, n),
    ]


def _leads(best: Mapping[str, np.ndarray]) -> str:
    one, full = (max(best, key=lambda option: round(best[option][k], 12)) for k in (0, -1))
    tried = words.count(len(best[full]), 'learning rate')
    alone, reached = words.percent(1 - best[one][0]), words.percent(1 - best[full][-1])
    head = 'With one learning rate, drawn at random from those tried, the '
    if len(best) == 1:
        return f'{head}expected validation error is {alone}.'
    head += f'lowest expected validation error is {alone} ({markup.name(one)})'
    return f'{head}. With all {tried} the lowest is {reached} ({markup.name(full)}).'


def _figure(
    name: str, best: Mapping[str, np.ndarray], baseline: str, images: int, caption: str, n: str
) -> FigureBlock:
    errors = {option: 100 * (1 - values) for option, values in best.items()}
    everything = np.concatenate(list(errors.values()))
    floor, colours = plots.floor(everything, images), palette.colours(best)
    reference = plots.in_colour(REFERENCE, colours[baseline])
    labelled = {
        'this option': plots.in_colour(OPTION, plots.INK),
        'baseline': reference,
        'other options': OTHER,
    }

    def plot(width: float) -> Figure:
        y = 'lowest validation error, %, expected'
        x = f'number k of learning rates tried ({n})'
        drawn, grid = plots.panels(list(best), width, x, y)
        plots.error_axis(grid[0], everything, floor)
        for axes, option in zip(grid, best, strict=True):
            order = sorted(
                errors, key=lambda other: (other == option, other == baseline)
            )  # this option on top
            for other in order:
                this = plots.in_colour(OPTION, colours[other])
                style = this if other == option else reference if other == baseline else OTHER
                axes.plot(
                    np.arange(1, len(errors[other]) + 1), np.maximum(errors[other], floor), **style
                )
            axes.xaxis.set_major_locator(
                ticker.MaxNLocator(7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
            )
        handles = [Line2D([], [], label=label, **style) for label, style in labelled.items()]
        plots.legend(drawn, handles[: min(len(best), 3)], width)
        return drawn

    axis = ' The vertical axis is logarithmic.' if floor else ''
    return FigureBlock(name, plots.draw(plot), _alt(best), caption + axis)


def _alt(best: Mapping[str, np.ndarray]) -> str:
    options = (
        f'{markup.flat(option)}: {", ".join(words.number(1 - value) for value in values)}'
        for option, values in best.items()
    )
    return (
        'Expected lowest validation error in % with 1, 2, ... learning rates tried. '
        f'{"; ".join(options)}.'
    )
