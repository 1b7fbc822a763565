"""How much to believe a score: how the validation images were drawn.

And what another draw would have said.
"""

from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

METRICS = ('accuracy', 'macro_f1')
SMALL = 0.005  # a gap of accuracy that is hardly one
RANDOM, GROUPS = 'at random', 'in whole groups'
SERIES = (
    'Photographs come in series: the same thing, a moment later, from a step aside. A split at random puts one of a '
    'series on each side, and asks of the network what it has all but seen.'
)
CLOSER = 'New photographs, from another place or day, look more like the split in whole groups.'
TOGETHER = (
    'The images of a group are right or wrong together: the true interval is wider than the one that is printed, which '
    'takes them as independent.'
)


def blocks(fitted: Fitted) -> list[Block]:
    """Which split the scores rest on, and the same probe under both ways to split."""
    split = fitted.split
    if not split:
        return []
    found: list[Block] = [Paragraph(_drawn(fitted))]
    if not split.get('grouped'):
        found.append(
            Paragraph(f'{SERIES} This split is of that kind: the scores may flatter.', 'warning')
        )
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
        caption = 'The same probe, fitted and scored under either way to split the same images'
        found += [Table(caption, columns, rows, 'lrrrr'), *_meaning(fitted)]
    return found


def flattery(fitted: Fitted) -> str:
    """What a split at random would have flattered, in a sentence.

    Nothing where that was not tried.
    """
    gap = _gap(fitted)
    if gap is None:
        return ''
    loose, strict = gap
    by = loose - strict
    if by < SMALL:
        return (
            f'How the images are split hardly matters here: the same probe reads {words.percent(loose)} on a split at '
            f'random, and {words.percent(strict)} where whole groups of similar images are held out.'
        )
    ours = bool(fitted.split.get('grouped'))
    return (
        f'{"A split at random would have flattered" if ours else "This split, at random, flatters"}: on it the same '
        f'probe reads {words.percent(loose)}, {words.number(by)} points more than the {words.percent(strict)} where '
        f'whole groups of similar images are held out{", as they are here" if ours else ""}.'
    )


def _drawn(fitted: Fitted) -> str:
    split = fitted.split
    drawn = f'The images were split {markup.flat(words.local(split["drawn"]))}.'
    if not split.get('groups'):
        return drawn
    return (
        f'{drawn} {split["groups"]:,} groups of similar images were found, the largest of '
        f'{words.count(split.get("largest", 0), "image")}'
        + (': each is on one side of the split.' if split.get('grouped') else '.')
    )


def _meaning(fitted: Fitted) -> list[Block]:
    """What follows for the scores; the gap itself is said at the head of the report."""
    gap = _gap(fitted)
    if gap is None:
        return []
    if gap[0] - gap[1] < SMALL:
        return [Paragraph(flattery(fitted))]
    series = f'{SERIES} ' if fitted.split.get('grouped') else ''
    return [Paragraph(f'{series}{CLOSER} {TOGETHER}')]


def _gap(fitted: Fitted) -> tuple[float, float] | None:
    """The accuracy of the same probe at random and in whole groups.

    None where not both were tried.
    """
    doubt = {row['split']: row['accuracy'] for row in fitted.split.get('doubt') or ()}
    return (doubt[RANDOM], doubt[GROUPS]) if {RANDOM, GROUPS} <= doubt.keys() else None


def _share(value: float | None) -> str:
    return words.DASH if value is None else words.number(value)
