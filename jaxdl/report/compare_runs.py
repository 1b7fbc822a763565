"""Compare two finished runs: their inputs, and which results differ beyond chance.

Differences are the first run minus the second. Equal seeds of two ablations are compared as pairs,
and so are equal groups of held-out images of two fine-tunings. Where some seeds are shared, these
alone are compared. Other seeds or images are treated as independent (Welch). Several results share
the 5 % level (Bonferroni).
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from jaxdl import workdir
from jaxdl.errors import InputError, damaged
from jaxdl.statistics import ALPHA, metrics, protocol
from jaxdl.statistics.metrics import ACCURACY
from jaxdl.workdir import claims, records, tables
from jaxdl.workdir.records import RunRecord

INPUTS = dict(  # file -> keys that describe the inputs of a run; None: all keys
    config=None,
    plan=('data', 'devices', 'versions'),
    run=('git', 'file', 'versions', 'device', 'machine', 'native', 'settings', 'environment'),
)
MAX_LENGTH = 60  # characters of a printed value
ALL = 'mean over all options'


@dataclasses.dataclass(frozen=True)
class ComparedResult:
    """One result of two runs.

    Attributes:
      name: option, stage or claim.
      first: the result of the first run, for example the mean of its metric.
      second: the result of the second run.
      low: lower end of the interval of first minus second.
      high: upper end of that interval.
      share: whether the results are shares, printed in %.
      method: how the values were compared; empty for a single value.
    """

    name: str
    first: float
    second: float
    low: float
    high: float
    share: bool = True
    method: str = ''

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return not self.low <= 0 <= self.high


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Values of one result.

    Attributes:
      values: float [n], whose mean is the result.
      keys: seed or group of images of each value.
    """

    values: np.ndarray
    keys: tuple[Any, ...]


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
      One entry per shared result: test metrics of options, accuracies of networks, or claims.

    Raises:
      InputError: a run is not finished, kinds or metrics differ, or there is no shared result.
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
    by = [_metric(folder) for folder in (first, second)]
    if kinds[0] == 'Ablation' and by[0] != by[1]:
        raise InputError(
            f'{first} compares options by {by[0]}, {second} by {by[1]}: use two runs of one metric'
        )
    if kinds[0] not in KINDS:
        instead = (
            'analyse both tables together, by --mode=analyze'
            if kinds[0] == 'Analysis'
            else 'compare its parts instead, in the folder parts/'
        )
        raise InputError(f'{first} is a run of kind {kinds[0]}: {instead}')
    results, others = (_results(kinds[0], folder) for folder in (first, second))
    shared = [name for name in results if name in others]
    if kinds[0] == 'Ablation' and len(shared) > 1:
        both = [_mean_over_options(samples, shared) for samples in (results, others)]
        if both[0] and both[1]:
            results, others = results | {ALL: both[0]}, others | {ALL: both[1]}
            shared.append(ALL)
    if not shared:
        example = f'for example {next(iter(results), "none")} is only in the first'
        raise InputError(
            f'{first} and {second} have no result in common ({example}): use two runs of one study'
        )
    share = dict(Ablation=metrics.named(by[0]).unit == metrics.PERCENT, FineTune=True)
    return [
        _result(name, results[name], others[name], ALPHA / len(shared), share.get(kinds[0], False))
        for name in shared
    ]


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
        yield f'{result.name:32} {_describe_result(result)}'
    differing = sum(result.differs for result in results)
    names = [
        name
        for name in ('results.csv', 'claims.csv')
        if (first / name).exists() and (second / name).exists()
    ]
    same = [name for name in names if (first / name).read_bytes() == (second / name).read_bytes()]
    yield f'{differing} of {len(results)} results differ' + (
        f'; {same[0]} has the same bytes' if same else ''
    )


def _describe_result(result: ComparedResult) -> str:
    """Both values, the difference with its interval, and whether it can be told from 0."""
    factor, form, unit = (100, '.2f', ' %') if result.share else (1, 'g', '')
    values = f'{factor * result.first:{form}}{unit} and {factor * result.second:{form}}{unit}'
    difference, low, high = (
        f'{factor * value:+{form}}'
        for value in (result.first - result.second, result.low, result.high)
    )
    how = f' ({result.method})' if result.method else ''
    if result.differs:
        return f'{values}: {difference} [{low}, {high}]{how}: DIFFERENT'
    width = factor * (result.high - result.low) / 2
    points = ' percentage points' if result.share else ''
    finding = 'equal' if width == 0 else f'not distinguishable (+-{width:.2g}{points})'
    return f'{values}: {difference} [{low}, {high}]{how}: {finding}'


def _inputs(path: pathlib.Path, keys: tuple[str, ...] | None) -> dict[str, Any]:
    content = workdir.read_json(path)
    return workdir.flatten(content if keys is None else {key: content.get(key) for key in keys})


def _short(value: Any) -> str:
    text = 'nothing' if value is None else repr(value)
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 3] + '...'


def _results(kind: str, folder: pathlib.Path) -> dict[str, _Sample]:
    with damaged(f'{folder}: the results cannot be read', 'run the experiment again'):
        return KINDS[kind](folder)


def _measured(folder: pathlib.Path) -> dict[str, _Sample]:
    """Option -> metric that decides on the test split, of each evaluation seed."""
    rows, metric = tables.read_results(folder / 'results.csv'), _metric(folder)
    return {
        f'{condition} {option}'.strip(): _Sample(
            np.asarray([value for value, _ in seeds.values()]), tuple(seeds)
        )
        for condition in dict.fromkeys(row['condition'] for row in rows)
        for option, seeds in protocol.measured_of(rows, condition, metric).items()
    }


def _mean_over_options(samples: Mapping[str, _Sample], names: Sequence[str]) -> _Sample | None:
    """Mean over options for each seed; None if the options have different seeds."""
    keys = {samples[name].keys for name in names}
    if len(keys) > 1:
        return None
    return _Sample(np.mean([samples[name].values for name in names], 0), keys.pop())


def _metric(folder: pathlib.Path) -> str:
    """Name of the metric that decides in a run."""
    return str(workdir.read_json(folder / 'config.json').get('metric', ACCURACY.name))


def _scores(folder: pathlib.Path) -> dict[str, _Sample]:
    """Accuracy of the final network and of its probe -> a value per group of held-out images.

    The mean of the values is the accuracy. Their variance is that of a ratio of sums over groups
    (linearised), so that the interval is one for other groups of images.
    """
    arrays = workdir.read_arrays(folder / 'artifacts' / 'evaluation.npz')
    _, group = np.unique(arrays['group'], return_inverse=True)
    members: list[list[str]] = [[] for _ in range(group.max() + 1)]
    for number, image in sorted(zip(group.tolist(), map(str, arrays['ids']), strict=True)):
        members[number].append(image)
    keys = tuple(map(tuple, members))
    networks = dict(accuracy=arrays['logits'].argmax(1))
    if 'probe_predicted' in arrays:
        networks['accuracy of the probe'] = arrays['probe_predicted']
    samples = {}
    for name, predicted in networks.items():
        correct = predicted == arrays['labels']
        sums = np.bincount(group, correct - correct.mean())
        samples[name] = _Sample(correct.mean() + len(sums) / len(correct) * sums, keys)
    return samples


def _claims(folder: pathlib.Path) -> dict[str, _Sample]:
    """Claim -> 1 if it holds, otherwise 0."""
    rows = tables.read_table(folder / 'claims.csv', claims.COLUMNS)
    return {row['claim']: _Sample(np.asarray([float(row['holds'] == 'true')]), ()) for row in rows}


KINDS = dict(Ablation=_measured, FineTune=_scores, Demonstration=_claims)


def _result(name: str, one: _Sample, other: _Sample, alpha: float, share: bool) -> ComparedResult:
    """Interval of the difference of two samples; width 0 if nothing varies.

    Paired where both have the same keys, otherwise Welch's.
    """
    shared = [key for key in one.keys if key in other.keys and isinstance(key, int)]
    part = len(shared) > 1 and set(one.keys) != set(other.keys)
    if part:
        one, other = (_select(sample, shared) for sample in (one, other))
    first, second = one.values, other.values
    method = ''
    if sorted(one.keys) == sorted(other.keys):
        places = {key: i for i, key in enumerate(other.keys)}
        second = second[[places[key] for key in one.keys]] if one.keys else second
        differences = first - second
        varies = len(differences) > 1 and np.ptp(differences) > 0
        test = stats.ttest_1samp(differences, 0.0) if varies else None
        method = f'{len(shared)} shared seeds as pairs' if part else ''
    else:
        method = 'as independent'

        varies = min(len(first), len(second)) > 1 and np.ptp(first) + np.ptp(second) > 0
        test = stats.ttest_ind(first, second, equal_var=False) if varies else None
    middle = float(first.mean() - second.mean())
    low = high = middle
    if test is not None:
        low, high = test.confidence_interval(1 - alpha)
    return ComparedResult(
        name, float(first.mean()), float(second.mean()), float(low), float(high), share, method
    )


def _select(sample: _Sample, keys: Sequence[Any]) -> _Sample:
    """The values of some keys."""
    places = {key: i for i, key in enumerate(sample.keys)}
    return _Sample(sample.values[[places[key] for key in keys]], tuple(keys))
