"""Two runs beside each other: what they were given.

And whether what they measured agrees within its intervals.

The seeds of two runs count as independent (Welch), so that runs on different machines may be
compared; of several results each has its share of the 5 % (Bonferroni).
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from jaxdl import workdir
from jaxdl.errors import InputError, damaged
from jaxdl.statistics import ALPHA, protocol
from jaxdl.workdir import claims, tables

GIVEN = dict(  # keys of each file; None: all
    config=None,
    plan=('data', 'devices', 'versions'),
    run=('git', 'file', 'versions', 'device', 'machine', 'native', 'settings', 'environment'),
)
SHOWN = 60  # characters of a value


@dataclasses.dataclass(frozen=True)
class Result:
    """One number of two runs; `low` and `high` bound their difference, first less second."""

    name: str
    first: float
    second: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether no difference is among those that are possible."""
        return self.low <= 0 <= self.high


def differences(first: pathlib.Path, second: pathlib.Path) -> list[tuple[str, Any, Any]]:
    """What two finished runs were given that is not the same: (name, in the first.

    In the second).
    """
    found = []
    for file, keys in GIVEN.items():
        a, b = (_given(folder / f'{file}.json', keys) for folder in (first, second))
        found += [
            (f'{file}.{key}', a.get(key), b.get(key))
            for key in {**a, **b}
            if a.get(key) != b.get(key)
        ]
    return found


def compare(first: pathlib.Path, second: pathlib.Path) -> list[Result]:
    """Every result that two finished runs of one kind share, with the interval of its difference.

    Raises:
      InputError: a folder without a finished run, runs of different kinds, or without a result in
        common.
    """
    kinds = [workdir.read_json(folder / 'config.json').get('kind') for folder in (first, second)]
    for folder in (first, second):
        if not workdir.read_json(folder / 'run.json').get('finished'):
            raise InputError(f'{folder} is not finished: the same command again resumes it')
        workdir.check(folder, workdir.MADE_AGAIN)
    if kinds[0] != kinds[1]:
        raise InputError(
            f'{first} holds a run of kind {kinds[0]}, {second} one of kind {kinds[1]}: give two of a kind'
        )
    if kinds[0] not in KINDS:
        raise InputError(
            f'{first} holds a run of kind {kinds[0]}: its parts can be compared, in its folder parts/'
        )
    one, other = (_results(kinds[0], folder) for folder in (first, second))
    shared = [name for name in one if name in other]
    if not shared:
        alone = f'{next(iter(one), "none")} is in one of them'
        raise InputError(
            f'{first} and {second} have no result in common: {alone}; give two runs of one study'
        )
    return [_result(name, one[name], other[name], ALPHA / len(shared)) for name in shared]


def describe(first: pathlib.Path, second: pathlib.Path, found: Sequence[Result]) -> Iterator[str]:
    """The differences of two runs, and what `compare` found, as lines for a terminal."""
    for name, a, b in differences(first, second):
        yield f'{name:32} {_short(a)}, there {_short(b)}'
    for own in found:
        verdict = 'agree' if own.agrees else 'DISAGREE'
        between = f'{own.first - own.second:+.3g} [{own.low:+.3g}, {own.high:+.3g}]'
        yield f'{own.name:32} {own.first:.6g} and {own.second:.6g}: {between}: {verdict}'
    apart = sum(not own.agrees for own in found)
    names = [
        name
        for name in ('results.csv', 'claims.csv')
        if (first / name).exists() and (second / name).exists()
    ]
    same = [name for name in names if (first / name).read_bytes() == (second / name).read_bytes()]
    yield f'{len(found) - apart} of {len(found)} results agree' + (
        f'; {same[0]} has the same bytes' if same else ''
    )


def _given(path: pathlib.Path, keys: tuple[str, ...] | None) -> dict[str, Any]:
    content = workdir.read_json(path)
    return workdir.flat(content if keys is None else {key: content.get(key) for key in keys})


def _short(value: Any) -> str:
    text = 'nothing' if value is None else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + '...'


def _results(kind: str, folder: pathlib.Path) -> dict[str, np.ndarray]:
    with damaged(f'{folder}: its results cannot be read', 'run the experiment again'):
        return KINDS[kind](folder)


def _accuracies(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Test accuracy of every option under its fresh seeds, after the last epoch."""
    rows = tables.read_table(folder / 'results.csv', tables.RESULTS)
    return {
        f'{condition} {option}'.strip(): np.asarray([accuracy for accuracy, _ in seeds.values()])
        for condition in dict.fromkeys(row['condition'] for row in rows)
        for option, seeds in protocol.measured_of(rows, condition).items()
    }


def _scores(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Of each stage of a fine-tuning the images that were right (1) and wrong (0), in no order."""
    held: Mapping[str, Any] = workdir.read_json(folder / 'run.json').get('scores', {})
    right = {stage: round(own['accuracy'] * own['images']) for stage, own in held.items()}
    return {
        f'{stage} accuracy': np.repeat([1.0, 0.0], [n, held[stage]['images'] - n])
        for stage, n in right.items()
    }


def _claims(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """A claim holds or does not: its measurement may differ by as much as it allows."""
    rows = tables.read_table(folder / 'claims.csv', claims.COLUMNS)
    return {row['claim']: np.asarray([float(row['holds'] == 'true')]) for row in rows}


KINDS = dict(Ablation=_accuracies, FineTune=_scores, Demonstration=_claims)


def _result(name: str, one: np.ndarray, other: np.ndarray, alpha: float) -> Result:
    """Two samples; where neither varies any difference at all is one."""
    middle, low, high = one.mean() - other.mean(), 0.0, 0.0
    if min(len(one), len(other)) > 1 and np.ptp(one) + np.ptp(other) > 0:
        interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(1 - alpha)
        low, high = interval.low - middle, interval.high - middle
    return Result(
        name, float(one.mean()), float(other.mean()), float(middle + low), float(middle + high)
    )
