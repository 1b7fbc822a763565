"""Each loss and its gradient against the logit of the right class.

Why some final activations cannot learn.
"""

import math
import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

OWN: plots.Line = dict(color=plots.BLUE, linestyle='-')
REFERENCE: plots.Line = dict(color=plots.GREY, linestyle=(0, (4, 1.5)))
BOUND: plots.Line = dict(color=plots.VERMILION, linestyle=':', linewidth=1.7)

KEYS = ('option', 'logit', 'loss', 'gradient', 'best')
BOUNDED = dict(
    sigmoid_softmax_cross_entropy='the softmax sees only numbers between 0 and 1',
    double_softmax_cross_entropy='the outer softmax sees only the probabilities of the inner one, between 0 and 1',
)
APART = (
    'sigmoid_cross_entropy',
    'sigmoid_squared_error',
    'tanh_squared_error',
)  # a sum over the classes
FLAT = ('softmax_squared_error', 'sigmoid_squared_error', 'tanh_squared_error')
HOW_TO_READ = (
    'All other logits are 0. Gradient: the derivative of the loss by the logit of the right class; below 0, a step of '
    'descent raises that logit. Cross-entropies are in nats, squared errors have no unit, so compare the shapes across '
    'those kinds, not the sizes; the sigmoids also pay for the other classes, whose logits stay at 0 here.'
)

Curves = dict[str, np.ndarray]  # option -> its values along the logit


def blocks(folder: pathlib.Path, study: Study, condition: str, figure: str) -> list[Block]:
    """Two figures, `figure`_loss and `figure`_gradient, a table.

    And what the numbers say of the study's mistakes.
    """
    found = reading.arrays(folder / 'logit_gradients.npz')
    options = _options(found, study)
    if not options:
        return []
    logit = found['logit']
    loss, gradient = (
        {o: found[key][i] for o, i in options.items()} for key in ('loss', 'gradient')
    )
    best = {option: float(found['best'][i]) for option, i in options.items()}
    bounds = _bounds(study, condition, loss)
    said = _said(study, condition, logit, gradient, best, bounds)
    return [
        *([Items(said)] if said else []),
        _loss_figure(f'{figure}_loss', study, logit, _own_class(study, loss, best), bounds),
        _gradient_figure(f'{figure}_gradient', study, logit, gradient),
        _table(logit, gradient, best),
        Paragraph(HOW_TO_READ, 'note'),
    ]


def _options(found: Mapping[str, np.ndarray], study: Study) -> dict[str, int]:
    """Each option of the study that the arrays hold -> its place in them.

    None where the arrays do not fit together.
    """
    if (
        any(key not in found for key in KEYS)
        or found['option'].ndim != 1
        or found['logit'].ndim != 1
    ):
        return {}
    k, m = len(found['option']), len(found['logit'])
    shapes = dict(logit=(m,), loss=(k, m), gradient=(k, m), best=(k,))
    for key, shape in shapes.items():
        if (
            found[key].shape != shape
            or found[key].dtype.kind != 'f'
            or not np.isfinite(found[key]).all()
        ):
            return {}
    if m < 2 or not np.all(np.diff(found['logit']) > 0):
        return {}
    places = {str(option): i for i, option in enumerate(found['option'])}
    return {option: places[option] for option in study.options if option in places}


def _loss_of(study: Study, option: str) -> str:
    return study.config['options'][option].get('loss', study.config['variant'].get('loss', ''))


def _bounds(study: Study, condition: str, loss: Curves) -> dict[str, float]:
    """The least loss of any logits, for options that bound it above 0 and whose curve agrees."""
    bound = math.log(1 + (len(study.data[condition]['classes']) - 1) / math.e)
    held = [option for option, curve in loss.items() if _loss_of(study, option) in BOUNDED]
    return {option: bound for option in held if loss[option].min() >= bound - 1e-4}


def _own_class(study: Study, loss: Curves, best: Mapping[str, float]) -> Curves:
    """Without what the other classes add, a constant, where a loss is a sum over the classes.

    It hides the rest.
    """
    return {
        o: curve - best[o] if _loss_of(study, o) in APART else curve for o, curve in loss.items()
    }


def _said(
    study: Study,
    condition: str,
    logit: np.ndarray,
    gradient: Curves,
    best: Mapping[str, float],
    bounds: Mapping[str, float],
) -> list[str]:
    classes = len(study.data[condition]['classes'])
    said = [
        _bounded(study, option, classes, bound, best[option]) for option, bound in bounds.items()
    ]
    for option, slope in gradient.items():
        name, low = markup.name(option), _low(logit)
        if (
            _loss_of(study, option) == 'relu_softmax_cross_entropy'
            and (logit < 0).any()
            and not slope[logit < 0].any()
        ):
            said.append(
                f'{name}: wherever the logit of the right class is below 0 its gradient is exactly 0 '
                f'({(logit < 0).sum()} of {len(logit)} points here), so an example that is wrong in this way teaches '
                'that logit nothing. And no class can be told down below 0.'
            )
        steepest = np.abs(slope).max()
        if _loss_of(study, option) in FLAT and abs(slope[0]) < 0.01 * steepest:
            said.append(
                f'{name}: surely wrong, at logit {low}, the gradient is {_number(slope[0])}; it is steepest, '
                f'{_number(slope[np.abs(slope).argmax()])}, at logit {_signed(logit[np.abs(slope).argmax()])}. The '
                'examples that are most wrong are the slowest to be put right.'
            )
    return said


def _bounded(study: Study, option: str, classes: int, bound: float, best: float) -> str:
    most, space = math.e / (math.e + classes - 1), words.SPACE
    return (
        f'{markup.name(option)}: {BOUNDED[_loss_of(study, option)]}, so with {words.count(classes, "class")} none ever '
        f'gets a probability above e / (e + {classes - 1}) = {most:.3f}, and no logits bring the loss below '
        f'ln(1 + {classes - 1} / e) = {bound:.2f}{space}nats, where a guess has ln {classes} = '
        f'{math.log(classes):.2f}{space}nats. With all other logits at 0 it comes down to {best:.2f}{space}nats.'
    )


def _table(logit: np.ndarray, gradient: Curves, best: Mapping[str, float]) -> Table:
    columns = (
        'Option',
        'Least loss here',
        'Gradient at logit 0',
        f'Gradient at logit {_low(logit)} (surely wrong)',
    )
    rows = [
        [
            markup.name(o),
            f'{best[o]:.3f}',
            _number(float(np.interp(0, logit, slope))),
            _number(slope[0]),
        ]
        for o, slope in gradient.items()
    ]
    return Table(
        'Loss and gradient by the logit of the right class, other logits 0', columns, rows, 'lrrr'
    )


def _low(logit: np.ndarray) -> str:
    return _signed(logit[0])


def _signed(value: float) -> str:
    return f'{value:.4g}'.replace('-', words.MINUS)


def _number(value: float) -> str:
    """A gradient to three decimals; a small one with an exponent, nothing as 0 alone."""
    if not value:
        return '0'
    return (f'{value:.3f}' if abs(value) >= 0.001 else f'{value:.0e}').replace('-', words.MINUS)


def _loss_figure(
    name: str, study: Study, logit: np.ndarray, loss: Curves, bounds: Mapping[str, float]
) -> FigureBlock:
    said = '; '.join(
        f'{markup.flat(o)} {c[0]:.2f}, {np.interp(0, logit, c):.2f}, {c[-1]:.2f}'
        for o, c in loss.items()
    )
    ends = words.listing([_low(logit), '0', _signed(logit[-1])])
    caption = 'Loss of one example against the logit of its right class, all other logits being 0.'
    if any(_loss_of(study, option) in APART for option in loss):
        caption += ' Where a loss is a sum over the classes (sigmoids, tanh), the constant of the others is left out.'
    if bounds:
        caption += ' Dotted: the least loss that any logits have, where that is not 0.'
    drawing = plots.draw(lambda width: _panels(study, width, logit, loss, 'loss', bounds))
    return FigureBlock(
        name, drawing, f'Loss where the logit of the right class is {ends}. {said}.', caption
    )


def _gradient_figure(name: str, study: Study, logit: np.ndarray, gradient: Curves) -> FigureBlock:
    said = '; '.join(
        f'{markup.flat(o)} {_number(-c[0])}, {_number(-float(np.interp(0, logit, c)))}, {_number(-c[-1])}'
        for o, c in gradient.items()
    )
    ends = words.listing([_low(logit), '0', _signed(logit[-1])])
    pull = {option: -slope for option, slope in gradient.items()}
    caption = (
        f'How strongly descent raises the logit of the right class ({words.MINUS} gradient), against that logit. Left '
        'is wrong, right is right: a good loss pulls hardest on the left.'
    )
    drawing = plots.draw(
        lambda width: _panels(study, width, logit, pull, f'{words.MINUS} gradient', {})
    )
    alt = f'{words.MINUS} gradient where the logit of the right class is {ends}. {said}.'
    return FigureBlock(name, drawing, alt, caption)


def _panels(
    study: Study,
    width: float,
    logit: np.ndarray,
    curves: Curves,
    y: str,
    bounds: Mapping[str, float],
) -> Figure:
    drawn, grid = plots.panels(list(curves), width, 'logit of the right class', y)
    compared = study.baseline in curves and len(curves) > 1
    for axes, (option, curve) in zip(grid, curves.items(), strict=True):
        _panel(
            axes,
            logit,
            curve,
            curves[study.baseline] if compared and option != study.baseline else None,
        )
        if option in bounds:
            axes.axhline(bounds[option], **BOUND)
    handles = [Line2D([], [], label='this option', **OWN)]
    handles += [Line2D([], [], label='baseline', **REFERENCE)] if compared else []
    plots.legend(
        drawn, handles + ([Line2D([], [], label='no lower', **BOUND)] if bounds else []), width
    )
    return drawn


def _panel(axes: Axes, logit: np.ndarray, curve: np.ndarray, reference: np.ndarray | None) -> None:
    axes.axvline(0, color=plots.GREY, linewidth=0.8)
    if reference is not None:
        axes.plot(logit, reference, **REFERENCE)
    axes.plot(logit, curve, **OWN)
    axes.set_xlim(logit[0], logit[-1])
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: _signed(value))
