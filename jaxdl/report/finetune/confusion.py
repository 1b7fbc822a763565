"""Confusions: most confused pairs, a matrix of their classes, and scores per class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import classification

PAIRS = 15  # in the table
CLASSES, CLASSES_NARROW = 18, 8  # in the matrix, on a page and on a phone
WORST = 5  # classes named in a sentence before a folded table
LONG = 20  # more rows than this are folded
COUNTED = 'Classes among them that were predicted count as 0 in macro F1.'
COLUMNS = (
    'Class',
    'Images',
    'Groups',
    'Precision, %',
    'Recall, %',
    'F1, %',
    'Most often misclassified as',
)

Pair = tuple[int, int]


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """Pairs of classes, the matrix as a figure, the table of classes; empty without logits."""
    if not fitted.evaluation:
        return []
    table = fitted.confusion
    pairs = confused_pairs(table)
    if not pairs:
        return [
            Paragraph(f'All {table.sum():,} images are classified correctly.'),
            *_classes(fitted, table),
        ]
    repeated = [pair for pair in pairs if table[pair] > 1] or pairs  # single mistakes may be chance
    return [
        Paragraph(_share(table, repeated[:PAIRS])),
        _pairs(fitted, table, repeated[:PAIRS]),
        _matrix(fitted, table, pairs, name),
        *_classes(fitted, table),
    ]


def confused_pairs(table: np.ndarray) -> list[Pair]:
    """Pairs (true, predicted) of all mistakes, the most frequent first.

    Args:
      table: confusion matrix, int [true class, predicted class].

    Returns:
      Pairs of labels; of equally frequent ones the larger share of the true class first.
    """
    off = table - np.diag(np.diag(table))
    pairs = [(int(true), int(predicted)) for true, predicted in np.argwhere(off)]
    return sorted(pairs, key=lambda pair: (-off[pair], -off[pair] / table[pair[0]].sum(), pair))


def members(pairs: list[Pair], most: int) -> list[int]:
    """Classes of the first pairs, at most `most`, confused classes next to each other."""
    classes: list[int] = []
    for pair in pairs:
        new = [label for label in pair if label not in classes]
        if len(classes) + len(new) > most:
            break
        after = next((classes.index(label) + 1 for label in pair if label in classes), len(classes))
        classes[after:after] = new
    return classes


def _share(table: np.ndarray, pairs: list[Pair]) -> str:
    wrong, total = int(table.sum() - np.trace(table)), int(table.sum())
    share = sum(int(table[pair]) for pair in pairs) / wrong
    return (
        f'{wrong:,} of {words.count(total, "image")} are misclassified. The pairs in the table '
        'account for '
        f'{share:.0%} of the mistakes.'.replace('%', f'{words.SPACE}%')
    )


def _pairs(fitted: FineTuneRun, table: np.ndarray, pairs: list[Pair]) -> Table:
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
    columns = ('True class', 'Misclassified as', 'Count', 'Share, %', 'Reverse count')
    return Table(
        f'Most confused pairs of classes, with shares of the true class; {fitted.part} images',
        columns,
        rows,
        'wwrrr',
    )


def _matrix(fitted: FineTuneRun, table: np.ndarray, pairs: list[Pair], name: str) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        classes = members(pairs, CLASSES if wide else CLASSES_NARROW)
        counts = np.column_stack(
            [
                table[np.ix_(classes, classes)],
                table[classes].sum(1) - table[np.ix_(classes, classes)].sum(1),
            ]
        )
        size = (
            min(width, 3.3 + 0.42 * len(classes)),
            (0.34 if wide else 0.3) * len(classes) + (2.1 if wide else 1.7),
        )
        drawn = Figure(figsize=size, layout='constrained')
        axes = drawn.subplots()
        _cells(axes, counts, fontsize=8.5 if wide else 7.5)
        letters = 32 if wide else 19
        labels = [_cut(fitted.classes[label], letters) for label in classes]
        axes.set_yticks(range(len(classes)), labels, fontsize=8.5 if wide else 7.5)
        axes.set_xticks(
            range(len(classes) + 1), [*labels, 'other classes'], fontsize=8.5 if wide else 7.5
        )
        axes.tick_params(axis='x', labelrotation=90)
        axes.set_ylabel('true class')
        axes.set_xlabel('predicted class')
        return drawn

    caption = (
        f'Confusion matrix of the {len(members(pairs, CLASSES))} classes of the most confused '
        'pairs (fewer on a phone), numbers of images, '
        f'n{words.SPACE}={words.SPACE}{table.sum():,}. Rows: true class. Columns: predicted class. '
        'Darker: larger share of the true class. Empty cells: 0.'
    )
    return FigureBlock(name, plots.draw(plot), _alt(fitted, table, pairs), caption)


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


def _alt(fitted: FineTuneRun, table: np.ndarray, pairs: list[Pair]) -> str:
    confusions = (
        f'{fitted.classes[true]} as {fitted.classes[predicted]} {table[true, predicted]} of '
        f'{table[true].sum()}'
        for true, predicted in pairs[:PAIRS]
    )
    return (
        'Matrix of the most confused classes. True class as predicted class, count: '
        f'{"; ".join(confusions)}.'
    )


def _classes(fitted: FineTuneRun, table: np.ndarray) -> list[Block]:
    scores = classification.per_class(table)
    occurring = [
        label
        for label in range(len(table))
        if scores['support'][label] or scores['predicted'][label]
    ]
    order = sorted(
        occurring,
        key=lambda label: (
            not scores['support'][label],
            scores['f1'][label],
            -scores['support'][label],
        ),
    )
    rows = [_class(fitted, table, scores, label) for label in order]
    elsewhere = f'{len(rows)} rows, in the HTML report.' if len(rows) > LONG else ''
    caption = f'Scores per class, the worst first; {fitted.part} images'
    worst = [
        f'{markup.name(fitted.classes[label])} ({100 * scores["f1"][label]:.0f})'
        for label in order[:WORST]
    ]
    summary = [Paragraph(f'Lowest F1,{words.SPACE}%: {words.listing(worst)}.')] if elsewhere else []
    return [*summary, *_absent(fitted, scores), Table(caption, COLUMNS, rows, 'wrrrrrw', elsewhere)]


def _class(
    fitted: FineTuneRun, table: np.ndarray, scores: dict[str, np.ndarray], label: int
) -> list[str]:
    off = table[label] - np.where(np.arange(len(table)) == label, table[label], 0)
    confused_with = f'{fitted.classes[off.argmax()]} ({off.max()})' if off.any() else words.DASH
    precision = (
        f'{100 * scores["precision"][label]:.1f}' if scores['predicted'][label] else words.DASH
    )
    recall = f'{100 * scores["recall"][label]:.1f}' if scores['support'][label] else words.DASH
    f1 = f'{100 * scores["f1"][label]:.1f}'
    return [
        fitted.classes[label],
        f'{scores["support"][label]:,}',
        f'{fitted.groups_of_class(label):,}',
        precision,
        recall,
        f1,
        confused_with,
    ]


def _absent(fitted: FineTuneRun, scores: dict[str, np.ndarray]) -> list[Block]:
    absent = [
        markup.name(fitted.classes[label]) for label in np.flatnonzero(scores['support'] == 0)
    ]
    if not absent:
        return []
    named = (
        words.listing(absent)
        if len(absent) <= 10
        else f'{", ".join(absent[:10])} and {len(absent) - 10} more'
    )
    return [
        Paragraph(
            f'{words.count(len(absent), "class")} without {fitted.part} images, not evaluated: '
            f'{named}. {COUNTED}'
        )
    ]


def _cut(name: str, letters: int) -> str:
    return (
        name
        if len(name) <= letters
        else f'{name[: letters // 2].rstrip()}…{name[-(letters // 2 - 1) :].lstrip()}'
    )
