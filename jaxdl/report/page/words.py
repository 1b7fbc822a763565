"""How the report writes numbers, lists, settings and paths."""

import json
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxdl.report.page import markup

SPACE = '\u00a0'  # between a number and its unit: never broken over two lines
DASH, MINUS, TIMES = '\u2013', '\u2212', '\u00d7'
# an absolute path; its last part
_PATH = r'(?<![\w./])(?:[A-Za-z]:\\|/)(?:[^{0}/\\]+[/\\])*([^{0}/\\]+)'


def number(share: float) -> str:
    """A share in per cent, where the unit stands elsewhere: `97.42`."""
    return f'{100 * share:.2f}'


def percent(share: float) -> str:
    """A share in per cent: `97.42 %`."""
    return f'{number(share)}{SPACE}%'


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed unless it rounds to none: `+0.52`."""
    text = number(abs(difference))
    return text if not float(text) else f'{"+" if difference > 0 else MINUS}{text}'


def span(low: float | None, high: float | None, write: Callable[[float], str] = points) -> str:
    """An interval, each end by `write`: `+0.10 to +0.94`; a dash where one value has none."""
    return DASH if low is None or high is None else f'{write(low)} to {write(high)}'


def p_value(p: float) -> str:
    """Three decimals; below a thousandth only that."""
    return '< 0.001' if p < 0.001 else f'{p:.3f}'


def exactly(value: float | None) -> str:
    """A count in full: `12,345`; a dash where there is none."""
    return DASH if value is None else f'{value:,.0f}'


def amount(value: float | None) -> str:
    """A large count to three digits with an SI prefix: `1.23 M`; below ten thousand exactly."""
    if value is None or value < 1e4:
        return exactly(value)
    digits, exponent = f'{value:.2e}'.split('e')
    groups, rest = divmod(int(exponent), 3)
    return f'{float(digits) * 10**rest:.{2 - rest}f}{SPACE}{" kMGTPEZY"[groups]}'


def significant(value: float | None) -> str:
    """Three significant digits, without an exponent: `0.482`, `12.3`, `1,230`.

    A dash where there is none.
    """
    if not value:
        return DASH if value is None else '0'
    return f'{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}'


def power(exponent: float) -> str:
    """A power of ten, its exponent rounded: `10⁻¹²`, and `1`."""
    raised = str(round(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))
    return f'10{raised}' if round(exponent) else '1'


def scientific(value: float) -> str:
    """Two significant digits and a power of ten: 2.1 times 10⁻¹³.

    Without that power from 0.01 to 100.
    """
    if 0.01 <= value < 100 or not value > 0:
        return f'{value:.2g}'
    digits, exponent = f'{value:.1e}'.split('e')
    return f'{digits}{SPACE}{TIMES}{SPACE}{power(int(exponent))}'


def seconds(value: float) -> str:
    """A duration: `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if value < 100:
        return f'{value:.1f}{SPACE}s'
    minutes, rest = divmod(round(value), 60)
    if minutes < 100:
        return f'{minutes}{SPACE}min {rest}{SPACE}s'
    return f'{minutes // 60}{SPACE}h {minutes % 60}{SPACE}min'


def count(n: int, noun: str) -> str:
    """A number and its noun: `1 seed`, `10 seeds`."""
    return f'{n:,}{SPACE}{noun}{"" if n == 1 else "es" if noun.endswith("s") else "s"}'


def listing(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *front, last = items
    return f'{", ".join(front)} and {last}' if front else last


def product(*factors: object) -> str:
    """`5 options x 3 seeds`, with the proper sign."""
    return f' {TIMES} '.join(map(str, factors))


def condition(text: str) -> str:
    """A condition as the text names it; the unnamed one is the study as it was configured."""
    return markup.name(text or 'as configured')


def settings(overrides: Mapping[str, Any]) -> str:
    """Overrides as they would be typed: `pooling=avg`, `width=32`."""
    if not overrides:
        return 'as configured'
    written = (
        f'{k}={v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}'
        for k, v in overrides.items()
    )
    return ', '.join(markup.code(local(text)) for text in written)


def local(text: str) -> str:
    """With every absolute path cut to its last part.

    A report says nothing of the machine's folders.
    """
    return re.sub(_PATH.format(r'\s'), r'\1', text)


def local_command(command: str) -> str:
    """A command line with the absolute paths in its arguments, which may hold spaces.

    Cut to their last part.
    """
    try:
        arguments = shlex.split(command)
    except ValueError:  # an open quote: no shell took this line, so it is only shown
        return local(command)
    return ' '.join(
        shlex.quote(re.sub(_PATH.format(''), r'\1', argument)) for argument in arguments
    )
