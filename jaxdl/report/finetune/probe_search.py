"""Search of the probe: validation score over learning rate, weight decay and logit adjustment."""

import collections
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxdl import statistics
from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.workdir.tables import Row

NAMES = dict(macro_f1='macro F1', accuracy='accuracy')
FIELDS = dict(
    learning_rate='learning rate', weight_decay='weight decay', logit_adjustment='logit adjustment'
)
COLOURS = 'cividis'  # legible to the colour-blind and in grey
ADJUSTED = (
    'Logit adjustment subtracts strength x log(class frequency in training) from the logits, so '
    'that rare classes are predicted more often (Menon et al. 2021).'
)


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """The grid as a heat map, its selected cell, and a table of adjustments."""
    if not fitted.grid:
        return []
    metric = fitted.setting('finetune.metric')
    metric = metric if metric in NAMES else 'macro_f1'
    text = ' '.join([_selected(fitted, metric), *_edges(fitted)])
    return [_figure(fitted, metric, name), Paragraph(text), *_adjustments(fitted)]


def _means(
    rows: list[Row], key: Callable[[Row], tuple[float, ...]], metric: str
) -> dict[tuple[float, ...], float]:
    """Mean over seeds of each cell; nan if the value of any seed is missing."""
    cells = collections.defaultdict(list)
    for row in rows:
        cells[key(row)].append(np.nan if row[metric] is None else row[metric])
    return {cell: float(np.mean(values)) for cell, values in cells.items()}


def _best(fitted: FineTuneRun, metric: str) -> tuple[list[float], list[float], np.ndarray]:
    """Learning rates, weight decays, and the best score over adjustments.

    The scores are float [decay, rate], nan for diverged cells.
    """
    means = _means(fitted.grid, lambda row: tuple(row[field] for field in FIELDS), metric)
    rates, decays = (sorted({cell[axis] for cell in means}) for axis in (0, 1))
    grid = np.full((len(decays), len(rates)), np.nan)
    for (rate, decay, _), value in means.items():
        place = decays.index(decay), rates.index(rate)
        grid[place] = np.fmax(grid[place], value)
    return rates, decays, grid


def _figure(fitted: FineTuneRun, metric: str, name: str) -> FigureBlock:
    rates, decays, grid = _best(fitted, metric)
    chosen = fitted.probe.get('learning_rate'), fitted.probe.get('weight_decay')

    def plot(width: float) -> Figure:
        size = min(width, 1.3 + 1.0 * len(rates)), 0.5 * len(decays) + 0.85
        drawn = Figure(figsize=size, layout='constrained')
        axes = drawn.subplots()
        _cells(axes, 100 * grid)
        axes.set_xticks(range(len(rates)), [f'{rate:g}' for rate in rates])
        axes.set_yticks(range(len(decays)), [f'{decay:g}' for decay in decays])
        axes.set_xlabel('learning rate')
        axes.set_ylabel('weight decay')
        if chosen[0] in rates and chosen[1] in decays:
            x, y = rates.index(chosen[0]), decays.index(chosen[1])
            axes.add_patch(
                Rectangle(
                    (x - 0.47, y - 0.45),
                    0.94,
                    0.9,
                    fill=False,
                    edgecolor=plots.VERMILION,
                    linewidth=3,
                )
            )
        return drawn

    caption = (
        f'Validation {NAMES[metric]}, %, against learning rate and weight decay: mean over '
        f'n{words.SPACE}={words.SPACE}{words.count(_seeds(fitted), "seed")} at the best logit '
        'adjustment of each cell. Frame: selected cell.'
        + ('' if np.isfinite(grid).all() else ' "div.": a run of the cell diverged.')
    )
    cells = (
        f'{words.number(grid[y, x]) if np.isfinite(grid[y, x]) else "diverged"} at {rate:g} and '
        f'{decay:g}'
        for y, decay in enumerate(decays)
        for x, rate in enumerate(rates)
    )
    alt = f'Validation {NAMES[metric]} in % by learning rate and weight decay: {", ".join(cells)}.'
    return FigureBlock(name, plots.draw(plot), alt, caption)


def _cells(axes: Axes, percent: np.ndarray) -> None:
    low, high = (
        (np.nanmin(percent), np.nanmax(percent)) if np.isfinite(percent).any() else (0.0, 1.0)
    )
    low = max(low, high - 15)  # an outlier would hide the differences of the others
    axes.imshow(
        percent, cmap=COLOURS, vmin=low, vmax=high + 1e-9, aspect='auto', interpolation='nearest'
    )
    for (y, x), value in np.ndenumerate(percent):
        dark = np.isfinite(value) and value < (low + high) / 2
        text = f'{value:.1f}' if np.isfinite(value) else 'div.'
        axes.text(x, y, text, ha='center', va='center', color='white' if dark else plots.INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _selected(fitted: FineTuneRun, metric: str) -> str:
    values = [
        f'{called} {fitted.probe[key]:g}'
        for key, called in FIELDS.items()
        if fitted.probe.get(key) is not None
    ]
    heads = words.count(
        len({(row['learning_rate'], row['weight_decay'], row['seed']) for row in fitted.grid}),
        'head',
    )
    if not values:
        return f'{heads} were fitted.'
    best = f'the best validation {NAMES[metric]} has {words.listing(values)}'
    return f'{heads} were fitted; {best}.'


def _edges(fitted: FineTuneRun) -> list[str]:
    """Sentence on a selected head at an edge of the grid."""
    beyond = []
    for key, called in FIELDS.items():
        tried, chosen = sorted({row[key] for row in fitted.grid}), fitted.probe.get(key)
        if len(tried) > 1 and chosen == tried[-1]:
            beyond.append(f'a larger {called}')
        elif len(tried) > 1 and chosen == tried[0] > 0:
            beyond.append(f'a smaller {called}')
    return (
        [f'This is an edge of the grid: {words.listing(beyond)} may be better.'] if beyond else []
    )


def _adjustments(fitted: FineTuneRun) -> list[Block]:
    strengths = sorted({row['logit_adjustment'] for row in fitted.grid})
    selected = [
        row
        for row in fitted.grid
        if all(row[k] == fitted.probe.get(k) for k in ('learning_rate', 'weight_decay'))
    ]
    if len(strengths) < 2 or not selected:
        return []
    rows = []
    for strength in strengths:
        at_strength = [row for row in selected if row['logit_adjustment'] == strength]
        mark = ' (selected)' if strength == fitted.probe.get('logit_adjustment') else ''
        rows.append(
            [f'{strength:g}{mark}', *(_interval([row[m] for row in at_strength]) for m in NAMES)]
        )
    columns = ('Strength', *(f'{called[0].upper()}{called[1:]}, %' for called in NAMES.values()))
    caption = (
        'Logit adjustment at the selected learning rate and weight decay: mean over '
        f'{words.count(_seeds(fitted), "seed")}'
    )
    covers = f' Brackets: 95{words.SPACE}% intervals over seeds.' if _seeds(fitted) > 1 else ''
    return [Table(caption, columns, rows, 'lrr'), Paragraph(ADJUSTED + covers, 'note')]


def _interval(values: list[float | None]) -> str:
    finite = [value for value in values if value is not None and np.isfinite(value)]
    if len(finite) != len(values) or not finite:
        return 'diverged'
    if len(finite) < 2:
        return words.number(finite[0])
    mean, low, high = statistics.mean_interval(finite)
    return f'{words.number(mean)}\n({words.span(low, high, words.number)})'


def _seeds(fitted: FineTuneRun) -> int:
    return len({row['seed'] for row in fitted.grid})
