"""What a derivation predicts beside what running it gave: a row of claims.csv each."""

import dataclasses
from collections.abc import Sequence

from jaxdl.workdir.tables import Row

COLUMNS = dict(claim=str, expected=float, measured=float, error=float, tolerance=float, holds=str)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One number, predicted and measured.

    `error` is how far the measurement is from what the claim allows.
    """

    claim: str
    expected: float
    measured: float
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance; what is not a number is not."""
        return bool(self.error <= self.tolerance)


def close(claim: str, expected: float, measured: float, tolerance: float) -> Claim:
    """The measurement is `expected`, to an absolute `tolerance`."""
    return Claim(
        claim,
        float(expected),
        float(measured),
        abs(float(measured) - float(expected)),
        float(tolerance),
    )


def relatively_close(claim: str, expected: float, measured: float, tolerance: float) -> Claim:
    """The measurement is `expected`, to `tolerance` as a share of it."""
    error = abs(float(measured) - float(expected)) / abs(float(expected))
    return Claim(claim, float(expected), float(measured), error, float(tolerance))


def at_least(claim: str, bound: float, measured: float) -> Claim:
    """The measurement is `bound` or more; its error is what it lacks."""
    return Claim(claim, float(bound), float(measured), _excess(float(bound) - float(measured)), 0.0)


def at_most(claim: str, bound: float, measured: float) -> Claim:
    """The measurement is `bound` or less; its error is what it has too much."""
    return Claim(claim, float(bound), float(measured), _excess(float(measured) - float(bound)), 0.0)


def rows(claims: Sequence[Claim]) -> list[Row]:
    """As claims.csv has them; `holds` is `true` or `false`."""
    return [dataclasses.asdict(claim) | dict(holds=str(claim.holds).lower()) for claim in claims]


def _excess(value: float) -> float:
    return value if not value <= 0 else 0.0  # not a number stays that, and so fails
