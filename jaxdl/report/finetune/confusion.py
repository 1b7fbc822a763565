"""What is taken for what: the most confused pairs, a matrix of the classes in them alone.

And every class by itself.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import classification

PAIRS = 15  # in the table
CLASSES, CLASSES_NARROW = 18, 8  # in the matrix, on a page and on a phone
WORST = 5  # classes that are named before the table that is folded away
LONG = 20  # rows of a table of classes that is folded away
COUNTED = 'One that was named all the same counts in macro F1, with 0.'
COLUMNS = ('Class', 'Images', 'Precision, %', 'Recall, %', 'F1, %', 'Most often taken for')

Pair = tuple[int, int]


def blocks(fitted: Fitted, name: str) -> list[Block]:
    """Pairs of classes first, then the matrix as a figure, then the table of classes.

    Nothing without logits.
    """
    if not fitted.evaluation:
        return []
    table = fitted.confusion
    pairs = confused(table)
    if not pairs:
        return [
            Paragraph(f'Every one of the {table.sum():,} images is named right.'),
            *_classes(fitted, table),
        ]
    repeated = [
        pair for pair in pairs if table[pair] > 1
    ] or pairs  # what happened once may be chance
    return [
        Paragraph(_share(table, repeated[:PAIRS])),
        _pairs(fitted, table, repeated[:PAIRS]),
        _matrix(fitted, table, pairs, name),
        *_classes(fitted, table),
    ]


def confused(table: np.ndarray) -> list[Pair]:
    """(true, predicted) of every mistake that was made, the most frequent first.

    Of equals the larger share.
    """
    off = table - np.diag(np.diag(table))
    found = [(int(true), int(predicted)) for true, predicted in np.argwhere(off)]
    return sorted(found, key=lambda pair: (-off[pair], -off[pair] / table[pair[0]].sum(), pair))


def members(pairs: list[Pair], most: int) -> list[int]:
    """The classes of the first pairs, at most `most`, those that are confused beside each other."""
    found: list[int] = []
    for pair in pairs:
        new = [label for label in pair if label not in found]
        if len(found) + len(new) > most:
            break
        partner = next((found.index(label) + 1 for label in pair if label in found), len(found))
        found[partner:partner] = new
    return found


def _share(table: np.ndarray, pairs: list[Pair]) -> str:
    wrong, total = int(table.sum() - np.trace(table)), int(table.sum())
    share = sum(int(table[pair]) for pair in pairs) / wrong
    return (
        f'{wrong:,} of {words.count(total, "image")} are named wrong. The pairs in the table make '
        f'{share:.0%} of these mistakes.'.replace('%', f'{words.SPACE}%')
    )


def _pairs(fitted: Fitted, table: np.ndarray, pairs: list[Pair]) -> Table:
    names = fitted.classes
    rows = [
        [
            names[true],
            names[predicted],
            f'{table[true, predicted]} of {table[true].sum()}',
            f'{100 * table[true, predicted] / table[true].sum():.0f}',
            f'{table[predicted, true]}',
        ]
        for true, predicted in pairs
    ]
    columns = ('True class', 'Taken for', 'Times', 'Share, %', 'Other way round')
    return Table(
        f'The most confused pairs of classes, and the share of the true class, {fitted.part} images',
        columns,
        rows,
        'wwrrr',
    )


def _matrix(fitted: Fitted, table: np.ndarray, pairs: list[Pair], name: str) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        shown = members(pairs, CLASSES if wide else CLASSES_NARROW)
        counts = np.column_stack(
            [table[np.ix_(shown, shown)], table[shown].sum(1) - table[np.ix_(shown, shown)].sum(1)]
        )
        size = (
            min(width, 3.3 + 0.42 * len(shown)),
            (0.34 if wide else 0.3) * len(shown) + (2.1 if wide else 1.7),
        )
        drawn = Figure(figsize=size, layout='constrained')
        axes = drawn.subplots()
        _cells(axes, counts, fontsize=8.5 if wide else 7.5)
        letters = 32 if wide else 19
        labels = [_cut(fitted.classes[label], letters) for label in shown]
        axes.set_yticks(range(len(shown)), labels, fontsize=8.5 if wide else 7.5)
        axes.set_xticks(
            range(len(shown) + 1), [*labels, 'any other'], fontsize=8.5 if wide else 7.5
        )
        axes.tick_params(axis='x', labelrotation=90)
        axes.set_ylabel('true class')
        axes.set_xlabel('predicted class')
        return drawn

    caption = (
        f'How often each class (a row) was taken for each other (a column), for the {len(members(pairs, CLASSES))} '
        'classes of the most confused pairs (fewer on a phone). The diagonal is right. The darker, the larger the '
        'share of the true class; empty cells are 0.'
    )
    return FigureBlock(name, plots.draw(plot), _said(fitted, table, pairs), caption)


def _cells(axes: Axes, counts: np.ndarray, fontsize: float) -> None:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1.15, aspect='auto', interpolation='nearest')
    for (y, x), count in np.ndenumerate(counts):
        if count:
            colour = 'white' if shares[y, x] > 0.6 else plots.INK
            weight = 'bold' if x == y else 'normal'
            axes.text(
                x,
                y,
                f'{count}',
                ha='center',
                va='center',
                color=colour,
                fontsize=fontsize,
                weight=weight,
            )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.axvline(counts.shape[1] - 1.5, color=plots.GREY, linewidth=1)
    axes.set_xticks(np.arange(counts.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.grid(which='minor', color='#e4e4e4', linewidth=0.7)
    axes.tick_params(which='minor', length=0)


def _said(fitted: Fitted, table: np.ndarray, pairs: list[Pair]) -> str:
    told = (
        f'{fitted.classes[true]} as {fitted.classes[predicted]} {table[true, predicted]} of {table[true].sum()}'
        for true, predicted in pairs[:PAIRS]
    )
    return f'Matrix of the most confused classes. True class as predicted class, times: {"; ".join(told)}.'


def _classes(fitted: Fitted, table: np.ndarray) -> list[Block]:
    each = classification.per_class(table)
    met = [
        label for label in range(len(table)) if each['support'][label] or each['predicted'][label]
    ]
    order = sorted(
        met,
        key=lambda label: (not each['support'][label], each['f1'][label], -each['support'][label]),
    )
    rows = [_class(fitted, table, each, label) for label in order]
    elsewhere = f'{len(rows)} rows, in the page of this report.' if len(rows) > LONG else ''
    caption = f'Every class by itself, the worst first, {fitted.part} images'
    worst = [
        f'{markup.name(fitted.classes[label])} ({100 * each["f1"][label]:.0f})'
        for label in order[:WORST]
    ]
    told = (
        [Paragraph(f'The weakest classes, with F1 in{words.SPACE}%: {words.listing(worst)}.')]
        if elsewhere
        else []
    )
    return [*told, *_absent(fitted, each), Table(caption, COLUMNS, rows, 'wrrrrw', elsewhere)]


def _class(fitted: Fitted, table: np.ndarray, each: dict[str, np.ndarray], label: int) -> list[str]:
    off = table[label] - np.where(np.arange(len(table)) == label, table[label], 0)
    taken = f'{fitted.classes[off.argmax()]} ({off.max()})' if off.any() else words.DASH
    precision = f'{100 * each["precision"][label]:.1f}' if each['predicted'][label] else words.DASH
    recall = f'{100 * each["recall"][label]:.1f}' if each['support'][label] else words.DASH
    f1 = f'{100 * each["f1"][label]:.1f}'
    return [fitted.classes[label], f'{each["support"][label]:,}', precision, recall, f1, taken]


def _absent(fitted: Fitted, each: dict[str, np.ndarray]) -> list[Block]:
    absent = [markup.name(fitted.classes[label]) for label in np.flatnonzero(each['support'] == 0)]
    if not absent:
        return []
    named = (
        words.listing(absent)
        if len(absent) <= 10
        else f'{", ".join(absent[:10])} and {len(absent) - 10} more'
    )
    return [
        Paragraph(
            f'{words.count(len(absent), "class")} without a {fitted.part} image, so untested: {named}. {COUNTED}'
        )
    ]


def _cut(name: str, letters: int) -> str:
    return (
        name
        if len(name) <= letters
        else f'{name[: letters // 2].rstrip()}…{name[-(letters // 2 - 1) :].lstrip()}'
    )
