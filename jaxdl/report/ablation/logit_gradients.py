"""Losses and their gradients against the logit of the true class, and faults of some losses."""

import math
import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

OPTION: plots.Line = dict(linestyle='-')
REFERENCE: plots.Line = dict(linestyle=(0, (4, 1.5)), linewidth=1.2)
BOUND: plots.Line = dict(color=plots.INK, linestyle=':', linewidth=1.7)

KEYS = ('option', 'logit', 'loss', 'gradient', 'best')
BOUNDED = dict(
    sigmoid_softmax_cross_entropy='the inputs of the softmax are between 0 and 1',
    double_softmax_cross_entropy=(
        'the inputs of the outer softmax are probabilities of the inner softmax, between 0 and 1'
    ),
)
SUMMED = (
    'sigmoid_cross_entropy',
    'sigmoid_squared_error',
    'tanh_squared_error',
)  # a sum over the classes
FLAT = ('softmax_squared_error', 'sigmoid_squared_error', 'tanh_squared_error')
NOTES = (
    'All other logits are 0. Gradient: derivative of the loss with respect to the logit of the '
    'true class; if it is negative, gradient descent raises that logit. Cross-entropies are in '
    'nats and squared errors have no unit, so only their shapes are comparable. Losses with '
    'sigmoids include the terms of the other classes.'
)

Curves = dict[str, np.ndarray]  # option -> its values along the logit


def blocks(folder: pathlib.Path, study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Figures `figure`_loss and `figure`_gradient, a table, and faults of the options' losses."""
    arrays = reading.arrays(folder / 'logit_gradients.npz')
    options = _options(arrays, study)
    if not options:
        return []
    logit = arrays['logit']
    loss, gradient = (
        {o: arrays[key][i] for o, i in options.items()} for key in ('loss', 'gradient')
    )
    best = {option: float(arrays['best'][i]) for option, i in options.items()}
    bounds = _bounds(study, condition, loss)
    faults = _faults(study, condition, logit, gradient, best, bounds)
    return [
        *([Items(faults)] if faults else []),
        _loss_figure(f'{figure}_loss', study, logit, _true_class(study, loss, best), bounds),
        _gradient_figure(f'{figure}_gradient', study, logit, gradient),
        _table(logit, gradient, best),
        Paragraph(NOTES, 'note'),
    ]


def _options(arrays: Mapping[str, np.ndarray], study: AblationRun) -> dict[str, int]:
    """Option of the study -> its index in the arrays; empty if the arrays are inconsistent."""
    if (
        any(key not in arrays for key in KEYS)
        or arrays['option'].ndim != 1
        or arrays['logit'].ndim != 1
    ):
        return {}
    k, m = len(arrays['option']), len(arrays['logit'])
    shapes = dict(logit=(m,), loss=(k, m), gradient=(k, m), best=(k,))
    for key, shape in shapes.items():
        if (
            arrays[key].shape != shape
            or arrays[key].dtype.kind != 'f'
            or not np.isfinite(arrays[key]).all()
        ):
            return {}
    if m < 2 or not np.all(np.diff(arrays['logit']) > 0):
        return {}
    places = {str(option): i for i, option in enumerate(arrays['option'])}
    return {option: places[option] for option in study.options if option in places}


def _loss_of(study: AblationRun, option: str) -> str:
    return study.config['options'][option].get('loss', study.config['variant'].get('loss', ''))


def _bounds(study: AblationRun, condition: str, loss: Curves) -> dict[str, float]:
    """Option -> minimum of its loss over all logits, if the loss is bounded above 0."""
    bound = math.log(1 + (len(study.data[condition].classes) - 1) / math.e)
    bounded = [option for option, curve in loss.items() if _loss_of(study, option) in BOUNDED]
    return {option: bound for option in bounded if loss[option].min() >= bound - 1e-4}


def _true_class(study: AblationRun, loss: Curves, best: Mapping[str, float]) -> Curves:
    """Loss of the true class: without the constant of the other classes if the loss is a sum."""
    return {
        o: curve - best[o] if _loss_of(study, o) in SUMMED else curve for o, curve in loss.items()
    }


def _faults(
    study: AblationRun,
    condition: str,
    logit: np.ndarray,
    gradient: Curves,
    best: Mapping[str, float],
    bounds: Mapping[str, float],
) -> list[str]:
    classes = len(study.data[condition].classes)
    faults = [
        _bounded(study, option, classes, bound, best[option]) for option, bound in bounds.items()
    ]
    for option, derivative in gradient.items():
        name, low = markup.name(option), _low(logit)
        if (
            _loss_of(study, option) == 'relu_softmax_cross_entropy'
            and (logit < 0).any()
            and not derivative[logit < 0].any()
        ):
            faults.append(
                f'{name}: the gradient is exactly 0 if the logit of the true class is below 0 '
                f'({(logit < 0).sum()} of {len(logit)} points), so such examples do not train that '
                'logit.'
            )
        steepest = np.abs(derivative).max()
        if _loss_of(study, option) in FLAT and abs(derivative[0]) < 0.01 * steepest:
            faults.append(
                f'{name}: the gradient at logit {low} (confidently wrong) is '
                f'{_number(derivative[0])}. The largest, '
                f'{_number(derivative[np.abs(derivative).argmax()])}, is at logit '
                f'{_signed(logit[np.abs(derivative).argmax()])}. So the most wrong examples learn '
                'slowest.'
            )
    return faults


def _bounded(study: AblationRun, option: str, classes: int, bound: float, best: float) -> str:
    most, space = math.e / (math.e + classes - 1), words.SPACE
    return (
        f'{markup.name(option)}: {BOUNDED[_loss_of(study, option)]}. With '
        f'{words.count(classes, "class")} no probability exceeds e / (e + {classes - 1}) = '
        f'{most:.3f}, and the loss is at least ln(1 + {classes - 1} / e) = {bound:.2f}{space}nats '
        f'(a guess: ln {classes} = {math.log(classes):.2f}{space}nats). With all other logits at 0 '
        f'the minimum is {best:.2f}{space}nats.'
    )


def _table(logit: np.ndarray, gradient: Curves, best: Mapping[str, float]) -> Table:
    columns = (
        'Option',
        'Minimum loss',
        'Gradient at logit 0',
        f'Gradient at logit {_low(logit)} (confidently wrong)',
    )
    rows = [
        [
            markup.name(o),
            f'{best[o]:.3f}',
            _number(float(np.interp(0, logit, derivative))),
            _number(derivative[0]),
        ]
        for o, derivative in gradient.items()
    ]
    return Table(
        'Loss, and gradient with respect to the logit of the true class; other logits 0',
        columns,
        rows,
        'lrrr',
    )


def _low(logit: np.ndarray) -> str:
    return _signed(logit[0])


def _signed(value: float) -> str:
    return f'{value:.4g}'.replace('-', words.MINUS)


def _number(value: float) -> str:
    """Format a gradient: three decimals, an exponent if it is small, `0` if it is 0."""
    if not value:
        return '0'
    return (f'{value:.3f}' if abs(value) >= 0.001 else f'{value:.0e}').replace('-', words.MINUS)


def _loss_figure(
    name: str, study: AblationRun, logit: np.ndarray, loss: Curves, bounds: Mapping[str, float]
) -> FigureBlock:
    values = '; '.join(
        f'{markup.flat(o)} {c[0]:.2f}, {np.interp(0, logit, c):.2f}, {c[-1]:.2f}'
        for o, c in loss.items()
    )
    ends = words.listing([_low(logit), '0', _signed(logit[-1])])
    caption = 'Loss of one example against the logit of its true class; all other logits are 0.'
    if any(_loss_of(study, option) in SUMMED for option in loss):
        caption += (
            ' Losses that are sums over classes are shown without the constant of the others.'
        )
    if bounds:
        caption += ' Dotted: minimum over all logits, if it is not 0.'
    drawing = plots.draw(
        lambda width: _panels(study, width, logit, loss, 'loss of one example', bounds)
    )
    return FigureBlock(name, drawing, f'Loss at true-class logits {ends}. {values}.', caption)


def _gradient_figure(
    name: str, study: AblationRun, logit: np.ndarray, gradient: Curves
) -> FigureBlock:
    values = '; '.join(
        f'{markup.flat(o)} {_number(-c[0])}, {_number(-float(np.interp(0, logit, c)))}, '
        f'{_number(-c[-1])}'
        for o, c in gradient.items()
    )
    ends = words.listing([_low(logit), '0', _signed(logit[-1])])
    negative = {option: -derivative for option, derivative in gradient.items()}
    caption = (
        f'Force of gradient descent on the logit of the true class ({words.MINUS} gradient) '
        'against that logit. Left: wrong predictions. Right: correct predictions. A good loss is '
        'largest on the left.'
    )
    drawing = plots.draw(
        lambda width: _panels(study, width, logit, negative, f'{words.MINUS} gradient', {})
    )
    alt = f'{words.MINUS} gradient at true-class logits {ends}. {values}.'
    return FigureBlock(name, drawing, alt, caption)


def _panels(
    study: AblationRun,
    width: float,
    logit: np.ndarray,
    curves: Curves,
    y: str,
    bounds: Mapping[str, float],
) -> Figure:
    drawn, grid = plots.panels(list(curves), width, 'logit of the true class', y)
    compared, colours = study.baseline in curves and len(curves) > 1, palette.colours(study.options)
    reference = plots.in_colour(REFERENCE, colours[study.baseline])
    for axes, (option, curve) in zip(grid, curves.items(), strict=True):
        axes.axvline(0, color=plots.GREY, linewidth=0.8)
        if compared and option != study.baseline:
            axes.plot(logit, curves[study.baseline], **reference)
        axes.plot(logit, curve, color=colours[option], **OPTION)
        axes.set_xlim(logit[0], logit[-1])
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: _signed(value))
        if option in bounds:
            axes.axhline(bounds[option], **BOUND)
    handles = [Line2D([], [], label='this option', color=plots.INK, **OPTION)]
    handles += [Line2D([], [], label='baseline', **reference)] if compared else []
    plots.legend(
        drawn, handles + ([Line2D([], [], label='minimum', **BOUND)] if bounds else []), width
    )
    return drawn
