"""Format numbers, intervals, lists, settings and paths for reports."""

import json
import math
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from jaxdl.report.page import markup

SPACE = '\u00a0'  # no-break space, between a number and its unit
DASH, MINUS, TIMES = '\u2013', '\u2212', '\u00d7'
# an absolute path; its last part
_PATH = r'(?<![\w./])(?:[A-Za-z]:\\|/)(?:[^{0}/\\]+[/\\])*([^{0}/\\]+)'


def number(share: float) -> str:
    """A share in per cent, without the unit: `97.42`."""
    return f'{100 * share:.2f}'


def percent(share: float) -> str:
    """A share in per cent: `97.42 %`."""
    return f'{number(share)}{SPACE}%'


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed unless it rounds to 0: `+0.52`."""
    text = number(abs(difference))
    return text if not float(text) else f'{"+" if difference > 0 else MINUS}{text}'


def span(low: float | None, high: float | None, write: Callable[[float], str] = points) -> str:
    """An interval with each end formatted by `write`: `+0.10 to +0.94`; a dash without one."""
    return DASH if low is None or high is None else f'{write(low)} to {write(high)}'


def p_value(p: float) -> str:
    """A p-value with three decimals, or `< 0.001`."""
    return '< 0.001' if p < 0.001 else f'{p:.3f}'


def exactly(value: float | None) -> str:
    """A count in full: `12,345`; a dash for None."""
    return DASH if value is None else f'{value:,.0f}'


def amount(value: float | None) -> str:
    """A count with three digits and an SI prefix: `1.23 M`; in full below 10,000."""
    if value is None or value < 1e4:
        return exactly(value)
    digits, exponent = f'{value:.2e}'.split('e')
    groups, rest = divmod(int(exponent), 3)
    return f'{float(digits) * 10**rest:.{2 - rest}f}{SPACE}{" kMGTPEZY"[groups]}'


def significant(value: float | None) -> str:
    """Three significant digits without exponent: `0.482`, `12.3`, `1,230`; a dash for None."""
    if not value:
        return DASH if value is None else '0'
    return f'{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}'


def decimal(value: float) -> str:
    """Up to three significant digits without exponent: `0.5`, `0.00003`, `12.3`."""
    return format(Decimal(f'{value:.3g}').normalize(), 'f').replace('-', MINUS)


def power(exponent: float) -> str:
    """A power of ten with a rounded exponent: `10⁻¹²`, `1`."""
    raised = str(round(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))
    return f'10{raised}' if round(exponent) else '1'


def scientific(value: float) -> str:
    """Two significant digits, with a power of ten outside of 0.01 to 100."""
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
    """A number with its noun: `1 seed`, `10 seeds`."""
    return f'{n:,}{SPACE}{noun}{"" if n == 1 else "es" if noun.endswith("s") else "s"}'


def sample(n: int, noun: str) -> str:
    """Sample size: `n = 10 seeds`."""
    return f'n{SPACE}={SPACE}{count(n, noun)}'


def counts(numbers: Collection[int], noun: str) -> str:
    """Smallest and largest of several numbers with their noun: `10 seeds`, `3 to 5 seeds`."""
    low, high = min(numbers), max(numbers)
    return count(high, noun) if low == high else f'{low:,} to {count(high, noun)}'


def samples(sizes: Collection[int], noun: str) -> str:
    """Sizes of several samples: `n = 10 seeds`, `n = 3 to 5 seeds`."""
    return f'n{SPACE}={SPACE}{counts(sizes, noun)}'


def capital(text: str) -> str:
    """Text with a capital first letter."""
    return f'{text[:1].upper()}{text[1:]}'


def listing(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *front, last = items
    return f'{", ".join(front)} and {last}' if front else last


def product(*factors: object) -> str:
    """Factors with multiplication signs, for example options and seeds."""
    return f' {TIMES} '.join(map(str, factors))


def field(name: str) -> str:
    """Name of a setting in sentences: `weight decay`."""
    return name.replace('_', ' ')


def condition(text: str) -> str:
    """A condition by its name, or `as configured` for the unnamed condition."""
    return markup.name(text or 'as configured')


def settings(overrides: Mapping[str, Any]) -> str:
    """Overrides as on the command line: `pooling=avg`, `width=32`."""
    if not overrides:
        return 'as configured'
    written = (
        f'{k}={v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}'
        for k, v in overrides.items()
    )
    return ', '.join(markup.code(local(text)) for text in written)


def local(text: str) -> str:
    """Text with absolute paths cut to their last part, so that reports name no folders."""
    return re.sub(_PATH.format(r'\s'), r'\1', text)


def local_command(command: str) -> str:
    """A command line with absolute paths in its arguments cut to their last part."""
    try:
        arguments = shlex.split(command)
    except ValueError:  # unbalanced quotes
        return local(command)
    return ' '.join(
        shlex.quote(re.sub(_PATH.format(''), r'\1', argument)) for argument in arguments
    )
