"""The report of a fine-tuning: the verdict, and which sections hold it up."""

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
    probe_grid,
    split_uncertainty,
)
from jaxdl.report.finetune.finetuned import SPLITS, Fitted
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section, Table

COLUMNS = ('Network', 'Accuracy, %', 'Macro F1, %', 'Weighted F1, %', 'Top 5, %', 'Loss', 'ECE, %')
METRICS = (
    'Macro F1 is the mean of F1 over the classes, each counting the same; weighted F1 counts each by its images. '
    'Top 5: the true class is among the five likeliest. Loss: nats an image. ECE, the expected calibration error: how '
    f'far confidence is from accuracy, after the temperature. In brackets: Wilson{chr(8217)}s 95{words.SPACE}% '
    'interval, which takes the images as independent of each other.'
)


def page(fitted: Fitted) -> Page:
    """The whole report of a fine-tuning; what the workdir does not hold is left out."""
    sections = [
        Section('The result', result(fitted)),
        Section('How much to believe it', split_uncertainty.blocks(fitted)),
        Section('Learning', epochs.blocks(fitted, 'learning')),
        Section('The probe: which head was chosen', probe_grid.blocks(fitted, 'probe_grid')),
        Section('What is taken for what', confusion.blocks(fitted, 'confusion')),
        Section('The worst mistakes', gallery.mistakes(fitted, 'mistakes')),
        Section('Where the network looks', gallery.gradcam(fitted, 'gradcam')),
        Section('Calibration', calibration.blocks(fitted, 'calibration')),
        Section('What each decision rests on', decisions.blocks(fitted, 'decisions')),
        Section('The data', data.blocks(fitted, 'near_duplicates')),
        Section('Model card', model_card.card(fitted)),
        Section('How to predict', model_card.predict(fitted)),
        Section('What it cost', model_card.cost(fitted)),
        Section('Provenance', model_card.made(fitted)),
    ]
    return Page(
        markup.flat(fitted.config['question']), head(fitted), [s for s in sections if s.blocks]
    )


def head(fitted: Fitted) -> list[Block]:
    """The verdict in two sentences, and what it rests on."""
    quick: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if fitted.config['scale'] == 'quick' else []
    )
    lead = f'{_verdict(fitted)} {_beside(fitted)}'.strip()
    doubt = split_uncertainty.flattery(fitted)
    facts = (
        markup.flat(words.local(fitted.plan['data']['name'])),
        words.count(len(fitted.classes), 'class'),
        f'{fitted.plan["data"]["train"]:,} training images',
        markup.flat(fitted.run['device']),
    )
    doubts: list[Block] = [Paragraph(doubt)] if doubt else []
    return [*quick, Paragraph(lead, 'lead'), *doubts, Paragraph(' · '.join(facts), 'note')]


def result(fitted: Fitted) -> list[Block]:
    """The scores of probe and final network as a table, and on which images they were taken."""
    found = {'Probe': fitted.probe, 'Fine-tuned': fitted.finetune}
    if fitted.final not in found.values():
        found = {'Probe': fitted.probe, 'Probe, fitted on all but the test images': fitted.final}
    rows = [_row(fitted, name, own) for name, own in found.items() if own]
    caption = f'Scores on the {fitted.images:,} {fitted.part} images'
    return [Table(caption, COLUMNS, rows, 'lrrrrrr'), Paragraph(METRICS, 'note'), *_chosen(fitted)]


def _verdict(fitted: Fitted) -> str:
    final, images = fitted.final, fitted.images
    who = (
        'The fine-tuned network'
        if fitted.finetune
        else 'The probe, a linear head on the untouched network,'
    )
    if not isinstance(final.get('accuracy'), float | int):
        return f'{who} was not scored.'
    interval = f', 95{words.SPACE}% interval {_interval(final, images)}' if images else ''
    f1 = (
        f'; macro F1 {words.percent(final["macro_f1"])}'
        if final.get('macro_f1') is not None
        else ''
    )
    of = f'{images:,} {fitted.part} images' if images else f'{fitted.part} images'
    return f'{who} is right on {words.percent(final["accuracy"])} of {of}{interval}{f1}.'


def _beside(fitted: Fitted) -> str:
    """The probe beside the fine-tuned network, where both were scored on the same images."""
    ours, probe = fitted.finetune, fitted.probe
    if not ours or probe.get('accuracy') is None or ours.get('accuracy') is None:
        return ''
    gain = ours['accuracy'] - probe['accuracy']
    said = f'The probe, a linear head on the untouched network, reaches {words.percent(probe["accuracy"])}'
    if probe.get('split') != ours.get('split'):
        return f'{said}, on the {SPLITS.get(probe.get("split", ""), "other")} images.'
    if not float(words.number(abs(gain))):
        return f'{said}: fine-tuning left the accuracy as it was.'
    low, high = statistics.wilson(ours['accuracy'], max(fitted.images, 1))
    chance = (
        ', which may be chance: the interval holds both' if low <= probe['accuracy'] <= high else ''
    )
    return f'{said}: fine-tuning {"gained" if gain > 0 else "lost"} {words.number(abs(gain))} points{chance}.'


def _interval(own: Mapping[str, Any], images: int) -> str:
    return words.span(*statistics.wilson(own['accuracy'], images), words.number)


def _row(fitted: Fitted, name: str, own: Mapping[str, Any]) -> list[str]:
    images = int(own.get('images') or fitted.images)
    accuracy = _share(own.get('accuracy'))
    if images and own.get('accuracy') is not None:
        accuracy += f'\n({_interval(own, images)})'
    shares = (_share(own.get(key)) for key in ('macro_f1', 'weighted_f1', 'top5'))
    calibrated = own.get('ece_calibrated', own.get('ece'))
    if own.get('split', 'val') != fitted.final.get('split', 'val'):
        name += f' ({SPLITS.get(own.get("split", "val"), "other")} images)'
    return [name, accuracy, *shares, words.significant(own.get('loss')), _share(calibrated)]


def _share(value: float | None) -> str:
    return words.DASH if value is None else words.number(value)


def _chosen(fitted: Fitted) -> list[Block]:
    if fitted.part != 'validation':
        return []
    what = (
        'the epoch, the probe and the temperature'
        if fitted.finetune
        else 'the probe and the temperature'
    )
    since = (
        f' The network that is kept has learnt from them as well since, for {words.count(fitted.refit, "epoch")}: all '
        'scores here, and the temperature, are of the network before.'
        if fitted.refit
        else ''
    )
    return [
        Paragraph(
            f'The same validation images chose {what}: the best of several tries is a little lucky, so expect slightly '
            f'less on images that chose nothing.{since}'
        )
    ]
