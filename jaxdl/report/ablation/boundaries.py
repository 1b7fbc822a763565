"""Where the networks of a study change their minds, for examples of two numbers."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block
from jaxdl.report.page.blocks import Figure as FigureBlock

# standard deviations that the grid of a boundary spans: as in jaxdl.probes, which imports jax
REACH = 2.5
SOFT = LinearSegmentedColormap.from_list('soft', ['#f0b48a', '#ffffff', '#86bbe0'])
LEVELS = np.linspace(
    0, 1, 8
)  # an odd number of steps: 0.5 lies inside the middle one, which is white
FILL = 40  # points a side that the colours use: more would double the file

Answers = Mapping[str, np.ndarray]  # 'WHEN.NAME.KEY' -> [member, ...]
Members = Mapping[str, np.ndarray]  # option -> where its members are, the lowest seed first


def blocks(
    name: str, study: Study, condition: str, answers: Answers, kept: Members, seed: int
) -> list[Block]:
    """Where a network of the first seed changes its mind, a panel an option.

    For two numbers an image, two classes.
    """
    logits, classes = (
        answers.get('end.boundary.logits', np.zeros(0)),
        study.data[condition]['classes'],
    )
    first = {option: rows[0] for option, rows in kept.items() if answers['seed'][rows[0]] == seed}
    if (
        not first
        or logits.ndim != 4
        or logits.shape[1] < 2
        or logits.shape[-1] != 2
        or len(classes) != 2
    ):
        return []
    margin = logits[..., 1].astype(float) - logits[..., 0]
    share = {option: 0.5 * (1 + np.tanh(margin[row] / 2)) for option, row in first.items()}

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(
            list(share), width, 'first number, standard deviations', 'second number'
        )
        columns = len({axes.get_position().x0 for axes in grid})
        cell = min(2.3, width / columns)  # not as wide as other panels, since these are square
        drawn.set_size_inches(
            max(cell * columns, 3.0), (cell - 0.1) * -(-len(grid) // columns) + 0.5
        )
        for axes, (option, values) in zip(grid, share.items(), strict=True):
            axes.set_title(plots.wrapped(option, 18))
            _boundary(axes, values)
        return drawn

    other, one = (markup.name(label) for label in classes)
    said = '; '.join(
        f'{markup.flat(o)} {100 * (v > 0.5).mean():.0f} % of the square, probability {v.min():.2f} to {v.max():.2f}'
        for o, v in share.items()
    )
    caption = (
        f'What the networks of seed {seed} say after training, by the two numbers of an example: blue for class {one}, '
        f'orange for class {other}, the paler the less sure. The line is where both are equally likely.'
    )
    alt = f'Where class {markup.flat(classes[1])} is the likelier, seed {seed}: {said}.'
    return [FigureBlock(name, plots.draw(plot), alt, caption)]


def _boundary(axes: Axes, share: np.ndarray) -> None:
    """`share`: the probability of the second class on the grid, [second number, first number]."""
    y, x = (np.linspace(-REACH, REACH, size) for size in share.shape)
    row, column = (
        np.linspace(0, size - 1, min(size, FILL)).round().astype(int) for size in share.shape
    )
    axes.contourf(
        x[column], y[row], share[np.ix_(row, column)], levels=LEVELS, cmap=SOFT, vmin=0, vmax=1
    )
    if share.min() < 0.5 < share.max():
        axes.contour(x, y, share, levels=[0.5], colors=plots.INK, linewidths=1.5)
    else:
        axes.text(0, 0, 'no boundary', ha='center', va='center')
    axes.set_aspect('equal')
    axes.set_xticks([-2, 0, 2], [f'{words.MINUS}2', '0', '2'])
    axes.set_yticks([-2, 0, 2], [f'{words.MINUS}2', '0', '2'])
    axes.grid(visible=False)
