"""A chart as the page's script reads it: JSON that no name can break out of.

Its numbers those of the tables.
"""

import dataclasses
import decimal
import json
import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from jaxdl.report.page import markup
from jaxdl.report.page.blocks import Chart, Curve

# After Okabe and Ito's palette, each 3:1 against white and against a dark page. A name has a marker
# beside its colour.
PALETTE = ('#0072B2', '#D55E00', '#009E73', '#C4659B', '#3C93C8', '#7D6A5A')
ESCAPED = {ord(sign): f'\\u{ord(sign):04x}' for sign in '<>&\u2028\u2029'}


def encode(chart: Chart) -> Markup:
    """The chart as JSON, safe within a script element.

    Nothing in it can end that or open another.
    """
    curves = [_curve(curve, chart.axes[curve.axis].decimals) for curve in chart.curves]
    fields = dataclasses.asdict(dataclasses.replace(chart, curves=())) | dict(
        curves=curves, colors=PALETTE
    )
    text = json.dumps(fields, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
    return Markup(text.translate(ESCAPED))


def _curve(curve: Curve, decimals: int) -> dict[str, Any]:
    values = {
        part: [readable(v, decimals) for v in getattr(curve, part)]
        for part in ('mean', 'low', 'high')
    }
    names = dict(name=markup.flat(curve.name), part=curve.part, axis=curve.axis)
    return names | dict(
        x=_significant(curve.x), **values, mark=curve.mark and _significant([curve.mark])[0]
    )


def readable(value: float, decimals: int) -> float | None:
    """To 5 significant digits.

    Where those would be read off as another number than the tables write, to that one.

    None where it is not finite.
    """
    if not math.isfinite(value):
        return None
    short, written = float(f'{value:.5g}'), f'{value:.{decimals}f}'
    # As a browser rounds: what the number is in binary, a half away from zero.
    read = decimal.Decimal(short).quantize(
        decimal.Decimal(1).scaleb(-decimals), decimal.ROUND_HALF_UP
    )
    return short if read == decimal.Decimal(written) else float(written)


def _significant(values: Sequence[float]) -> list[float]:
    rounded = [float(f'{value:.5g}') for value in values]
    return [int(value) if value.is_integer() else value for value in rounded]
