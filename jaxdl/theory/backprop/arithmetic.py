"""Sums and products of float64 numbers without cancellation and without overflow.

The sum of products is `Dot2` of Ogita, Rump and Oishi 2005, "Accurate sum and dot product": about
twice the digits of float64, from float64 operations alone. Mantissas and exponents are kept apart
until the end.
"""

import functools
import operator

import numpy as np

SPLITTER = 2.0**27 + 1  # halves the 53 binary digits of a float64 (Dekker 1971)
NEVER = -10_000  # the exponent of a product that is 0: below every other


def dot(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over the last axis of a b, as (nearest float64, rounding error), each [...]."""
    (a, of_a), (b, of_b) = np.frexp(a), np.frexp(b)
    products, errors = two_product(a, b)
    exponents = np.where(products == 0, NEVER, of_a + of_b)
    top = exponents.max(-1)
    products, errors = (np.ldexp(part, exponents - top[..., None]) for part in (products, errors))
    total, missing = products[..., 0], errors.sum(-1)
    for i in range(1, products.shape[-1]):
        total, error = two_sum(total, products[..., i])
        missing = missing + error
    total, missing = two_sum(total, missing)
    high, low = np.ldexp(total, top), np.ldexp(missing, top)
    return high, np.where(np.isfinite(high), low, 0.0)


def product(*factors: np.ndarray) -> np.ndarray:
    """Product of all factors, [...], without intermediate overflow or underflow."""
    mantissas, exponents = zip(*map(np.frexp, factors), strict=True)
    return np.ldexp(functools.reduce(operator.mul, mantissas), sum(exponents))


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b as (rounded sum, its error), exactly (Knuth 1969)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Product a b as (rounded product, its error), exactly (Dekker 1971), up to 1e150."""
    (high_a, low_a), (high_b, low_b) = _halves(a), _halves(b)
    total = a * b
    return total, low_a * low_b - (((total - high_a * high_b) - low_a * high_b) - high_a * low_b)


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number as the sum of two with half as many digits each."""
    spread = SPLITTER * a
    high = spread - (spread - a)
    return high, a - high
