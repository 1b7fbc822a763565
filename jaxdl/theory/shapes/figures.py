"""Figures of convolution arithmetic: positions of a filter, and output size against input size."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.blocks import Table
from jaxdl.theory.shapes.cases import Case, Pair

SizeRule = Callable[..., Pair]
Run = Callable[[Sequence[Case]], Sequence[Pair]]
WALK = Case(size=(5, 6), window=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 1))
STAIRS = {1: ('-', 'o'), 2: ('--', 's'), 3: (':', '^')}  # stride -> style of its line and its marks
WINDOW, LARGEST = 3, 16  # of the stairs
EXAMPLES = {
    'LeNet-5, first layer': Case((32, 32), (5, 5), (1, 1), (0, 0), (1, 1)),
    'AlexNet, first layer, 224 pixels': Case((224, 224), (11, 11), (4, 4), (0, 0), (1, 1)),
    'AlexNet, first layer, 227 pixels': Case((227, 227), (11, 11), (4, 4), (0, 0), (1, 1)),
    'ResNet, first layer': Case((224, 224), (7, 7), (2, 2), (3, 3), (1, 1)),
    '3 x 3, constant size': Case((56, 56), (3, 3), (1, 1), (1, 1), (1, 1)),
    '3 x 3, dilated, constant size': Case((56, 56), (3, 3), (1, 1), (2, 2), (2, 2)),
    'rectangular filter': Case((32, 30), (5, 3), (2, 2), (1, 1), (1, 1)),
}


def walk(conv_size: SizeRule) -> FigureBlock:
    """Figure of a filter at each position of a row, and of the next position outside."""
    rows, columns = conv_size(WALK.size, WALK.window, WALK.stride, WALK.padding)

    def plot(width: float) -> Figure:
        side = 4 if width == plots.WIDE else 2
        figure = Figure(figsize=(width, 2.1 if side == 4 else 3.6), layout='constrained')
        panels = figure.subplots((columns + 1) // side, side).ravel()
        for number, axes in enumerate(panels):
            _grid(axes, columns)
            _filter(axes, number, columns)
        return figure

    size, window = (words.product(*pair) for pair in (WALK.size, WALK.window))
    caption = (
        f'A {window} filter with stride {WALK.stride[1]} on a {size} feature map with '
        f'{WALK.padding[1]} pixel of padding on each side (hatched). The filter has {columns} '
        'positions along the row. One more step would move it over the edge (dashed), so no '
        'position reads the last column (crosses), and the formula rounds down. The '
        f'{WALK.size[0] + 2 * WALK.padding[0]} rows have no remainder and {rows} positions.'
    )
    padded = words.product(*(j + 2 * p for j, p in zip(WALK.size, WALK.padding, strict=True)))
    alt = (
        f'Four drawings of a padded feature map of {padded} cells. In the first {columns} a filter '
        f'of {window} covers columns 1 to 3, 3 to 5 and 5 to 7; in the last it would cover columns '
        '7 to 9, and there is no column 9. Column 8 is unused.'
    )
    return FigureBlock('filter-walk', plots.draw(plot), alt, caption)


def _grid(axes: Axes, columns: int) -> None:
    """Cells of the padded feature map, unused ones marked; row 0 on top."""
    (height, width), (down, right) = WALK.size, WALK.padding
    covered = (columns - 1) * WALK.stride[1] + WALK.window[1]
    for row, column in np.ndindex(height + 2 * down, width + 2 * right):
        inside = down <= row < height + down and right <= column < width + right
        fill, hatch = ('white', '') if inside else (plots.SHADE, '////')
        axes.add_patch(Rectangle((column, row), 1, 1, ec='#b0b0b0', lw=0.6, fc=fill, hatch=hatch))
        if column >= covered:
            axes.plot(column + 0.5, row + 0.5, 'x', color=plots.VERMILION, markersize=6, mew=1.6)
    axes.set_xlim(-0.2, width + 2 * right + 1.2)
    axes.set_ylim(height + 2 * down + 0.2, -0.2)
    axes.set_aspect('equal')
    axes.axis('off')


def _filter(axes: Axes, number: int, columns: int) -> None:
    """Filter at a position of the first row, numbered from 0; at `columns` it does not fit."""
    fits = number < columns
    colour = plots.BLUE if fits else plots.VERMILION
    corner = (number * WALK.stride[1], 0)
    size = WALK.window[1], WALK.window[0]
    axes.add_patch(Rectangle(corner, *size, fc=colour, alpha=0.25, ec='none', zorder=3))
    axes.add_patch(
        Rectangle(corner, *size, fc='none', ec=colour, lw=2.4, ls='-' if fits else '--', zorder=4)
    )
    axes.set_title(f'position {number + 1}' if fits else f'no position {number + 1}')


def staircase(conv_size: SizeRule, run: Run) -> FigureBlock:
    """Output size against input size per stride: lines by the formula, marks by XLA."""
    sizes = range(1, LARGEST + 1)
    measured = {s: [pair[0] for pair in run([_square(j, s) for j in sizes])] for s in STAIRS}
    stairs = {
        s: [conv_size((j, j), (WINDOW,) * 2, s, 0)[0] for j in sizes if j >= WINDOW] for s in STAIRS
    }

    def plot(width: float) -> Figure:
        figure = Figure(figsize=(min(width, 6.2), 3.1), layout='constrained')
        axes = figure.subplots()
        axes.axvspan(0.5, WINDOW - 0.5, color=plots.SHADE, lw=0)
        axes.text(WINDOW / 2, LARGEST - 2, 'no\noutput', ha='center', va='top', rotation=90)
        for (stride, (line, mark)), colour in zip(
            STAIRS.items(), (plots.BLUE, plots.VERMILION, plots.INK), strict=True
        ):
            x = [*sizes][WINDOW - 1 :]
            axes.step(x, stairs[stride], where='mid', color=colour, ls=line)
            axes.plot(sizes, measured[stride], ls='none', marker=mark, color=colour, markersize=4.5)
            axes.text(
                LARGEST + 0.7, stairs[stride][-1], f'stride {stride}', color=colour, va='center'
            )
        axes.set_xlim(0.5, LARGEST + 0.5)
        axes.set_xticks(range(2, LARGEST + 1, 2))
        axes.set_xlabel('pixels of the input')
        axes.set_ylabel('pixels of the output')
        return figure

    ends = ', '.join(f'{stairs[s][-1]} at stride {s}' for s in STAIRS)
    caption = (
        f'Length of the output against the length of the input, filter of {WINDOW} pixels, no '
        'padding. Lines: formula. Marks: XLA, which gives length 0 where the filter is larger '
        'than the input (grey).'
    )
    alt = (
        f'Three staircases that start at 1 for {WINDOW} pixels; for {LARGEST} pixels the output '
        f'has {ends}.'
    )
    return FigureBlock('staircase', plots.draw(plot), alt, caption)


def _square(side: int, stride: int) -> Case:
    return Case((side, side), (WINDOW, WINDOW), (stride, stride), (0, 0), (1, 1))


def examples(conv_size: SizeRule, run: Run) -> Table:
    """Output sizes of known layers, by the formula and by XLA."""
    rows = []
    for (name, case), measured in zip(EXAMPLES.items(), run(list(EXAMPLES.values())), strict=True):
        size = conv_size(case.size, case.window, case.stride, case.padding, dilation=case.dilation)
        one = (
            case.stride[0],
            case.padding[0],
            case.dilation[0],
        )  # the same on both axes in all of them
        pairs = [words.product(*pair) for pair in (case.size, case.window, size, measured)]
        rows.append([name, *pairs[:2], *map(str, one), *pairs[2:]])
    columns = ('Layer', 'Input', 'Filter', 'Stride', 'Padding', 'Dilation', 'Formula', 'XLA')
    return Table('Output sizes of known layers', columns, rows, 'lrrrrrrr', name='sizes')
