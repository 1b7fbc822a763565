"""Shared style, sizes and axes of figures, and their export to reproducible SVG and PNG."""

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl import statistics
from jaxdl.report.page import markup, palette, words
from jaxdl.report.page.blocks import Drawing

WIDE, NARROW = 9.6, 3.7  # inches: the column of text on a page, and a phone
DPI = 96  # as CSS has it, so that type on the page has the size given here
PNG_DPI = 160
STEPS = [
    digit * 10.0**power for power in range(-4, 3) for digit in (1, 2, 5)
]  # round numbers for ticks

BLUE, VERMILION = palette.PALETTE[:2]  # lines also differ in dashes or markers
INK, GREY, SHADE = '#222222', '#767676', '#ebebeb'

Line = dict[str, Any]  # how a line is drawn: the keyword arguments of Line2D and Axes.plot
STYLE: dict[str, Any] = {
    'font.family': 'DejaVu Sans',
    'font.size': 9.5,
    'text.color': INK,
    'text.parse_math': False,
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.labelcolor': INK,
    'axes.edgecolor': GREY,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e4e4e4',
    'grid.linewidth': 0.8,
    'xtick.color': INK,
    'ytick.color': INK,
    'legend.frameon': False,
    'legend.handlelength': 2.6,
    'lines.linewidth': 1.7,
    'figure.facecolor': 'white',
    'svg.hashsalt': 'jaxdl',
    'svg.fonttype': 'path',
}


def draw(plot: Callable[[float], Figure]) -> Drawing:
    """Export the figure that `plot` makes of a width in inches, for a page and for a phone."""
    with matplotlib.style.context(['default', STYLE]), warnings.catch_warnings():
        warnings.filterwarnings(
            'ignore', r'Glyph .* missing'
        )  # a script that the font lacks: boxes
        wide, narrow = plot(WIDE), plot(NARROW)
        svg, png = _save(wide, 'svg'), _save(wide, 'png')
        return Drawing(svg, _save(narrow, 'svg'), png, _pixels(wide), _pixels(narrow))


def panels(names: Sequence[str], width: float, x: str, y: str) -> tuple[Figure, list[Axes]]:
    """A grid of small panels, one per name, with shared axes labelled `x` and `y`."""
    columns = _columns(len(names), width)
    rows = math.ceil(len(names) / columns)
    size = (min(width, 4.8 * columns), 2.1 * rows + 0.75)
    figure = Figure(figsize=size, layout='constrained')
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for spare in grid[len(names) :]:
        spare.remove()
    for axes in grid[: len(names)][-columns:]:  # also above a cell that stays empty
        axes.tick_params(labelbottom=True)
    for axes, name in zip(grid, names, strict=False):
        axes.set_title(wrap(name, int(9.5 * size[0] / columns)))
    figure.supxlabel(x, fontsize=STYLE['font.size'])
    figure.supylabel(y, fontsize=STYLE['font.size'])
    return figure, list(grid[: len(names)])


def wrap(name: str, width: int) -> str:
    """A name in at most two lines of `width` letters."""
    return textwrap.fill(markup.flat(name), max(width, 8), max_lines=2, placeholder=' …')


def in_colour(style: Line, colour: str) -> Line:
    """A style with the colour of an option, or with INK for a legend of all options."""
    return style | {'color': colour}


def legend(figure: Figure, handles: Sequence, width: float) -> None:
    """Legend above the panels: one line on a page, two entries per line on a phone."""
    spaces = (
        dict(ncols=len(handles))
        if width == WIDE
        else dict(ncols=2, handlelength=2.0, columnspacing=1.0)
    )
    figure.legend(handles=list(handles), loc='outside upper left', **spaces)


def band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of `values` [seed, epoch] over seeds and its 95 % t interval, each [epoch].

    With one seed the interval has width 0.
    """
    if len(values) < 2:
        return values[0], values[0], values[0]
    mean, low, high = np.array([statistics.mean_interval(column) for column in values.T]).T
    return mean, low, high


def floor(errors: np.ndarray, images: int) -> float:
    """Lower end of a logarithmic error axis, in per cent; 0 for a linear axis.

    Args:
      errors: errors in per cent.
      images: number of images; a logarithmic axis ends at half an image.

    Returns:
      The lower end; not 0 if the errors span more than a factor of 8.
    """
    half = 100 * 0.5 / images
    return half if np.max(errors) > 8 * max(np.min(errors), half) else 0.0


def error_axis(axes: Axes, errors: np.ndarray, floor: float) -> None:
    """Scale y for `errors` in per cent, logarithmic down to `floor`, linear if that is 0."""
    low, high = max(float(np.min(errors)), floor), float(np.max(errors))
    if floor:
        axes.set_yscale('log')
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_locator(
            ticker.FixedLocator([step for step in STEPS if low / 1.2 <= step <= high * 1.2])
        )
        low, high = max(low / 1.2, floor), high * 1.2
    else:
        margin = max(0.06 * (high - low), 0.2)
        low, high = max(low - margin, -margin / 4), min(high + margin, 100 + margin / 4)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.yaxis.set_major_formatter(lambda error, _: f'{error:.4g}')
    axes.set_ylim(low, high)


def metric_axis(axes: Axes, values: np.ndarray, floor: float, percent: bool) -> None:
    """Scale y for errors in per cent, or linearly for the values of any other metric."""
    if percent:
        error_axis(axes, values, floor)
        return
    low, high = float(np.min(values)), float(np.max(values))
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:.4g}'.replace('-', words.MINUS))
    axes.set_ylim(low - margin, high + margin)


def rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """Scale x logarithmically for learning rates, with one tick per decade."""
    low, high = min(rates) / 1.6, max(rates) * 1.6
    decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**decade for decade in decades] or sorted({min(rates), max(rates)})
    axes.set_xscale('log')
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks[:: math.ceil(len(ticks) / 5)]))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(
        lambda rate, _: f'{rate:g}' if 1e-3 <= rate < 1e4 else words.power(math.log10(rate))
    )


def _columns(count: int, width: float) -> int:
    """Panels per row: 3 or 4 on a page, whichever leaves fewer empty cells; 2 on a phone."""
    most = 2 if width == NARROW else 3 if count in (5, 6, 9) else 4
    return min(count, most)


def _save(figure: Figure, form: str) -> bytes:
    file = io.BytesIO()
    metadata = {'Date': None} if form == 'svg' else {}
    figure.savefig(file, format=form, dpi=PNG_DPI if form == 'png' else DPI, metadata=metadata)
    return file.getvalue()


def _pixels(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches()
    return round(width * DPI), round(height * DPI)
