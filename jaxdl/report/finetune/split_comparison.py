"""Bias of the split: the same probe under a random split and under a split in groups."""

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

METRICS = ('accuracy', 'macro_f1')
SMALL = 0.005  # smaller differences in accuracy are called small
RANDOM, GROUPS = 'at random', 'in whole groups'
BURSTS = (
    'Photographs often come in bursts of one scene. A random split puts images of one burst in '
    'both splits, so validation images resemble training images.'
)
NEW_IMAGES = 'The split in groups is closer to new photographs of another place or day.'
DEPENDENCE = (
    'Predictions within a group are correlated. The intervals of the scores therefore resample '
    'whole groups.'
)


def blocks(fitted: FineTuneRun) -> list[Block]:
    """The split of the scores, and the same probe under both ways to split."""
    split = fitted.split
    if not split:
        return []
    content: list[Block] = [Paragraph(_split_sentence(fitted))]
    if not split.get('grouped'):
        warning = f'{BURSTS} This split is random, so the scores may be overestimated.'
        content.append(Paragraph(warning, 'warning'))
    rows = [
        [
            row['split'],
            *(f'{row[key]:,}' for key in ('train', 'val')),
            *(_share(row[k]) for k in METRICS),
        ]
        for row in split.get('doubt') or ()
    ]
    if rows:
        columns = ('Split', 'Training images', 'Validation images', 'Accuracy, %', 'Macro F1, %')
        caption = 'The same probe under both ways to split the same images'
        content += [Table(caption, columns, rows, 'lrrrr'), *_meaning(fitted)]
    return content


def bias(fitted: FineTuneRun) -> str:
    """Sentence on the overestimate of a random split; empty if it was not measured."""
    gap = _gap(fitted)
    if gap is None:
        return ''
    loose, strict = gap
    difference = loose - strict
    if difference < SMALL:
        return (
            f'The kind of split matters little: the same probe scores {words.percent(loose)} on a '
            f'random split and {words.percent(strict)} on a split in groups of similar images.'
        )
    grouped = bool(fitted.split.get('grouped'))
    subject = 'A random split overestimates' if grouped else 'This random split overestimates'
    return (
        f'{subject} accuracy by {words.number(difference)} percentage points: the same probe '
        f'scores {words.percent(loose)} on it and {words.percent(strict)} on '
        f'{"this" if grouped else "a"} split in groups of similar images.'
    )


def _split_sentence(fitted: FineTuneRun) -> str:
    split = fitted.split
    drawn = f'Split: {markup.flat(words.local(split["drawn"]))}.'
    if not split.get('groups'):
        return drawn
    return (
        f'{drawn} There are {split["groups"]:,} groups of similar images; the largest has '
        f'{words.count(split.get("largest", 0), "image")}.'
        + (' Each group is in one split.' if split.get('grouped') else '')
    )


def _meaning(fitted: FineTuneRun) -> list[Block]:
    """Consequences for the scores; the difference itself is in the head of the report."""
    gap = _gap(fitted)
    if gap is None:
        return []
    if gap[0] - gap[1] < SMALL:
        return [Paragraph(bias(fitted))]
    bursts = f'{BURSTS} ' if fitted.split.get('grouped') else ''
    return [Paragraph(f'{bursts}{NEW_IMAGES} {DEPENDENCE}')]


def _gap(fitted: FineTuneRun) -> tuple[float, float] | None:
    """Accuracy of the same probe on a random split and on a split in groups; None without both."""
    accuracies = {row['split']: row['accuracy'] for row in fitted.split.get('doubt') or ()}
    if not {RANDOM, GROUPS} <= accuracies.keys():
        return None
    return accuracies[RANDOM], accuracies[GROUPS]


def _share(value: float | None) -> str:
    return words.DASH if value is None else words.number(value)
