"""Scores of probe and fine-tuned network with their intervals, and the gain of fine-tuning."""

from collections.abc import Mapping
from typing import Any

from jaxdl import statistics
from jaxdl.report.finetune.reading import SPLITS, FineTuneRun
from jaxdl.report.page import words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.statistics import Estimate, PredictionScores

PROBE, TUNED = 'Probe', 'Fine-tuned'
COLUMNS = ('Network', 'Accuracy, %', 'Macro F1, %', 'Weighted F1, %', 'Top 5, %', 'Loss', 'ECE, %')
METRICS = (
    'Macro F1: mean of F1 over the classes. Weighted F1: mean weighted by the images per class. '
    'Top 5: the true class is among the five most probable. Loss: nats per image. ECE: expected '
    'calibration error after temperature scaling.'
)
INTERVALS = (
    f'Brackets: 95{words.SPACE}% intervals for new groups of images, by a bootstrap over groups '
    f'({statistics.RESAMPLES:,} resamples). A group is a burst or another set of images that '
    'belong together. An image without others is a group by itself. The intervals hold for these '
    'trained networks: variation between trainings is not included. The interval of macro F1 is '
    'approximate.'
)
DIFFERENCE = (
    'Difference: percentage points, on the same images and resamples. It is established if the '
    'interval of the difference in accuracy excludes 0.'
)


def result(fitted: FineTuneRun) -> list[Block]:
    """Scores of probe and final network, and their difference, as a table with notes."""
    scores = {PROBE: fitted.probe, TUNED: fitted.finetune}
    if fitted.final not in scores.values():
        scores = {PROBE: fitted.probe, 'Probe, fitted on all but the test images': fitted.final}
    rows = [_row(fitted, name, values) for name, values in scores.items() if values]
    comparison = fitted.comparison
    if comparison:
        if not _is_same_split(fitted):
            rows.insert(1, _predicted_row('Probe', comparison.baseline))
        rows.append(_difference_row(comparison))
    caption = f'Scores on the {images(fitted)}'
    notes = [METRICS]
    if fitted.measured:
        few = fitted.measured.groups < statistics.FEWEST_GROUPS
        notes.append(_too_few(fitted.measured.groups) if few else INTERVALS)
        notes += [DIFFERENCE] if comparison and not few else []
    table = Table(caption, COLUMNS, rows, 'lrrrrrr')
    return [table, *(Paragraph(note, 'note') for note in notes), *_chosen(fitted)]


def sentence(fitted: FineTuneRun) -> str:
    """Accuracy and macro F1 of the final network."""
    final = fitted.final
    network = (
        'the fine-tuned network'
        if fitted.finetune
        else 'the probe (linear head on frozen features)'
    )
    if not isinstance(final.get('accuracy'), float | int):
        return f'{network[0].upper()}{network[1:]} was not evaluated.'
    text = f'Accuracy of {network} on {images(fitted)}: {score(fitted, "accuracy")}'
    if final.get('macro_f1') is not None:
        text += f', macro F1 {score(fitted, "macro_f1")}'
    few = fitted.measured and fitted.measured.groups < statistics.FEWEST_GROUPS
    return f'{text}.{" Too few groups of images for an interval." if few else ""}'


def score(fitted: FineTuneRun, metric: str) -> str:
    """`accuracy` or `macro_f1` of the final network in per cent, with its interval."""
    text = words.percent(fitted.final[metric])
    interval = getattr(fitted.measured, metric).interval if fitted.measured else None
    if interval is None:
        return text
    low, high = interval
    return f'{text} (95{words.SPACE}% interval {words.span(low, high, words.number)})'


def gain(fitted: FineTuneRun) -> str:
    """The probe next to the fine-tuned network; empty for a probe."""
    tuned, probe = fitted.finetune, fitted.probe
    if not tuned or probe.get('accuracy') is None or tuned.get('accuracy') is None:
        return ''
    text = 'Accuracy of the probe (linear head on frozen features)'
    comparison = fitted.comparison
    if not comparison:
        part = SPLITS.get(probe.get('split', ''), 'other')
        return f'{text}: {words.percent(probe["accuracy"])}, on the {part} images.'
    text += f' on the same images: {words.percent(comparison.baseline.accuracy.value)}.'
    difference = comparison.accuracy
    size = words.number(abs(difference.value))
    verb = 'gained' if difference.value > 0 else 'lost'
    change = (
        f'{text} Fine-tuning {verb} {size} percentage points'
        if float(size)
        else f'{text} Fine-tuning did not change the accuracy'
    )
    if difference.interval is None:
        return f'{change} ({comparison.verdict} for a verdict on new images).'
    change += f' (95{words.SPACE}% interval {words.span(*difference.interval)})'
    return f'{change}, {comparison.verdict} for new images.' if float(size) else f'{change}.'


def images(fitted: FineTuneRun) -> str:
    """Number of images of the final scores, and of their groups: `363 test images in 95 groups`."""
    text = f'{fitted.images:,} {fitted.part} images' if fitted.images else f'{fitted.part} images'
    if not fitted.measured:
        return text
    return f'{text} in {words.count(fitted.measured.groups, "group")}'


def _too_few(groups: int) -> str:
    return (
        f'Too few groups: the images form {words.count(groups, "group")}. An interval needs at '
        f'least {statistics.FEWEST_GROUPS} groups.'
    )


def _is_same_split(fitted: FineTuneRun) -> bool:
    """Whether the scores of the probe in run.json are of the images of the final scores."""
    return fitted.probe.get('split', 'val') == fitted.final.get('split', 'val')


def _row(fitted: FineTuneRun, name: str, scores: Mapping[str, Any]) -> list[str]:
    measured = _measured(fitted, scores)
    both = [
        _cell(scores.get(key), measured and getattr(measured, key))
        for key in ('accuracy', 'macro_f1')
    ]
    shares = (_share(scores.get(key)) for key in ('weighted_f1', 'top5'))
    calibrated = scores.get('ece_calibrated', scores.get('ece'))
    if scores.get('split', 'val') != fitted.final.get('split', 'val'):
        name += f' ({SPLITS.get(scores.get("split", "val"), "other")} images)'
    return [name, *both, *shares, words.significant(scores.get('loss')), _share(calibrated)]


def _measured(fitted: FineTuneRun, scores: Mapping[str, Any]) -> PredictionScores | None:
    """The scores with intervals that belong to an entry of run.json."""
    if scores is fitted.probe and fitted.finetune:
        same = _is_same_split(fitted)
        return fitted.comparison.baseline if fitted.comparison and same else None
    return fitted.measured if scores.get('split', 'val') == fitted.final.get('split') else None


def _predicted_row(name: str, scores: PredictionScores) -> list[str]:
    estimates = (scores.accuracy, scores.macro_f1)
    cells = [_cell(estimate.value, estimate) for estimate in estimates]
    return [name, *cells, *[words.DASH] * 4]


def _difference_row(comparison: statistics.PredictionComparison) -> list[str]:
    cells = [
        words.points(each.value)
        + (f'\n({words.span(*each.interval)})' if each.interval is not None else '')
        for each in (comparison.accuracy, comparison.macro_f1)
    ]
    name = f'{TUNED} {words.MINUS} probe: {comparison.verdict}'
    return [name, *cells, *[words.DASH] * 4]


def _cell(value: float | None, estimate: Estimate | None) -> str:
    text = _share(value)
    if value is None or not estimate or estimate.interval is None:
        return text
    return f'{text}\n({words.span(*estimate.interval, words.number)})'


def _share(value: float | None) -> str:
    return words.DASH if value is None else words.number(value)


def _chosen(fitted: FineTuneRun) -> list[Block]:
    if fitted.part != 'validation':
        return []
    choices = (
        'the epoch, the probe and the temperature'
        if fitted.finetune
        else 'the probe and the temperature'
    )
    since = (
        f' The final model was then trained for {words.count(fitted.refit, "epoch")} on training + '
        'validation images. All scores and the temperature are from before that.'
        if fitted.refit
        else ''
    )
    return [
        Paragraph(
            f'The same validation images selected {choices}. This selection bias makes the scores '
            f'slightly too high.{since}'
        )
    ]
