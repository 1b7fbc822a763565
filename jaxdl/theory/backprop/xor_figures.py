"""Figure of gradient descent on XOR."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.ablation import boundaries
from jaxdl.report.page import blocks, plots
from jaxdl.theory.backprop import xor as backprop_xor
from jaxdl.theory.backprop.figures import powers
from jaxdl.theory.backprop.xor import TrainedNetworks

OUTCOMES: Mapping[bool, plots.Line] = {
    True: dict(color=plots.BLUE, ls='-', lw=0.9, alpha=0.8),
    False: dict(color=plots.VERMILION, ls='--', lw=0.9, alpha=0.8),
}
LOW, HIGH = -0.5, 1.5  # of both inputs, in the pictures of the output of a network


def xor(learned: TrainedNetworks) -> blocks.Figure:
    """Loss against step for every initialisation, and the outputs of some final networks."""
    panels = examples(learned)

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure((width, 3.5 if wide else 5.2), layout='constrained')
        top, bottom = _parts(figure, wide)
        _curves(top.subplots(), learned)
        for axes, (name, start) in zip(
            np.ravel(bottom.subplots(1, len(panels))), panels.items(), strict=True
        ):
            _picture(axes, learned, start, name)
        return figure

    ends = learned.losses[-1]
    alt = (
        f'{int(learned.is_learnt.sum())} of {len(ends)} initialisations learn XOR, to losses of at '
        f'most {np.max(ends[learned.is_learnt], initial=0.0):.2g}; the others end at '
        f'{", ".join(f"{loss:.3f}" for loss in np.sort(ends[~learned.is_learnt]))}.'
    )
    caption = (
        'Gradient descent on XOR by the hand rules. Left (on a phone: top): mean loss of every '
        'initialisation; solid: learns XOR, dashed: does not. Right (bottom): final output of '
        'some networks against the two inputs; blue: 1, orange: 0, line: 0.5. Marks: the four '
        'inputs, filled for target 1.'
    )
    return blocks.Figure('xor', plots.draw(plot), alt, caption)


def examples(learned: TrainedNetworks) -> dict[str, int]:
    """The first initialisation that learns, and the first at each plateau, at most three."""
    ends = learned.losses[-1]
    chosen = {'learnt': int(np.argmax(learned.is_learnt))} if learned.is_learnt.any() else {}
    for level in backprop_xor.LEVELS:
        at = np.flatnonzero(~learned.is_learnt & (np.abs(ends - level) < 0.01))
        if len(at) and len(chosen) < 3:
            chosen[f'plateau 1/{round(1 / level)}'] = int(at[0])
    return chosen or {'plateau': 0}


def _parts(figure: Figure, wide: bool) -> np.ndarray:
    """Side by side on a page, one above the other on a phone."""
    ratios = dict(width_ratios=(1, 1.35)) if wide else dict(height_ratios=(1.6, 1))
    return figure.subfigures(*((1, 2) if wide else (2, 1)), **ratios)  # pyright: ignore


def _curves(axes: Axes, learned: TrainedNetworks) -> None:
    steps = np.unique(
        np.linspace(0, len(learned.losses) - 1, 200).astype(int)
    )  # what a line of this width can show
    for losses, learnt in zip(learned.losses[steps].T, learned.is_learnt, strict=True):
        axes.plot(steps, losses, **OUTCOMES[bool(learnt)])
    axes.set(yscale='log', xlabel='step', ylabel='mean loss')
    powers(axes.yaxis, range(math.floor(math.log10(learned.losses.min())), 1))
    axes.set_ylim(top=1.5)
    named = {True: 'learns XOR', False: 'plateau'}
    handles = [Line2D([], [], label=named[key], **line) for key, line in OUTCOMES.items()]
    axes.legend(handles=handles, loc='upper right', ncols=2)


def _picture(axes: Axes, learned: TrainedNetworks, start: int, name: str) -> None:
    line = np.linspace(LOW, HIGH, boundaries.FILL)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    w1, b1, w2, b2 = (array[start] for array in learned.networks)
    outputs = backprop_xor.output(w1, b1, w2, b2, grid).reshape(len(line), -1)
    axes.contourf(
        line, line, outputs, levels=boundaries.LEVELS, cmap=boundaries.SOFT, vmin=0, vmax=1
    )
    axes.contour(line, line, outputs, levels=[0.5], colors=plots.INK, linewidths=1.5)
    for x, target in zip(backprop_xor.INPUTS, backprop_xor.TARGETS, strict=True):
        axes.plot(*x, 'o', ms=7, mec=plots.INK, mfc=plots.INK if target else 'white')
    axes.set_title(name, fontsize=9.5)
    axes.set(aspect='equal', xticks=[0, 1], yticks=[0, 1])
    axes.grid(visible=False)
