"""Networks before and after training: gradient norms, distinct units, decision boundaries."""

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
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, palette, plots, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

START: plots.Line = dict(linestyle=(0, (4, 1.5)), marker='o', markersize=5, mfc='white')
END: plots.Line = dict(linestyle='-', marker='o', markersize=4)
STYLES = dict(start=START, end=END)
TINY = 1e-12  # smaller norms count as 0

Layers = dict[str, np.ndarray]  # layer -> [member], from the input to the head


def blocks(folder: pathlib.Path, study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Figures `figure`_gradients and `figure`_boundaries, and a table of distinct units.

    Each only if the study recorded its arrays.
    """
    arrays = reading.arrays(folder / 'probes.npz')
    members = _members(arrays, study)
    if not members:
        return []
    count = len(arrays['seed'])
    answers = {
        name: values for name, values in arrays.items() if values.ndim and len(values) == count
    }
    finite = _finite(answers, count)
    usable = {option: rows[finite[rows]] for option, rows in members.items() if finite[rows].any()}
    content = [
        *_norms(f'{figure}_gradients', answers, usable, palette.colours(study.options)),
        *_units(study, condition, answers, usable),
        *boundaries.blocks(
            f'{figure}_boundaries', study, condition, answers, usable, int(arrays['seed'].min())
        ),
    ]
    excluded = [
        f'{(~finite[rows]).sum()} of {markup.name(o)}'
        for o, rows in members.items()
        if not finite[rows].all()
    ]
    note = (
        f'Left out, because their outputs were not finite: {words.listing(excluded)}.'
        if excluded
        else ''
    )
    return [*content, *([Paragraph(note, 'note')] if note else [])] if content else []


def _members(arrays: Answers, study: AblationRun) -> Members:
    option, seed = arrays.get('option', np.zeros(0)), arrays.get('seed', np.zeros(0))
    if option.ndim != 1 or option.shape != seed.shape or seed.dtype.kind not in 'iu':
        return {}
    places = {name: np.flatnonzero(option == name) for name in study.options}
    return {
        each: rows[np.argsort(seed[rows], kind='stable')]
        for each, rows in places.items()
        if len(rows)
    }


def _finite(answers: Answers, members: int) -> np.ndarray:
    """Whether all outputs of a member are finite, bool [member]."""
    numbers = [
        values.reshape(members, -1) for values in answers.values() if values.dtype.kind == 'f'
    ]
    return (
        np.all([np.isfinite(values).all(1) for values in numbers], axis=0)
        if numbers
        else np.ones(members, bool)
    )


def _layers(answers: Answers, when: str, name: str) -> Layers:
    """Layer -> values [member]; first convolutions, then dense layers, then the head."""
    start = f'{when}.{name}.'
    layers = {
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

    return {layer: layers[layer].astype(float) for layer in sorted(layers, key=place)}


def _norms(
    name: str, answers: Answers, members: Members, colours: Mapping[str, str]
) -> list[Block]:
    """Norms of the gradient with respect to each kernel, one panel per option."""
    norms = {when: _layers(answers, when, 'gradient_norms') for when in STYLES}
    norms = {when: layers for when, layers in norms.items() if layers}
    if not norms or not members:
        return []
    layers = list(dict.fromkeys(layer for values in norms.values() for layer in values))
    everyone = np.concatenate(list(members.values()))
    drawn_values = np.concatenate(
        [values[everyone] for of_layer in norms.values() for values in of_layer.values()]
    )
    positive = drawn_values[drawn_values > TINY]
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    floor = low / 30 if len(positive) < len(drawn_values) else 0.0

    n = words.sample(max(map(len, members.values())), 'seed')

    def plot(width: float) -> Figure:
        y = f'norm of the gradient ({n})'
        drawn, grid = plots.panels(list(members), width, 'layer, input first', y)
        for axes, (option, rows) in zip(grid, members.items(), strict=True):
            for when, of_layer in norms.items():
                _line(
                    axes,
                    [layers.index(layer) + 1 for layer in of_layer],
                    [v[rows] for v in of_layer.values()],
                    floor,
                    when,
                    colours[option],
                )
            axes.set_xticks(range(1, len(layers) + 1))
            axes.set_xlim(0.6, len(layers) + 0.4)
        _norm_axis(grid[0], low, high, floor)
        handles = [
            Line2D([], [], label=f'{when} of training', color=plots.INK, **STYLES[when])
            for when in norms
        ]
        plots.legend(drawn, handles, width)
        return drawn

    numbered = ', '.join(f'{i} {markup.code(layer)}' for i, layer in enumerate(layers, 1))
    zeros = f' At 0: less than {words.power(-12)}.' if floor else ''
    caption = (
        'Euclidean norm of the gradient of the loss with respect to the kernel of each layer, on '
        f'some training images. Lines: mean over {n}. Dots: one '
        f'seed each. The axis is logarithmic.{zeros} Layers: {numbered}.'
    )
    return [FigureBlock(name, plots.draw(plot), _norms_alt(norms, members), caption)]


def _line(
    axes: Axes,
    places: Sequence[int],
    values: Sequence[np.ndarray],
    floor: float,
    when: str,
    colour: str,
) -> None:
    style, shift = plots.in_colour(STYLES[when], colour), dict(start=-0.08, end=0.08)[when]
    seeds = [np.where(norms > TINY, norms, floor) for norms in values]
    for x, norms in zip(places, seeds, strict=True):
        axes.plot(
            [x + shift] * len(norms),
            norms,
            '.',
            color=style['color'],
            alpha=0.35,
            markersize=5,
            mew=0,
        )
    means = [norms.mean() if norms.mean() > TINY else floor for norms in values]
    axes.plot(np.array(places) + shift, means, **style)


def _norm_axis(axes: Axes, low: float, high: float, floor: float) -> None:
    """Scale y logarithmically, with a tick for 0 at `floor` if that is above 0."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    decades = range(first, last + 1) if first <= last else range(first - 1, last + 2)
    ticks = [10.0**power for power in decades][:: -(-len(decades) // 5)]
    axes.set_yscale('log')
    axes.set_ylim((floor or min(low, ticks[0])) / 2.5, max(high, ticks[-1]) * 2.5)
    axes.yaxis.set_major_locator(ticker.FixedLocator([floor, *ticks] if floor else ticks))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(lambda v, _: '0' if v == floor else words.power(np.log10(v)))


def _norms_alt(norms: Mapping[str, Layers], members: Members) -> str:
    options = []
    for option, rows in members.items():
        parts = (
            f'{when} {", ".join(f"{values[rows].mean():.2g}" for values in layers.values())}'
            for when, layers in norms.items()
        )
        options.append(f'{markup.flat(option)}: {"; ".join(parts)}')
    return f'Mean gradient norm per layer, input first. {". ".join(options)}.'


def _units(study: AblationRun, condition: str, answers: Answers, members: Members) -> list[Block]:
    """Number of distinct units per hidden layer after training, and reasons for a single one."""
    units = _layers(answers, 'end', 'distinct_units')
    if not units or not members:
        return []
    width = study.design(condition)['variant'].get('width')
    fits = (
        'width' not in study.varied
        and width
        and all(values.max() <= width for values in units.values())
    )
    of = f' (of {width})' if fits else ''
    rows = [
        [markup.name(o), *(_mean(values[indices]) for values in units.values())]
        for o, indices in members.items()
    ]
    columns = ('Option', *(f'{markup.code(layer)}{of}' for layer in units))
    caption = 'Distinct hidden units after training: mean over seeds (range)'
    note = 'Two units are distinct if their outputs differ on at least one of some training images.'
    equal = _single_units(answers, members, units)
    return [
        Table(caption, columns, rows, 'l' + 'r' * len(units)),
        Paragraph(note, 'note'),
        *([Items([_reason(o, answers, members[o]) for o in equal])] if equal else []),
    ]


def _mean(values: np.ndarray) -> str:
    mean = f'{values.mean():.1f}'.removesuffix('.0')
    return (
        mean
        if values.min() == values.max()
        else f'{mean} ({values.min():.0f} to {values.max():.0f})'
    )


def _single_units(answers: Answers, members: Members, end: Layers) -> list[str]:
    """Options with one distinct unit per hidden layer, before and after training."""
    start = _layers(answers, 'start', 'distinct_units')
    both = [*start.values(), *end.values()]
    return [
        option
        for option, rows in members.items()
        if start and all((values[rows] == 1).all() for values in both)
    ]


def _reason(option: str, answers: Answers, rows: np.ndarray) -> str:
    text = (
        f'{markup.name(option)}: all units of each hidden layer are equal, before and after '
        'training. Units with equal initial weights get equal gradients at every step and stay '
        'equal.'
    )
    norms = [_layers(answers, when, 'gradient_norms') for when in STYLES]
    if all(norms) and not any(values[rows].any() for layers in norms for values in layers.values()):
        text += (
            ' The gradient with respect to every kernel is 0 at the start and at the end, so the '
            'weights do not move.'
        )
    return text
