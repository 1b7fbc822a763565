"""How far the probabilities can be taken at their word.

Reliability before and after the temperature.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Block, Paragraph
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.statistics import classification

Reliability = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # confidence, accuracy and count of each bin
MEANING = (
    'Of the images that a calibrated network calls with 80 %, 80 % are right. The temperature divides the logits: it '
    'changes how sure the network says it is, and no prediction (Guo et al. 2017).'
).replace(' %', f'{words.SPACE}%')


def blocks(fitted: Fitted, name: str) -> list[Block]:
    """Both diagrams as a figure, and the calibration error of both; nothing without logits."""
    if not fitted.evaluation:
        return []
    logits, labels = fitted.evaluation['logits'], fitted.evaluation['labels']
    temperature = float(fitted.evaluation['temperature'])
    both = {
        f'before (T{words.SPACE}={words.SPACE}1)': logits,
        f'after (T{words.SPACE}={words.SPACE}{temperature:.3g})': logits / temperature,
    }
    panels = {title: classification.reliability(own, labels) for title, own in both.items()}
    errors = [classification.calibration_error(own, labels) for own in both.values()]
    return [
        Paragraph(_sentence(fitted, temperature, errors)),
        _figure(name, panels, errors, len(labels)),
        Paragraph(MEANING, 'note'),
    ]


def crossed(logits: np.ndarray, labels: np.ndarray) -> float:
    """The calibration error of temperatures fitted on the other half of the images, float in [0.

    1].
    """
    half = np.arange(len(labels)) % 2 == 0
    scaled = np.array(logits, np.float64)
    for own in (half, ~half):
        scaled[own] /= classification.fit_temperature(logits[~own], labels[~own])
    return classification.calibration_error(scaled, labels)


def _sentence(fitted: Fitted, temperature: float, errors: list[float]) -> str:
    before, after = errors
    logits, labels = fitted.evaluation['logits'], fitted.evaluation['labels']
    confidence = float(np.exp(classification.log_softmax(logits).max(1)).mean())
    accuracy = float(np.mean(logits.argmax(1) == labels))
    lean = 'too sure of itself' if confidence > accuracy else 'less sure than it could be'
    told = (
        f'As trained, the network is {lean}: mean confidence {words.percent(confidence)}, accuracy '
        f'{words.percent(accuracy)}. The temperature {temperature:.3g} takes the expected calibration error from '
        f'{words.percent(before)} to {words.percent(after)}'
    )
    if fitted.tested in ('val', 'folds') and len(labels) > 3:
        halves = words.percent(crossed(logits, labels))
        return f'{told}. It was fitted on these very images; fitted on one half and tested on the other: {halves}.'
    return (
        f'{told}, on images that it was not fitted on.' if fitted.tested == 'test' else f'{told}.'
    )


def _figure(
    name: str, panels: dict[str, Reliability], errors: list[float], images: int
) -> FigureBlock:
    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(figsize=(min(width, 7.6), 4.4 if wide else 3.3), layout='constrained')
        grid = drawn.subplots(2, 2, sharex=True, sharey='row', height_ratios=(3, 1))
        for column, ((title, own), error) in enumerate(zip(panels.items(), errors, strict=True)):
            top, bottom = grid[0][column], grid[1][column]
            _diagram(top, own)
            top.set_title(f'{title}\nECE {words.percent(error)}')
            _counts(bottom, own[2])
        grid[0][0].set_ylabel('accuracy')
        grid[1][0].set_ylabel('images' if not wide else 'images, %')
        drawn.supxlabel(
            'confidence: the probability of the predicted class', fontsize=plots.STYLE['font.size']
        )
        return drawn

    caption = (
        f'Reliability on {words.count(images, "image")}, in {classification.BINS} bins of confidence. Bars: the accuracy in a '
        'bin; on the dotted line it equals the confidence, below it the network is too sure. The faint bars are of '
        f'fewer than 10 images. Under it: the share of the images in each bin, in{words.SPACE}%.'
    )
    return FigureBlock(name, plots.draw(plot), _said(panels, errors), caption)


def _diagram(axes: Axes, own: Reliability) -> None:
    _, accuracy, count = own
    width = 1 / len(count)
    left = np.arange(len(count)) * width
    for few in (True, False):
        shown = (count > 0) & ((count < 10) == few)
        axes.bar(
            left[shown],
            np.maximum(accuracy[shown], 0.008),
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


def _said(panels: dict[str, Reliability], errors: list[float]) -> str:
    told = []
    for (title, (confidence, accuracy, count)), error in zip(panels.items(), errors, strict=True):
        bins = ', '.join(
            f'{accuracy[i]:.2f} at {confidence[i]:.2f} ({count[i]})'
            for i in range(len(count))
            if count[i]
        )
        told.append(f'{title}: calibration error {words.percent(error)}; {bins}')
    return f'Accuracy at mean confidence (images) of each bin. {". ".join(told)}.'
