"""Sections of the report of a fine-tuning, and its result."""

from collections.abc import Mapping
from typing import Any

from jaxdl import statistics
from jaxdl.report.ablation.page import NO_EVIDENCE
from jaxdl.report.finetune import (
    calibration,
    confusion,
    data,
    decisions,
    epochs,
    gallery,
    model_card,
    probe_search,
    split_comparison,
)
from jaxdl.report.finetune.reading import SPLITS, FineTuneRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section, Table

COLUMNS = ('Network', 'Accuracy, %', 'Macro F1, %', 'Weighted F1, %', 'Top 5, %', 'Loss', 'ECE, %')
METRICS = (
    'Macro F1: mean of F1 over the classes. Weighted F1: mean weighted by the images per class. '
    'Top 5: the true class is among the five most probable. Loss: nats per image. ECE: expected '
    f'calibration error after temperature scaling. Brackets: Wilson{chr(8217)}s 95{words.SPACE}% '
    'interval, which assumes independent images.'
)


def page(fitted: FineTuneRun) -> Page:
    """All sections of the report of a fine-tuning.

    Args:
      fitted: a finished fine-tuning.

    Returns:
      The page; sections without content are left out.
    """
    sections = [
        Section('Result', result(fitted)),
        Section('Uncertainty', split_comparison.blocks(fitted)),
        Section('Learning curves', epochs.blocks(fitted, 'learning')),
        Section('Probe', probe_search.blocks(fitted, 'probe_grid')),
        Section('Confusions', confusion.blocks(fitted, 'confusion')),
        Section('Most confident mistakes', gallery.mistakes(fitted, 'mistakes')),
        Section('Grad-CAM', gallery.gradcam(fitted, 'gradcam')),
        Section('Calibration', calibration.blocks(fitted, 'calibration')),
        Section('Evidence for each setting', decisions.blocks(fitted, 'decisions')),
        Section('Data', data.blocks(fitted, 'near_duplicates')),
        Section('Model card', model_card.card(fitted)),
        Section('Prediction', model_card.predict(fitted)),
        Section('Costs', model_card.cost(fitted)),
        Section('Provenance', model_card.provenance_blocks(fitted)),
    ]
    return Page(
        markup.flat(fitted.config['question']), head(fitted), [s for s in sections if s.blocks]
    )


def head(fitted: FineTuneRun) -> list[Block]:
    """The result in two sentences, and the bias of the split."""
    quick: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if fitted.config['scale'] == 'quick' else []
    )
    lead = f'{_verdict(fitted)} {_probe(fitted)}'.strip()
    bias = split_comparison.bias(fitted)
    facts = (
        markup.flat(words.local(fitted.plan.data.name)),
        words.count(len(fitted.classes), 'class'),
        f'{fitted.plan.data.train:,} training images',
        markup.flat(fitted.run.device),
    )
    notes: list[Block] = [Paragraph(bias)] if bias else []
    return [*quick, Paragraph(lead, 'lead'), *notes, Paragraph(' · '.join(facts), 'note')]


def result(fitted: FineTuneRun) -> list[Block]:
    """Scores of probe and final network as a table with notes."""
    scores = {'Probe': fitted.probe, 'Fine-tuned': fitted.finetune}
    if fitted.final not in scores.values():
        scores = {'Probe': fitted.probe, 'Probe, fitted on all but the test images': fitted.final}
    rows = [_row(fitted, name, values) for name, values in scores.items() if values]
    caption = f'Scores on the {fitted.images:,} {fitted.part} images'
    return [Table(caption, COLUMNS, rows, 'lrrrrrr'), Paragraph(METRICS, 'note'), *_chosen(fitted)]


def _verdict(fitted: FineTuneRun) -> str:
    final, images = fitted.final, fitted.images
    network = (
        'the fine-tuned network'
        if fitted.finetune
        else 'the probe (linear head on frozen features)'
    )
    if not isinstance(final.get('accuracy'), float | int):
        return f'{network[0].upper()}{network[1:]} was not evaluated.'
    interval = f' (95{words.SPACE}% interval {_interval(final, images)})' if images else ''
    f1 = (
        f', macro F1 {words.percent(final["macro_f1"])}'
        if final.get('macro_f1') is not None
        else ''
    )
    of = f'{images:,} {fitted.part} images' if images else f'{fitted.part} images'
    return f'Accuracy of {network} on {of}: {words.percent(final["accuracy"])}{interval}{f1}.'


def _probe(fitted: FineTuneRun) -> str:
    """The probe next to the fine-tuned network."""
    tuned, probe = fitted.finetune, fitted.probe
    if not tuned or probe.get('accuracy') is None or tuned.get('accuracy') is None:
        return ''
    gain = tuned['accuracy'] - probe['accuracy']
    score = words.percent(probe['accuracy'])
    text = f'Accuracy of the probe (linear head on frozen features): {score}'
    if probe.get('split') != tuned.get('split'):
        return f'{text}, on the {SPLITS.get(probe.get("split", ""), "other")} images.'
    if not float(words.number(abs(gain))):
        return f'{text}. Fine-tuning did not change the accuracy.'
    low, high = statistics.wilson(tuned['accuracy'], max(fitted.images, 1))
    chance = (
        ', possibly by chance: the interval includes both accuracies'
        if low <= probe['accuracy'] <= high
        else ''
    )
    return (
        f'{text}. Fine-tuning {"gained" if gain > 0 else "lost"} {words.number(abs(gain))} '
        f'percentage points{chance}.'
    )


def _interval(scores: Mapping[str, Any], images: int) -> str:
    return words.span(*statistics.wilson(scores['accuracy'], images), words.number)


def _row(fitted: FineTuneRun, name: str, scores: Mapping[str, Any]) -> list[str]:
    images = int(scores.get('images') or fitted.images)
    accuracy = _share(scores.get('accuracy'))
    if images and scores.get('accuracy') is not None:
        accuracy += f'\n({_interval(scores, images)})'
    shares = (_share(scores.get(key)) for key in ('macro_f1', 'weighted_f1', 'top5'))
    calibrated = scores.get('ece_calibrated', scores.get('ece'))
    if scores.get('split', 'val') != fitted.final.get('split', 'val'):
        name += f' ({SPLITS.get(scores.get("split", "val"), "other")} images)'
    return [name, accuracy, *shares, words.significant(scores.get('loss')), _share(calibrated)]


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
