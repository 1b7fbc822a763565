"""Encode a chart as JSON that is safe within a script element."""

import dataclasses
import decimal
import json
import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from jaxdl.report.page import markup, palette
from jaxdl.report.page.blocks import Chart, Curve

ESCAPED = {ord(sign): f'\\u{ord(sign):04x}' for sign in '<>&\u2028\u2029'}


def encode(chart: Chart) -> Markup:
    """Encode a chart as JSON; no name in it can end the script element or open another."""
    curves = [_curve(curve, chart.axes[curve.axis].decimals) for curve in chart.curves]
    fields = dataclasses.asdict(dataclasses.replace(chart, curves=())) | dict(
        curves=curves, colors=palette.PALETTE
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
    """Round to 5 significant digits, or to the decimals of the tables if these would disagree.

    Returns:
      The rounded value; None if it is not finite.
    """
    if not math.isfinite(value):
        return None
    short, written = float(f'{value:.5g}'), f'{value:.{decimals}f}'
    # Browsers round the binary value, halves away from zero.
    read = decimal.Decimal(short).quantize(
        decimal.Decimal(1).scaleb(-decimals), decimal.ROUND_HALF_UP
    )
    return short if read == decimal.Decimal(written) else float(written)


def _significant(values: Sequence[float]) -> list[float]:
    rounded = [float(f'{value:.5g}') for value in values]
    return [int(value) if value.is_integer() else value for value in rounded]
