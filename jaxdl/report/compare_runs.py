"""Compare two finished runs: their inputs, and whether their results agree within intervals.

The seeds of two ablations, and the groups of held-out images of two fine-tunings, are treated as
independent (Welch). Runs on different machines can be compared, and fine-tunings that held out
other images. Several results share the 5 % level (Bonferroni).
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats

from jaxdl import workdir
from jaxdl.errors import InputError, damaged
from jaxdl.statistics import ALPHA, protocol
from jaxdl.workdir import claims, records, tables
from jaxdl.workdir.records import RunRecord

INPUTS = dict(  # file -> keys that describe the inputs of a run; None: all keys
    config=None,
    plan=('data', 'devices', 'versions'),
    run=('git', 'file', 'versions', 'device', 'machine', 'native', 'settings', 'environment'),
)
MAX_LENGTH = 60  # characters of a printed value


@dataclasses.dataclass(frozen=True)
class ComparedResult:
    """One result of two runs.

    Attributes:
      name: option, stage or claim.
      first: the result of the first run, for example mean accuracy (0 to 1).
      second: the result of the second run.
      low: lower end of the interval of first minus second.
      high: upper end of that interval.
    """

    name: str
    first: float
    second: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether the interval of the difference includes 0."""
        return self.low <= 0 <= self.high


def differences(first: pathlib.Path, second: pathlib.Path) -> list[tuple[str, Any, Any]]:
    """Inputs that differ between two runs.

    Args:
      first: workdir of a run.
      second: workdir of another run.

    Returns:
      (name, value of the first, value of the second) of each input that differs.
    """
    inputs = []
    for file, keys in INPUTS.items():
        a, b = (_inputs(folder / f'{file}.json', keys) for folder in (first, second))
        inputs += [
            (f'{file}.{key}', a.get(key), b.get(key))
            for key in {**a, **b}
            if a.get(key) != b.get(key)
        ]
    return inputs


def compare(first: pathlib.Path, second: pathlib.Path) -> list[ComparedResult]:
    """Compare the results that two finished runs share.

    Args:
      first: workdir of a finished run.
      second: workdir of a finished run of the same kind.

    Returns:
      One entry per shared result: test accuracies of options, accuracies of networks, or claims.

    Raises:
      InputError: a run is not finished, kinds differ, or there is no shared result.
    """
    kinds = [workdir.read_json(folder / 'config.json').get('kind') for folder in (first, second)]
    for folder in (first, second):
        if not records.read(folder / 'run.json', RunRecord).finished:
            raise InputError(f'{folder}: the run is not finished; the same command resumes it')
        workdir.check(folder, workdir.MADE_AGAIN)
    if kinds[0] != kinds[1]:
        raise InputError(
            f'{first} is a run of kind {kinds[0]}, {second} of kind {kinds[1]}: '
            'use two runs of the same kind'
        )
    if kinds[0] not in KINDS:
        raise InputError(
            f'{first} is a run of kind {kinds[0]}: compare its parts instead, in the folder parts/'
        )
    results, others = (_results(kinds[0], folder) for folder in (first, second))
    shared = [name for name in results if name in others]
    if not shared:
        example = f'for example {next(iter(results), "none")} is only in the first'
        raise InputError(
            f'{first} and {second} have no result in common ({example}): use two runs of one study'
        )
    return [_result(name, results[name], others[name], ALPHA / len(shared)) for name in shared]


def describe(
    first: pathlib.Path, second: pathlib.Path, results: Sequence[ComparedResult]
) -> Iterator[str]:
    """Lines for a terminal: differing inputs, then the results of `compare`.

    Args:
      first: workdir of the first run.
      second: workdir of the second run.
      results: the return value of `compare`.

    Yields:
      One line per differing input and per result, then a summary.
    """
    for name, a, b in differences(first, second):
        yield f'{name:32} first {_short(a)}, second {_short(b)}'
    for result in results:
        verdict = 'agree' if result.agrees else 'DISAGREE'
        interval = f'[{result.low:+.3g}, {result.high:+.3g}]'
        difference = f'{result.first - result.second:+.3g} {interval}'
        values = f'{result.first:.6g} and {result.second:.6g}'
        yield f'{result.name:32} {values}: {difference}: {verdict}'
    disagreeing = sum(not result.agrees for result in results)
    names = [
        name
        for name in ('results.csv', 'claims.csv')
        if (first / name).exists() and (second / name).exists()
    ]
    same = [name for name in names if (first / name).read_bytes() == (second / name).read_bytes()]
    yield f'{len(results) - disagreeing} of {len(results)} results agree' + (
        f'; {same[0]} has the same bytes' if same else ''
    )


def _inputs(path: pathlib.Path, keys: tuple[str, ...] | None) -> dict[str, Any]:
    content = workdir.read_json(path)
    return workdir.flatten(content if keys is None else {key: content.get(key) for key in keys})


def _short(value: Any) -> str:
    text = 'nothing' if value is None else repr(value)
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 3] + '...'


def _results(kind: str, folder: pathlib.Path) -> dict[str, np.ndarray]:
    with damaged(f'{folder}: the results cannot be read', 'run the experiment again'):
        return KINDS[kind](folder)


def _accuracies(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Option -> test accuracy of each evaluation seed after the last epoch."""
    rows = tables.read_table(folder / 'results.csv', tables.RESULTS)
    return {
        f'{condition} {option}'.strip(): np.asarray([accuracy for accuracy, _ in seeds.values()])
        for condition in dict.fromkeys(row['condition'] for row in rows)
        for option, seeds in protocol.measured_of(rows, condition).items()
    }


def _scores(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Accuracy of the final network and of its probe -> a value per group of held-out images.

    The mean of the values is the accuracy. Their variance is that of a ratio of sums over groups
    (linearised), so that Welch's interval is one for other groups of images.
    """
    arrays = workdir.read_arrays(folder / 'artifacts' / 'evaluation.npz')
    _, group = np.unique(arrays['group'], return_inverse=True)
    networks = dict(accuracy=arrays['logits'].argmax(1))
    if 'probe_predicted' in arrays:
        networks['accuracy of the probe'] = arrays['probe_predicted']
    values = {}
    for name, predicted in networks.items():
        correct = predicted == arrays['labels']
        sums = np.bincount(group, correct - correct.mean())
        values[name] = correct.mean() + len(sums) / len(correct) * sums
    return values


def _claims(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Claim -> 1 if it holds, otherwise 0."""
    rows = tables.read_table(folder / 'claims.csv', claims.COLUMNS)
    return {row['claim']: np.asarray([float(row['holds'] == 'true')]) for row in rows}


KINDS = dict(Ablation=_accuracies, FineTune=_scores, Demonstration=_claims)


def _result(name: str, one: np.ndarray, other: np.ndarray, alpha: float) -> ComparedResult:
    """Welch interval of the difference of two samples; width 0 if neither sample varies."""
    middle, low, high = one.mean() - other.mean(), 0.0, 0.0
    if min(len(one), len(other)) > 1 and np.ptp(one) + np.ptp(other) > 0:
        interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(1 - alpha)
        low, high = interval.low - middle, interval.high - middle
    return ComparedResult(
        name, float(one.mean()), float(other.mean()), float(middle + low), float(middle + high)
    )
