"""Calibration of the probabilities: reliability before and after temperature scaling."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import classification, rejection

Reliability = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # confidence, accuracy and count of each bin
SHARES = (0.99, 0.95, 0.9, 0.8, 0.5)  # of images that keep their class
MEANING = (
    'Calibrated: of predictions with confidence 80 %, 80 % are correct. The temperature divides '
    'the logits. It changes confidences, but no prediction (Guo et al. 2017).'
).replace(' %', f'{words.SPACE}%')


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """Reliability diagrams as a figure, and calibration errors; empty without logits."""
    if not fitted.evaluation:
        return []
    logits, labels = fitted.evaluation['logits'], fitted.evaluation['labels']
    temperature = float(fitted.evaluation['temperature'])
    both = {
        f'before (T{words.SPACE}={words.SPACE}1)': logits,
        f'after (T{words.SPACE}={words.SPACE}{temperature:.3g})': logits / temperature,
    }
    panels = {title: classification.reliability(scaled, labels) for title, scaled in both.items()}
    errors = [classification.calibration_error(scaled, labels) for scaled in both.values()]
    return [
        Paragraph(_sentence(fitted, temperature, errors)),
        _figure(name, panels, errors, len(labels)),
        Paragraph(MEANING, 'note'),
        *_unknown(logits / temperature, labels),
    ]


def _unknown(scaled: np.ndarray, labels: np.ndarray) -> list[Block]:
    """Effect of `unknown=SHARE` on images with known classes."""
    probabilities = np.exp(classification.log_softmax(scaled))
    rows = [
        [
            f'{row.share:g}',
            f'{row.threshold:.3f}',
            words.percent(row.coverage),
            *('' if np.isnan(value) else words.percent(value) for value in row[3:]),
        ]
        for row in rejection.measure_thresholds(probabilities, labels, SHARES)
    ]
    columns = ('unknown', 'Threshold', 'Keep their class', 'Accuracy', 'Accuracy below')
    text = (
        f'{markup.code("--set=unknown=SHARE")} of the modes predict and serve: an image whose '
        'probabilities are all below the threshold is of no known class. The table shows these '
        'images, which all have known classes; a checkpoint has the thresholds of the validation '
        'images. It says nothing about the share of other images '
        'that a threshold finds.'
    )
    return [Paragraph(text), Table('Images of no known class', columns, rows, 'rrrrr')]


def cross_validated_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Cross-validated calibration error: each half is scaled by the temperature of the other.

    Args:
      logits: float [n, classes].
      labels: int [n].

    Returns:
      Expected calibration error in [0, 1].
    """
    half = np.arange(len(labels)) % 2 == 0
    scaled = np.array(logits, np.float64)
    for fold in (half, ~half):
        scaled[fold] /= classification.fit_temperature(logits[~fold], labels[~fold])
    return classification.calibration_error(scaled, labels)


def _sentence(fitted: FineTuneRun, temperature: float, errors: list[float]) -> str:
    before, after = errors
    logits, labels = fitted.evaluation['logits'], fitted.evaluation['labels']
    confidence = float(np.exp(classification.log_softmax(logits).max(1)).mean())
    accuracy = float(np.mean(logits.argmax(1) == labels))
    lean = 'overconfident' if confidence > accuracy else 'underconfident'
    text = (
        f'Before scaling the network is {lean}: mean confidence {words.percent(confidence)}, '
        f'accuracy {words.percent(accuracy)}. Temperature {temperature:.3g} changes the expected '
        f'calibration error from {words.percent(before)} to {words.percent(after)}'
    )
    if fitted.logits_split in ('val', 'folds') and len(labels) > 3:
        halves = words.percent(cross_validated_error(logits, labels))
        return (
            f'{text}, on the images that it was fitted on. Fitted on one half and evaluated on the '
            f'other: {halves}.'
        )
    return (
        f'{text}, on other images than it was fitted on.'
        if fitted.logits_split == 'test'
        else f'{text}.'
    )


def _figure(
    name: str, panels: dict[str, Reliability], errors: list[float], images: int
) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(figsize=(min(width, 7.6), 4.4 if wide else 3.3), layout='constrained')
        grid = drawn.subplots(2, 2, sharex=True, sharey='row', height_ratios=(3, 1))
        for column, ((title, bins), error) in enumerate(zip(panels.items(), errors, strict=True)):
            top, bottom = grid[0][column], grid[1][column]
            _diagram(top, bins)
            top.set_title(f'{title}\nECE {words.percent(error)}')
            _counts(bottom, bins[2])
        grid[0][0].set_ylabel('accuracy')
        grid[1][0].set_ylabel('images' if not wide else 'images, %')
        drawn.supxlabel(
            'confidence: the probability of the predicted class', fontsize=plots.STYLE['font.size']
        )
        return drawn

    caption = (
        f'Reliability on {words.count(images, "image")}. Top: accuracy against confidence in '
        f'{classification.BINS} bins; dotted: perfect calibration; bars below it: overconfident; '
        f'pale bars: fewer than 10 images. Bottom: share of the images per bin,{words.SPACE}%.'
    )
    return FigureBlock(name, plots.draw(plot), _alt(panels, errors), caption)


def _diagram(axes: Axes, reliability: Reliability) -> None:
    _, accuracy, count = reliability
    width = 1 / len(count)
    left = np.arange(len(count)) * width
    for few in (True, False):
        bars = (count > 0) & ((count < 10) == few)
        axes.bar(
            left[bars],
            np.maximum(accuracy[bars], 0.008),
            0.92 * width,
            align='edge',
            color=plots.BLUE,
            alpha=0.35 if few else 1,
        )
    axes.plot([0, 1], [0, 1], color=plots.INK, linestyle=':', linewidth=1.3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def _counts(axes: Axes, count: np.ndarray) -> None:
    width = 1 / len(count)
    axes.bar(
        np.arange(len(count)) * width,
        100 * count / count.sum(),
        0.92 * width,
        align='edge',
        color=plots.VERMILION,
    )
    axes.set_xticks([0, 0.5, 1], ['0', '0.5', '1'])


def _alt(panels: dict[str, Reliability], errors: list[float]) -> str:
    texts = []
    for (title, (confidence, accuracy, count)), error in zip(panels.items(), errors, strict=True):
        bins = ', '.join(
            f'{accuracy[i]:.2f} at {confidence[i]:.2f} ({count[i]})'
            for i in range(len(count))
            if count[i]
        )
        texts.append(f'{title}: calibration error {words.percent(error)}; {bins}')
    return f'Accuracy at mean confidence (images) of each bin. {". ".join(texts)}.'
