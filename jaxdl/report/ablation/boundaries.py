"""Decision boundaries of networks with two inputs and two classes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block
from jaxdl.report.page.blocks import Figure as FigureBlock

# standard deviations that the grid of a boundary spans, as in jaxdl.train.diagnostics (imports jax)
REACH = 2.5
SOFT = LinearSegmentedColormap.from_list('soft', ['#f0b48a', '#ffffff', '#86bbe0'])
LEVELS = np.linspace(
    0, 1, 8
)  # an odd number of steps: 0.5 lies inside the middle one, which is white
FILL = 40  # points per side of the filled contours; more would double the file

Answers = Mapping[str, np.ndarray]  # 'WHEN.NAME.KEY' -> [member, ...]
Members = Mapping[str, np.ndarray]  # option -> indices of its members, the lowest seed first


def blocks(
    name: str, study: AblationRun, condition: str, answers: Answers, members: Members, seed: int
) -> list[Block]:
    """Probability of the second class over the two inputs, one panel per option.

    Args:
      name: file name of the figure.
      study: an ablation.
      condition: name of the condition.
      answers: arrays of probes.npz.
      members: option -> indices of its members with finite outputs.
      seed: seed of the networks to draw.

    Returns:
      One figure; empty unless there are two inputs and two classes.
    """
    logits, classes = (
        answers.get('end.boundary.logits', np.zeros(0)),
        study.data[condition].classes,
    )
    first = {
        option: rows[0] for option, rows in members.items() if answers['seed'][rows[0]] == seed
    }
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
            list(share),
            width,
            'first input, standard deviations',
            'second input, standard deviations',
        )
        columns = len({axes.get_position().x0 for axes in grid})
        cell = min(2.3, width / columns)  # not as wide as other panels, since these are square
        drawn.set_size_inches(
            max(cell * columns, 3.0), (cell - 0.1) * -(-len(grid) // columns) + 0.5
        )
        for axes, (option, values) in zip(grid, share.items(), strict=True):
            axes.set_title(plots.wrap(option, 18))
            _boundary(axes, values)
        return drawn

    other, one = (markup.name(label) for label in classes)
    probabilities = '; '.join(
        f'{markup.flat(o)} {100 * (v > 0.5).mean():.0f} % of the square, '
        f'probability {v.min():.2f} to {v.max():.2f}'
        for o, v in share.items()
    )
    caption = (
        f'Predictions after training (seed {seed}) over the two inputs. Blue: class {one}. Orange: '
        f'class {other}. Paler: probability closer to 0.5. Line: decision boundary.'
    )
    alt = f'Share with class {markup.flat(classes[1])} more likely, seed {seed}: {probabilities}.'
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
