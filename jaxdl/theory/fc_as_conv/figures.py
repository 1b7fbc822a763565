"""Figures of the dense matrix of a convolution, and of a scene with its score map."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.theory.fc_as_conv.sliding import SIDE, STEP, WINDOW, Scene

MAP, FILTER = 4, 3  # pixels a side, of the matrix that is drawn
GREYS = 'Greys'


def matrix(dense_of_kernel: Callable[..., np.ndarray]) -> FigureBlock:
    """Dense matrix of a 3 x 3 filter on a 4 x 4 feature map; a row per output."""
    labels = np.arange(1, FILTER**2 + 1).reshape(FILTER, FILTER, 1, 1)
    entries = dense_of_kernel(labels, (MAP, MAP)).T
    outputs, inputs = entries.shape

    def plot(width: float) -> Figure:
        figure = Figure(
            figsize=(min(width, 7.2), 2.25 if width == plots.WIDE else 1.55), layout='constrained'
        )
        axes = figure.subplots()
        for row, column in np.ndindex(outputs, inputs):
            weight = int(entries[row, column])
            axes.add_patch(Rectangle((column, row), 1, 1, fc=_shade(weight), ec='white', lw=0.8))
            colour = 'white' if weight > 5 else plots.INK
            if weight:
                axes.text(
                    column + 0.5, row + 0.5, str(weight), ha='center', va='center', color=colour
                )
        _cells(axes, outputs, inputs)
        axes.set_xlabel('pixel of the input, row by row')
        axes.set_ylabel('output')
        return figure

    connections = int(np.sum(entries > 0))
    caption = (
        f'A {words.product(FILTER, FILTER)} filter on a feature map of {words.product(MAP, MAP)} '
        f'pixels as a dense layer: {outputs} outputs, {inputs} inputs. Cells give the number of '
        f'the filter weight; empty cells are 0. Of {entries.size} entries {connections} are '
        f'connections, with {FILTER**2} different weights.'
    )
    lines = '; '.join(
        ' '.join('.' if not weight else str(weight) for weight in row) for row in entries
    )
    alt = (
        f'A matrix of {outputs} rows and {inputs} columns, a dot for 0, otherwise the number of '
        f'the weight: {lines}.'
    )
    return FigureBlock('sparse-matrix', plots.draw(plot), alt, caption)


def _shade(weight: int) -> tuple[float, float, float]:
    """Colour of a weight: pale to dark blue by its number, nearly white for none."""
    pale, dark = np.array([0.84, 0.92, 0.97]), np.array([0.0, 0.27, 0.44])
    share = (weight - 1) / (FILTER**2 - 1)
    red, green, blue = pale + share * (dark - pale) if weight else (0.955, 0.955, 0.955)
    return float(red), float(green), float(blue)


def _cells(axes: Axes, rows: int, columns: int) -> None:
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_aspect('equal')
    axes.set_xticks(np.arange(0, columns, 2) + 0.5, [str(i + 1) for i in range(0, columns, 2)])
    axes.set_yticks(np.arange(rows) + 0.5, [str(i + 1) for i in range(rows)])
    axes.tick_params(length=0)
    axes.grid(False)


def score_map(scene: Scene, shares: np.ndarray) -> FigureBlock:
    """Scene with the predicted class of each digit, and the score map of two classes."""
    predicted = shares[tuple(scene.places.T)].argmax(1)
    often = np.argsort(-np.bincount(scene.labels, minlength=shares.shape[-1]), kind='stable')[:2]

    def plot(width: float) -> Figure:
        columns = 3 if width == plots.WIDE else 1
        figure = Figure(figsize=(width, 3.3 if columns == 3 else 10.2), layout='constrained')
        axes = figure.subplots(3 // columns, columns).ravel()
        _scene(axes[0], scene, predicted)
        for panel, label in zip(axes[1:], often, strict=True):
            panel.set_title(f'probability of {label}')
            panel.imshow(shares[..., label], cmap=GREYS, vmin=0, vmax=1, extent=_extent(shares))
            _circles(panel, scene, int(label))
            left, right, bottom, top = _extent(shares)
            panel.add_patch(
                Rectangle((left, top), right - left, bottom - top, fc='none', ec=plots.GREY, lw=0.8)
            )
            _bare(panel)
        figure.colorbar(axes[-1].images[0], ax=list(axes[1:]), shrink=0.75, ticks=[0, 0.5, 1])
        return figure

    rows, wide = shares.shape[:2]
    right = int(np.sum(predicted == scene.labels))
    caption = (
        f'Left: {len(predicted)} test digits in a scene, each in its window of '
        f'{words.product(WINDOW, WINDOW)} pixels with its class in the score map; dashed frame: '
        f'wrong class. Right: the score map of two classes, {words.product(rows, wide)} windows '
        f'{STEP} pixels apart, each drawn at its centre. Circles: windows that contain a digit of '
        'the class. There is no class "no digit", so windows between digits get a class as well.'
    )
    placed = ', '.join(
        f'{label} as {guess}' for label, guess in zip(scene.labels, predicted, strict=True)
    )
    means = ', '.join(
        f'{shares[tuple(scene.places[scene.labels == k].T)][:, k].mean():.2f} at digits of class '
        f'{k} and {shares[..., k].mean():.2f} over all windows'
        for k in often
    )
    alt = (
        f'A scene of {len(predicted)} digits, {right} of them correct ({placed}). '
        f'Mean probability: {means}.'
    )
    return FigureBlock('score-map', plots.draw(plot), alt, caption)


def _scene(axes: Axes, scene: Scene, predicted: np.ndarray) -> None:
    axes.set_title('scene')
    axes.imshow(scene.canvas, cmap=GREYS)
    for (row, column), label, guess in zip(scene.places, scene.labels, predicted, strict=True):
        top, left = STEP * row - 0.5, STEP * column - 0.5
        line, colour = ('-', plots.BLUE) if label == guess else ('--', plots.VERMILION)
        axes.add_patch(
            Rectangle((left, top), WINDOW, WINDOW, fc='none', lw=1.6, ls=line, ec=colour)
        )
        tag = dict(boxstyle='square,pad=0.15', fc=colour, ec='none')
        axes.text(
            left,
            top,
            str(guess),
            color='white',
            size=8.5,
            weight='bold',
            ha='center',
            va='center',
            bbox=tag,
        )
    _bare(axes)


def _circles(axes: Axes, scene: Scene, label: int) -> None:
    rows, columns = scene.places[scene.labels == label].T
    middle = (WINDOW - 1) / 2
    axes.plot(
        STEP * columns + middle,
        STEP * rows + middle,
        'o',
        mfc='none',
        mec=plots.VERMILION,
        markersize=11,
        mew=1.8,
    )


def _extent(shares: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the score map on the scene; windows at their centre."""
    first = (WINDOW - 1 - STEP) / 2
    return first, first + STEP * shares.shape[1], first + STEP * shares.shape[0], first


def _bare(axes: Axes) -> None:
    axes.set_xlim(-0.5, SIDE - 0.5)
    axes.set_ylim(SIDE - 0.5, -0.5)
    axes.axis('off')
