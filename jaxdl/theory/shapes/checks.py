"""Checks of the size formulas against XLA and counted positions, and of wrong rules."""

import math
from collections.abc import Callable, Iterator, Sequence

from jaxdl.errors import InputError
from jaxdl.report.page import words
from jaxdl.theory.shapes.cases import POOLS_RUN, Case, OutputSizes, Pair
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

SizeRule = Callable[..., Pair]
# What becomes of (padded input - filter) / stride; all but the first are wrong.
ROUNDINGS: dict[str, Callable[[float], int]] = {
    'floor, plus 1': lambda steps: math.floor(steps) + 1,
    'ceiling, plus 1': lambda steps: math.ceil(steps) + 1,
    'nearest, plus 1': lambda steps: math.floor(steps + 0.5) + 1,
    'floor, without the 1': math.floor,
    'towards 0, plus 1': lambda steps: math.trunc(steps) + 1,
}


def count_positions(case: Case) -> Pair:
    """Positions of the dilated filter within the padded input, counted one by one."""
    rows, columns = (
        sum(start + d * (m - 1) < j + 2 * p for start in range(0, j + 2 * p, s))
        for j, m, s, p, d in zip(
            case.size, case.window, case.stride, case.padding, case.dilation, strict=True
        )
    )
    return rows, columns


def free_pixels(case: Case) -> Pair:
    """Pixels that the filter can move within the padded input; negative if it does not fit."""
    numbers = zip(case.size, case.window, case.padding, case.dilation, strict=True)
    rows, columns = (j + 2 * p - d * (m - 1) - 1 for j, m, p, d in numbers)
    return rows, columns


def unused_pixels(case: Case) -> Pair:
    """Unused rows and columns of the padded input behind the last position."""
    rows, columns = (t % s for t, s in zip(free_pixels(case), case.stride, strict=True))
    return rows, columns


def is_not_empty(pair: Pair) -> bool:
    """Whether the output is not empty."""
    return min(pair) > 0


def measure(
    cases: Sequence[Case],
    observed: OutputSizes,
    conv_size: SizeRule,
    pool_size: SizeRule,
    same_padding: Callable[..., tuple],
) -> list[Claim]:
    """Claims on the given formulas and on wrong roundings."""
    with_output = [i for i, size in enumerate(observed.convolutions) if is_not_empty(size)]
    return [
        *_on_convolutions(cases, observed, conv_size),
        *_on_poolings(cases, observed, pool_size),
        _on_same(cases, observed, conv_size, same_padding),
        *_on_roundings(
            [cases[i] for i in with_output], [observed.convolutions[i] for i in with_output]
        ),
        _on_truncation(
            [
                case
                for case, size in zip(cases, observed.convolutions, strict=True)
                if not is_not_empty(size)
            ]
        ),
    ]


def _on_convolutions(
    cases: Sequence[Case], observed: OutputSizes, rule: SizeRule
) -> Iterator[Claim]:
    sizes = [
        _try_rule(rule, c.size, c.window, c.stride, c.padding, dilation=c.dilation) for c in cases
    ]
    with_output = [i for i, case in enumerate(cases) if is_not_empty(count_positions(case))]
    agree = sum(sizes[i] == observed.convolutions[i] for i in with_output)
    yield claims.close(
        'Convolutions with an output: cases with the size of XLA', len(with_output), agree, 0
    )
    agree = sum(sizes[i] == count_positions(cases[i]) for i in with_output)
    yield claims.close(
        'The same: cases with the number of positions counted one by one',
        len(with_output),
        agree,
        0,
    )
    empty = [i for i, case in enumerate(cases) if not is_not_empty(count_positions(case))]
    errors = sum(sizes[i] is None and not is_not_empty(observed.convolutions[i]) for i in empty)
    sentence = 'Convolutions without an output: error of the formula, empty feature map of XLA'
    yield claims.close(sentence, len(empty), errors, 0)


def _on_poolings(cases: Sequence[Case], observed: OutputSizes, rule: SizeRule) -> Iterator[Claim]:
    sizes = [_try_rule(rule, c.size, c.window[0], c.stride) for c in cases]
    with_output = [
        size for size in zip(sizes, observed.poolings, strict=True) if is_not_empty(size[1])
    ]
    agree = sum(one == other for one, other in with_output)
    yield claims.close(
        'Max poolings with an output: cases with the size inferred by JAX',
        len(with_output),
        agree,
        0,
    )
    empty = len(cases) - len(with_output)
    errors = sum(
        one is None and not is_not_empty(other)
        for one, other in zip(sizes, observed.poolings, strict=True)
    )
    yield claims.close(
        'Max poolings without an output: error of the formula, empty feature map', empty, errors, 0
    )
    run = sum(
        (sizes[i] or (0, 0)) == size if is_not_empty(size) else sizes[i] is None
        for i, size in observed.poolings_run.items()
    )
    sentence = (
        f'Max poolings compiled and run, one in {POOLS_RUN}: cases with the size of the formula'
    )
    yield claims.close(sentence, len(observed.poolings_run), run, 0)


def _on_same(
    cases: Sequence[Case], observed: OutputSizes, rule: SizeRule, same_padding: Callable[..., tuple]
) -> Claim:
    """Claim: SAME gives ceil(J / s), and so does the formula with the padding of `same_padding`."""
    agree = 0
    for case, size, pads in zip(cases, observed.same, observed.same_pads, strict=True):
        added = same_padding(case.size, case.window, case.stride, dilation=case.dilation)
        padded = tuple(j + sum(pad) for j, pad in zip(case.size, added, strict=True))
        ceiling = tuple(-(-j // s) for j, s in zip(case.size, case.stride, strict=True))
        computed = _try_rule(rule, padded, case.window, case.stride, 0, dilation=case.dilation)
        agree += added == pads and computed == size == ceiling
    sentence = (
        "Padding 'SAME' of JAX: cases with the derived padding and the size ceil(input / stride)"
    )
    return claims.close(sentence, len(cases), agree, 0)


def _on_roundings(cases: Sequence[Case], sizes: Sequence[Pair]) -> Iterator[Claim]:
    """Claims: each wrong rounding fails exactly where the remainder predicts."""
    spare = [list(zip(unused_pixels(case), case.stride, strict=True)) for case in cases]
    predicted = {
        'ceiling, plus 1': sum(any(r for r, _ in remainders) for remainders in spare),
        'nearest, plus 1': sum(any(2 * r >= s for r, s in remainders) for remainders in spare),
        'floor, without the 1': len(cases),
    }
    for name, expected in predicted.items():
        wrong = sum(
            size_by_rounding(ROUNDINGS[name], case) != size
            for case, size in zip(cases, sizes, strict=True)
        )
        yield claims.close(
            f'Convolutions with a wrong size by the rule "{name}"', expected, wrong, 0
        )


def _on_truncation(cases: Sequence[Case]) -> Claim:
    """Claim: integer division as in C gives a size if less than a stride is missing."""
    predicted = sum(
        all(-s < t for t, s in zip(free_pixels(case), case.stride, strict=True)) for case in cases
    )
    wrong = sum(
        is_not_empty(size_by_rounding(ROUNDINGS['towards 0, plus 1'], case)) for case in cases
    )
    sentence = 'Convolutions without an output: sizes above 0 by the rule "towards 0, plus 1"'
    return claims.close(sentence, predicted, wrong, 0)


def size_by_rounding(rounding: Callable[[float], int], case: Case) -> Pair:
    """Size by a rounding of (padded input - filter) / stride, without any check."""
    rows, columns = (rounding(t / s) for t, s in zip(free_pixels(case), case.stride, strict=True))
    return rows, columns


def numbers(cases: Sequence[Case], observed: OutputSizes) -> dict[str, str]:
    """Numbers of the text."""
    with_output = [
        case for case, size in zip(cases, observed.convolutions, strict=True) if is_not_empty(size)
    ]
    empty = [
        case
        for case, size in zip(cases, observed.convolutions, strict=True)
        if not is_not_empty(size)
    ]
    spare = sum(any(unused_pixels(case)) for case in with_output)
    negative = sum(min(size_by_rounding(ROUNDINGS['floor, plus 1'], case)) < 0 for case in empty)
    truncated = sum(
        is_not_empty(size_by_rounding(ROUNDINGS['towards 0, plus 1'], case)) for case in empty
    )
    return dict(
        cases=f'{len(cases):,}',
        kept=f'{len(with_output):,}',
        lost=f'{len(empty):,}',
        pools_lost=f'{sum(not is_not_empty(size) for size in observed.poolings):,}',
        pools_run=f'{len(observed.poolings_run):,}',
        spare=f'{spare:,}',
        spare_share=words.percent(spare / len(with_output)),
        negative=f'{negative:,}',
        truncated=f'{truncated:,}',
    )


def _try_rule(rule: SizeRule, *arguments: object, **more: object) -> Pair | None:
    """Size by a rule; None if the rule raises an error."""
    try:
        return rule(*arguments, **more)
    except InputError:
        return None
