"""Learning curves of a fine-tuning: loss, accuracy and macro F1 against epoch."""

import collections
import dataclasses
import itertools
import math

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.ablation.curves import REFERENCE, TRAIN, VAL
from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Axis, Block, Chart, Curve, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock

AXES = dict(
    loss=Axis('loss', 'nats per image', 3),
    accuracy=Axis('accuracy', '%'),
    macro_f1=Axis('macro F1', '%'),
)
PARTS = dict(val='validation', train='training')
CHOSEN: plots.Line = dict(
    color=plots.INK, marker='D', markersize=6, linestyle='', markerfacecolor='white'
)
TRAINING = (
    'Training values are means over the steps of an epoch in training mode: augmented images, '
    'dropout, smoothed labels, before the later steps. They can be worse than the validation '
    'values.'
)

Lines = dict[
    tuple[str, str, str], list[tuple[int, float]]
]  # (run, split, metric) -> epoch and value


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """Curves of all runs of the fine-tuning as a figure; empty for a probe."""
    lines = _lines(fitted)
    if not lines:
        return [Paragraph('This run recorded no learning curves.')] if fitted.finetune else []
    return [_figure(fitted, lines, name), Paragraph(TRAINING, 'note')]


def _lines(fitted: FineTuneRun) -> Lines:
    lines: Lines = collections.defaultdict(list)
    for row in fitted.table:
        drawn = row['metric'] in AXES and row['split'] in ('train', 'val')
        if row['phase'] == 'finetune' and drawn and row['value'] is not None:
            lines[row['option'], row['split'], row['metric']].append((row['epoch'], row['value']))
    return {key: sorted(points) for key, points in lines.items()}


def _figure(fitted: FineTuneRun, lines: Lines, name: str) -> FigureBlock:
    runs = list(dict.fromkeys(run for run, *_ in lines))
    metrics = [metric for metric in AXES if any(key[2] == metric for key in lines)]

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        size = (width, 3.5) if wide else (width, 2.1 * len(metrics) + 0.7)
        drawn = Figure(figsize=size, layout='constrained')
        grid = drawn.subplots(
            1 if wide else len(metrics), len(metrics) if wide else 1, sharex=True, squeeze=False
        ).ravel()
        for axes, metric in zip(grid, metrics, strict=True):
            _panel(axes, fitted, lines, metric, alone=len(runs) == 1)
        drawn.supxlabel('epoch', fontsize=plots.STYLE['font.size'])
        _legend(drawn, width, fitted, alone=len(runs) == 1)
        return drawn

    several = f' of {len(runs)} runs' if len(runs) > 1 else ''
    caption = (
        f'Loss, accuracy and macro F1{several} against epoch. Horizontal line: the probe (linear '
        'head on frozen features) on the validation images.'
    )
    alt, chart = _alt(fitted, lines, runs, metrics), _chart(fitted, lines, runs, metrics)
    return FigureBlock(name, plots.draw(plot), alt, caption, chart)


def _chart(fitted: FineTuneRun, lines: Lines, runs: list[str], metrics: list[str]) -> Chart:
    curves = []
    for axis, metric in enumerate(metrics):
        for run, split in itertools.product(runs, PARTS):
            points = lines.get((run, split, metric))
            if points:
                epochs, values = zip(*points, strict=True)
                selected = (
                    fitted.finetune.get('epoch') if len(runs) == 1 and split == 'val' else None
                )
                values = [_scale(metric) * value for value in values]
                curves.append(Curve(run, PARTS[split], epochs, values, axis=axis, mark=selected))
        level = _level(fitted, metric)
        if level is not None:
            epochs = sorted(
                {
                    epoch
                    for (*_, which), points in lines.items()
                    if which == metric
                    for epoch, _ in points
                }
            )
            curves.append(
                Curve(
                    'probe', PARTS['val'], epochs, [_scale(metric) * level] * len(epochs), axis=axis
                )
            )
    axes = [dataclasses.replace(AXES[metric], floor=_floor(lines, metric)) for metric in metrics]
    return Chart('epoch', axes, curves, interval='', marked='selected epoch')


def _floor(lines: Lines, metric: str) -> float:
    """Smallest loss if the values span a factor of 30 (logarithmic axis); otherwise 0."""
    values = [
        value for (*_, which), points in lines.items() if which == metric for _, value in points
    ]
    return min(values) if metric == 'loss' and max(values) > 30 * min(values) > 0 else 0.0


def _level(fitted: FineTuneRun, metric: str) -> float | None:
    """Score of the probe on the validation images; None if it has another split."""
    return fitted.probe.get(metric) if fitted.probe.get('split', 'val') == 'val' else None


def _scale(metric: str) -> int:
    return 1 if metric == 'loss' else 100


def _panel(axes: Axes, fitted: FineTuneRun, lines: Lines, metric: str, alone: bool) -> None:
    scale, level = _scale(metric), _level(fitted, metric)
    thin: plots.Line = {} if alone else dict(linewidth=1.1, alpha=0.75)
    for (_, split, which), points in lines.items():
        if which != metric:
            continue
        style = (TRAIN if split == 'train' else VAL) | thin
        epochs, values = zip(*points, strict=True)
        axes.plot(
            epochs,
            [scale * v for v in values],
            marker='o' if len(epochs) < 4 else '',
            markersize=4,
            **style,
        )
    if level is not None:
        axes.axhline(scale * level, **REFERENCE)
    chosen = _chosen(fitted, lines, metric)
    if alone and chosen:
        axes.plot(chosen[0], scale * chosen[1], zorder=5, **CHOSEN)
    if _floor(lines, metric):
        axes.set_yscale('log')
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_formatter(
            lambda value, _: words.power(math.log10(value)) if value > 0 else ''
        )
    axes.set_title(f'{AXES[metric].name}, {AXES[metric].unit}')
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    axes.margins(x=0.06, y=0.08)


def _chosen(fitted: FineTuneRun, lines: Lines, metric: str) -> tuple[int, float] | None:
    """Epoch and validation value of the selected epoch of the first run."""
    points = next((values for (_, *key), values in lines.items() if key == ['val', metric]), [])
    return next((point for point in points if point[0] == fitted.finetune.get('epoch')), None)


def _legend(figure: Figure, width: float, fitted: FineTuneRun, alone: bool) -> None:
    handles = [Line2D([], [], label='training', **TRAIN), Line2D([], [], label='validation', **VAL)]
    if fitted.probe:
        handles.append(Line2D([], [], label='probe, validation', **REFERENCE))
    if alone and fitted.finetune.get('epoch'):
        handles.append(Line2D([], [], label='selected epoch', **CHOSEN))
    plots.legend(figure, handles, width)


def _alt(fitted: FineTuneRun, lines: Lines, runs: list[str], metrics: list[str]) -> str:
    texts = []
    for run in runs:
        parts = []
        for metric in metrics:
            for split, called in reversed(PARTS.items()):
                points = lines.get((run, split, metric))
                if points:
                    first, last = (_number(metric, points[end][1]) for end in (0, -1))
                    parts.append(f'{called} {_name(metric)} {first} to {last}')
        texts.append(f'{markup.flat(run)}: {", ".join(parts)}')
    level = ', '.join(
        f'{_name(m)} {_number(m, fitted.probe[m])}'
        for m in metrics
        if fitted.probe.get(m) is not None
    )
    probe = f' Probe, validation: {level}.' if level else ''
    return (
        'Loss in nats, accuracy and macro F1 in % against epoch, first to last epoch. '
        f'{"; ".join(texts)}.{probe}'
    )


def _name(metric: str) -> str:
    return metric.replace('_f1', ' F1')


def _number(metric: str, value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f'{value:.3f}' if metric == 'loss' else words.number(value)
