"""What the networks answered before and after training: gradient norms, distinct units.

Decision boundaries.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdl.report.ablation import boundaries, reading
from jaxdl.report.ablation.boundaries import Answers, Members
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

START: plots.Line = dict(
    color=plots.VERMILION, linestyle=(0, (4, 1.5)), marker='o', markersize=5, mfc='white'
)
END: plots.Line = dict(color=plots.BLUE, linestyle='-', marker='o', markersize=4)
STYLES = dict(start=START, end=END)
TINY = 1e-12  # a norm below it counts as none

Layers = dict[str, np.ndarray]  # layer -> [member], from the input to the head


def blocks(folder: pathlib.Path, study: Study, condition: str, figure: str) -> list[Block]:
    """Figures `figure`_gradients and `figure`_boundaries, and a table of distinct units.

    Whichever were asked for.
    """
    found = reading.arrays(folder / 'probes.npz')
    members = _members(found, study)
    if not members:
        return []
    count = len(found['seed'])
    answers = {
        name: values for name, values in found.items() if values.ndim and len(values) == count
    }
    finite = _finite(answers, count)
    kept = {option: rows[finite[rows]] for option, rows in members.items() if finite[rows].any()}
    made = [
        *_norms(f'{figure}_gradients', answers, kept),
        *_units(study, condition, answers, kept),
        *boundaries.blocks(
            f'{figure}_boundaries', study, condition, answers, kept, int(found['seed'].min())
        ),
    ]
    lost = [
        f'{(~finite[rows]).sum()} of {markup.name(o)}'
        for o, rows in members.items()
        if not finite[rows].all()
    ]
    note = (
        f'Left out here, since their networks were no longer finite: {words.listing(lost)}.'
        if lost
        else ''
    )
    return [*made, *([Paragraph(note, 'note')] if note else [])] if made else []


def _members(found: Answers, study: Study) -> Members:
    option, seed = found.get('option', np.zeros(0)), found.get('seed', np.zeros(0))
    if option.ndim != 1 or option.shape != seed.shape or seed.dtype.kind not in 'iu':
        return {}
    places = {each: np.flatnonzero(option == each) for each in study.options}
    return {
        each: rows[np.argsort(seed[rows], kind='stable')]
        for each, rows in places.items()
        if len(rows)
    }


def _finite(answers: Answers, members: int) -> np.ndarray:
    """Whether every number that a member answered is finite, bool [member]."""
    numbers = [
        values.reshape(members, -1) for values in answers.values() if values.dtype.kind == 'f'
    ]
    return (
        np.all([np.isfinite(values).all(1) for values in numbers], axis=0)
        if numbers
        else np.ones(members, bool)
    )


def _layers(answers: Answers, when: str, name: str) -> Layers:
    """One number a member of each layer: dense layers after the convolutions, the head last.

    Numbers in order.
    """
    start = f'{when}.{name}.'
    found = {
        key.removeprefix(start): v
        for key, v in answers.items()
        if key.startswith(start) and v.ndim == 1
    }

    def place(layer: str) -> list:
        first = re.split(r'[._]', layer)[0]
        parts = re.split(r'(\d+)', layer)
        return [
            dict(hidden=1, head=2).get(first, 0),
            [int(p) if p.isdecimal() else p for p in parts],
        ]

    return {layer: found[layer].astype(float) for layer in sorted(found, key=place)}


def _norms(name: str, answers: Answers, kept: Members) -> list[Block]:
    """The norms of the loss's gradient by each kernel, a panel an option."""
    norms = {when: _layers(answers, when, 'gradient_norms') for when in STYLES}
    norms = {when: layers for when, layers in norms.items() if layers}
    if not norms or not kept:
        return []
    layers = list(dict.fromkeys(layer for own in norms.values() for layer in own))
    everyone = np.concatenate(list(kept.values()))
    shown = np.concatenate([values[everyone] for own in norms.values() for values in own.values()])
    positive = shown[shown > TINY]
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    floor = low / 30 if len(positive) < len(shown) else 0.0

    def plot(width: float) -> Figure:
        drawn, grid = plots.panels(
            list(kept), width, 'layer, from the input on', 'norm of the gradient'
        )
        for axes, rows in zip(grid, kept.values(), strict=True):
            for when, own in norms.items():
                _line(
                    axes,
                    [layers.index(layer) + 1 for layer in own],
                    [v[rows] for v in own.values()],
                    floor,
                    when,
                )
            axes.set_xticks(range(1, len(layers) + 1))
            axes.set_xlim(0.6, len(layers) + 0.4)
        _norm_axis(grid[0], low, high, floor)
        handles = [Line2D([], [], label=f'{when} of training', **STYLES[when]) for when in norms]
        plots.legend(drawn, handles, width)
        return drawn

    numbered = ', '.join(f'{i} {markup.code(layer)}' for i, layer in enumerate(layers, 1))
    zeros = f' At 0: less than {words.power(-12)}.' if floor else ''
    caption = (
        'Euclidean norm of the gradient of the loss by the kernel of each layer, on some training images. Lines: mean '
        f'over seeds. Dots: one seed each. The axis is logarithmic.{zeros} Layers: {numbered}.'
    )
    return [FigureBlock(name, plots.draw(plot), _norms_said(norms, kept), caption)]


def _line(
    axes: Axes, places: Sequence[int], values: Sequence[np.ndarray], floor: float, when: str
) -> None:
    style, shift = STYLES[when], dict(start=-0.08, end=0.08)[when]
    seeds = [np.where(own > TINY, own, floor) for own in values]
    for x, own in zip(places, seeds, strict=True):
        axes.plot(
            [x + shift] * len(own), own, '.', color=style['color'], alpha=0.35, markersize=5, mew=0
        )
    means = [own.mean() if own.mean() > TINY else floor for own in values]
    axes.plot(np.array(places) + shift, means, **style)


def _norm_axis(axes: Axes, low: float, high: float, floor: float) -> None:
    """Logarithmic, a tick every so many decades, and at the foot one for 0 where there is one."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    decades = range(first, last + 1) if first <= last else range(first - 1, last + 2)
    ticks = [10.0**power for power in decades][:: -(-len(decades) // 5)]
    axes.set_yscale('log')
    axes.set_ylim((floor or min(low, ticks[0])) / 2.5, max(high, ticks[-1]) * 2.5)
    axes.yaxis.set_major_locator(ticker.FixedLocator([floor, *ticks] if floor else ticks))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(lambda v, _: '0' if v == floor else words.power(np.log10(v)))


def _norms_said(norms: Mapping[str, Layers], kept: Members) -> str:
    options = []
    for option, rows in kept.items():
        parts = (
            f'{when} {", ".join(f"{values[rows].mean():.2g}" for values in layers.values())}'
            for when, layers in norms.items()
        )
        options.append(f'{markup.flat(option)}: {"; ".join(parts)}')
    return f'Mean norm of the gradient by layer, from the input on. {". ".join(options)}.'


def _units(study: Study, condition: str, answers: Answers, kept: Members) -> list[Block]:
    """How many units of each hidden layer do something of their own after training.

    And why some fail.
    """
    units = _layers(answers, 'end', 'distinct_units')
    if not units or not kept:
        return []
    width = study.design(condition)['variant'].get('width')
    fits = (
        'width' not in study.varied
        and width
        and all(values.max() <= width for values in units.values())
    )
    of = f' (of {width})' if fits else ''
    rows = [
        [markup.name(o), *(_mean(values[own]) for values in units.values())]
        for o, own in kept.items()
    ]
    columns = ('Option', *(f'{markup.code(layer)}{of}' for layer in units))
    caption = 'Distinct hidden units after training, mean over seeds and range'
    note = (
        'Units are distinct where they answer differently to at least one of some training images.'
    )
    same = _all_one(answers, kept, units)
    return [
        Table(caption, columns, rows, 'l' + 'r' * len(units)),
        Paragraph(note, 'note'),
        *([Items([_why(option, answers, kept[option]) for option in same])] if same else []),
    ]


def _mean(values: np.ndarray) -> str:
    mean = f'{values.mean():.1f}'.removesuffix('.0')
    return (
        mean
        if values.min() == values.max()
        else f'{mean} ({values.min():.0f} to {values.max():.0f})'
    )


def _all_one(answers: Answers, kept: Members, end: Layers) -> list[str]:
    """The options each of whose layers was one unit many times over.

    Before training and after it.
    """
    start = _layers(answers, 'start', 'distinct_units')
    both = [*start.values(), *end.values()]
    return [
        option
        for option, rows in kept.items()
        if start and all((values[rows] == 1).all() for values in both)
    ]


def _why(option: str, answers: Answers, rows: np.ndarray) -> str:
    text = (
        f'{markup.name(option)}: each hidden layer is one unit many times over, before training and after it. Units of '
        'a layer that start alike get the same gradient at every step, so they stay alike for ever.'
    )
    norms = [_layers(answers, when, 'gradient_norms') for when in STYLES]
    if all(norms) and not any(values[rows].any() for own in norms for values in own.values()):
        text += ' And the gradient of every kernel is 0, at the start and at the end: nothing there moves its weights.'
    return text
