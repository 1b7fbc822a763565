"""Claims of a derivation with their measurements: the rows of claims.csv."""

import dataclasses
from collections.abc import Sequence

from jaxdl.workdir.tables import Row

COLUMNS = dict(claim=str, expected=float, measured=float, error=float, tolerance=float, holds=str)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One number, predicted and measured.

    Attributes:
      claim: the claim in words.
      expected: the predicted number, or its bound.
      measured: the number that the program gave.
      error: distance of the measurement from what the claim allows.
      tolerance: largest error with which the claim holds.
    """

    claim: str
    expected: float
    measured: float
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance; false for NaN."""
        return bool(self.error <= self.tolerance)


def close(claim: str, expected: float, measured: float, tolerance: float) -> Claim:
    """Claim that the measurement is `expected`, to an absolute `tolerance`."""
    return Claim(
        claim,
        float(expected),
        float(measured),
        abs(float(measured) - float(expected)),
        float(tolerance),
    )


def relatively_close(claim: str, expected: float, measured: float, tolerance: float) -> Claim:
    """Claim that the measurement is `expected`, to a relative `tolerance`."""
    error = abs(float(measured) - float(expected)) / abs(float(expected))
    return Claim(claim, float(expected), float(measured), error, float(tolerance))


def at_least(claim: str, bound: float, measured: float) -> Claim:
    """Claim that the measurement is at least `bound`; the error is the deficit."""
    return Claim(claim, float(bound), float(measured), _excess(float(bound) - float(measured)), 0.0)


def at_most(claim: str, bound: float, measured: float) -> Claim:
    """Claim that the measurement is at most `bound`; the error is the excess."""
    return Claim(claim, float(bound), float(measured), _excess(float(measured) - float(bound)), 0.0)


def rows(claims: Sequence[Claim]) -> list[Row]:
    """Convert claims to rows of claims.csv; `holds` is `true` or `false`."""
    return [dataclasses.asdict(claim) | dict(holds=str(claim.holds).lower()) for claim in claims]


def _excess(value: float) -> float:
    return value if not value <= 0 else 0.0  # NaN stays NaN, and the claim fails
