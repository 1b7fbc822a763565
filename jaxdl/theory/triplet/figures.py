"""Figures of the triplet loss: accuracy by method, training curves, and the embedding."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from jaxdl import statistics
from jaxdl.report.page import plots
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.theory.triplet.networks import FAST, SLOW, TRIPLETS, Results, features, members_of

STYLES: dict[str, plots.Line] = dict(
    triplet_random=dict(color=plots.GREY, linestyle=(0, (4, 1.5)), marker='s', markersize=3.5),
    triplet_semi_hard=dict(color=plots.BLUE, linestyle='-', marker='o', markersize=3.5),
    triplet_hard=dict(color=plots.VERMILION, linestyle=(0, (1, 1)), marker='^', markersize=4),
)
CHANCE = dict(seen=0.2, unseen=0.2, all=0.1)


def accuracy(
    results: Results,
    rows: Sequence[tuple[str, str]],
    names: Mapping[str, str],
    tasks: Mapping[str, str],
) -> FigureBlock:
    """One-shot accuracy: a panel per task, a row per method; a line at raw pixels."""
    values = {
        task: [statistics.mean_interval(results.accuracy(*each, task)) for each in rows]
        for task in tasks
    }

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure(figsize=(width, 2.7 if wide else 6.6), layout='constrained')
        panels = figure.subplots(*((1, 3) if wide else (3, 1)), sharey=True, sharex=True)
        for axes, task in zip(panels, tasks, strict=True):
            _dots(axes, values[task])
            axes.axvline(100 * CHANCE[task], color=plots.GREY, linestyle=':')
            axes.set_title(tasks[task])
            axes.set_yticks(range(len(rows)), [names[method] for method, _ in rows])
            axes.tick_params(labelbottom=True)
        panels[0].invert_yaxis()
        panels[0].set_xlim(5, 100)
        figure.supxlabel('one-shot accuracy, %', fontsize=plots.STYLE['font.size'])
        return figure

    means = '; '.join(
        f'{tasks[task]}: '
        + ', '.join(
            f'{names[m]} {100 * v[0]:.1f}' for (m, _), v in zip(rows, intervals, strict=True)
        )
        for task, intervals in values.items()
    )
    caption = (
        f'One support image per class, {results.episodes} episodes: mean of {results.seeds} seeds '
        'with 95 % interval, mostly narrower than the dot. Dashed: raw pixels; dotted: chance.'
    )
    return FigureBlock(
        'accuracy', plots.draw(plot), f'One-shot accuracy in per cent. {means}.', caption
    )


def training(results: Results, names: Mapping[str, str]) -> FigureBlock:
    """Active triplets and norm at the low learning rate, loss at the high one, by epoch."""
    shares = {m: 100 * results.recorded(m, SLOW, 'mined') for m in TRIPLETS}
    norms = {m: results.recorded(m, SLOW, 'norm') for m in TRIPLETS}
    stuck = {m: results.losses(m, FAST) for m in TRIPLETS}
    panels = {
        f'Active, % of mined (learning rate {SLOW:g})': (shares, 0),
        f'Embedding norm (learning rate {SLOW:g})': (norms, 0),
        f'Loss (learning rate {FAST:g})': (stuck, 1),
    }

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure(figsize=(width, 3.1 if wide else 7.6), layout='constrained')
        grid = figure.subplots(*((1, 3) if wide else (3, 1)))
        for axes, (title, (values, first)) in zip(grid, panels.items(), strict=True):
            axes.set_title(title)
            for method, curves in values.items():
                epochs = np.arange(first, first + curves.shape[1])
                middle, low, high = _quartiles(curves)
                axes.plot(epochs, middle, **STYLES[method])
                axes.fill_between(
                    epochs, low, high, color=STYLES[method]['color'], alpha=0.2, linewidth=0
                )
            axes.set_xlabel('epoch')
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
        grid[-1].set_yscale('symlog', linthresh=0.1)
        grid[-1].set_yticks([0, 0.1, 1, 10], ['0', '0.1', '1', '10'])
        grid[-1].set_ylim(0, 20)
        grid[-1].text(results.epochs, 1.15, 'margin', ha='right', va='bottom')
        plots.legend(figure, [Line2D([], [], label=names[m], **STYLES[m]) for m in TRIPLETS], width)
        return figure

    ends = '; '.join(
        f'{names[m]}: active {shares[m][:, -1].mean():.1f} %, norm from '
        f'{np.median(norms[m][:, 0]):.2f} to {np.median(norms[m][:, -1]):.2f}, loss at the higher '
        f'learning rate {np.median(stuck[m][:, -1]):.3f}'
        for m in TRIPLETS
    )
    caption = (
        f'Median and quartiles of {len(shares[TRIPLETS[0]])} networks. Left: share of active '
        'triplets among the mined ones. Middle: norm of the embeddings. Right: loss at ten times '
        'the learning rate, where hard mining collapses to the margin.'
    )
    return FigureBlock('training', plots.draw(plot), f'At the last epoch, {ends}.', caption)


def embedding(results: Results) -> FigureBlock:
    """Images in two principal components, of the pixels and of an embedding."""
    half = results.halves[0]
    queries = half.tasks['all'].queries
    labels = results.dataset.labels[queries]
    state = members_of(half, 'triplet_hard', None)[0].state
    pixels = np.asarray(half.images)[queries].reshape(len(queries), -1)
    clouds = {
        'Raw pixels': pixels,
        'Embedding, hard mining': np.asarray(features(state, half.images[queries])['embedding']),
    }
    flat = {name: components(cloud) for name, cloud in clouds.items()}
    of_seen = np.isin(labels, half.classes)

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure(figsize=(width, 4.7 if wide else 7.6), layout='constrained')
        for axes, (name, (places, share)) in zip(
            figure.subplots(*((1, 2) if wide else (2, 1))), flat.items(), strict=True
        ):
            axes.set_title(f'{name} ({100 * share:.0f} % of the variance)')
            for digit in range(10):
                points = places[labels == digit]
                colour = plots.BLUE if digit in half.classes else plots.VERMILION
                axes.scatter(*points.T, marker=glyph(digit), s=42, color=colour, linewidths=0)
            axes.set_xticks([])
            axes.set_yticks([])
        handles = [
            Line2D(
                [],
                [],
                linestyle='',
                marker=glyph(d[0]),
                color=c,
                markersize=8,
                label=f'digits {d[0]} to {d[-1]}: {kind}',
            )
            for d, c, kind in (
                (half.classes, plots.BLUE, 'seen'),
                ([d for d in range(10) if d not in half.classes], plots.VERMILION, 'unseen'),
            )
        ]
        figure.legend(handles=handles, loc='outside upper left', ncols=2 if wide else 1)
        return figure

    ratios = {
        name: (scatter(c[of_seen], labels[of_seen]), scatter(c[~of_seen], labels[~of_seen]))
        for name, c in clouds.items()
    }
    alt = '; '.join(
        f'{name}: {100 * a:.0f} % of the variance of seen digits is within classes, {100 * b:.0f} '
        '% for unseen digits'
        for name, (a, b) in ratios.items()
    )
    caption = (
        'Test images of all digits in the first two principal components, each drawn as its '
        f'digit. {alt}. A small share means tight clusters.'
    )
    return FigureBlock('embedding', plots.draw(plot), alt + '.', caption)


def glyph(digit: int) -> Path:
    """Marker in the shape of a digit, centred."""
    path = TextPath((0, 0), str(digit), size=1)
    (left, low), (right, high) = path.get_extents().get_points()
    return Affine2D().translate(-(left + right) / 2, -(low + high) / 2).transform_path(path)


def components(cloud: np.ndarray) -> tuple[np.ndarray, float]:
    """First two principal components of [image, dim], and their share of the variance."""
    centred = cloud.astype(np.float64) - cloud.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * sizes[:2], float(np.square(sizes[:2]).sum() / np.square(sizes).sum())


def scatter(cloud: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of [image, dim] within the classes; 0 if each class is a point."""
    within = sum(
        np.square(cloud[labels == c] - cloud[labels == c].mean(0)).sum() for c in np.unique(labels)
    )
    return float(within / np.square(cloud - cloud.mean(0)).sum())


def _dots(axes: Axes, values: Sequence[tuple[float, float, float]]) -> None:
    mean, low, high = 100 * np.array(values).T
    places = np.arange(len(mean))
    axes.errorbar(
        mean,
        places,
        xerr=[mean - low, high - mean],
        fmt='o',
        markersize=5,
        color=plots.BLUE,
        capsize=3,
    )
    axes.axvline(mean[0], color=plots.INK, linestyle=(0, (4, 2)), linewidth=1)


def _quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median and quartiles over networks of [network, epoch]; diverged ones count as largest."""
    finite = np.nan_to_num(values, nan=1e9, posinf=1e9)
    low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75), axis=0)
    return middle, low, high
