"""Read and check the files of a finished fine-tuning: the input of its report."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import statistics
from jaxdl import workdir as folder
from jaxdl.errors import InputError
from jaxdl.report.ablation import reading
from jaxdl.report.page import markup
from jaxdl.statistics import classification
from jaxdl.workdir import records, tables
from jaxdl.workdir.records import FineTunePlan, RunRecord
from jaxdl.workdir.tables import Row

CONFIG = ('name', 'scale', 'question', 'stages', 'weights', 'variant', 'data', 'probe', 'finetune')
PROBE = dict(
    learning_rate=float,
    weight_decay=float,
    logit_adjustment=float,
    seed=int,
    accuracy=float,
    macro_f1=float,
)
# Arrays of an .npz and the axes of each; axes of one letter must agree.
EVALUATION = dict(logits='nc', labels='n', ids='n', group='n', temperature='', split='')
BY_PROBE = dict(probe_predicted='n')  # of a fine-tuning
MISTAKES = dict(images='nhw3', ids='n', labels='n', predicted='n', probability='n')
GRADCAM = MISTAKES | dict(maps='nhw')
LABEL_ISSUES = ('examined', 'left_out', 'issues', 'share', 'folds')
EVIDENCE = ('field', 'verdict', 'difference', 'low', 'high', 'option', 'baseline')
DOUBT = ('split', 'accuracy', 'macro_f1', 'train', 'val')
SPLITS = dict(train='training', val='validation', test='test', folds='held-out')


@dataclasses.dataclass(frozen=True)
class FineTuneRun:
    """A finished fine-tuning in memory; missing artifacts are empty."""

    name: str
    config: dict[str, Any]
    plan: FineTunePlan
    run: RunRecord
    table: list[Row]
    grid: list[Row]
    split: dict[str, Any]
    evaluation: Mapping[str, np.ndarray]
    mistakes: Mapping[str, np.ndarray]
    gradcam: Mapping[str, np.ndarray]
    label_issues: dict[str, Any]
    issue_images: Mapping[str, np.ndarray]
    evidence: list[dict[str, Any]]
    artifacts: pathlib.Path

    @property
    def classes(self) -> list[str]:
        """Names of the classes, each on one line."""
        return [markup.flat(name) for name in self.plan.data.classes]

    @property
    def probe(self) -> dict[str, Any]:
        """Scores of the probe; empty if there are none."""
        return (self.run.scores or {}).get('probe') or {}

    @property
    def finetune(self) -> dict[str, Any]:
        """Scores of the fine-tuned network; empty for a probe."""
        return (self.run.scores or {}).get('finetune') or {}

    @property
    def final(self) -> dict[str, Any]:
        """Scores of the final network; of a probe with test images from its logits."""
        if self.finetune or not self.evaluation or self.logits_split != 'test':
            return self.finetune or self.probe
        logits, labels = self.evaluation['logits'], self.evaluation['labels']
        calibrated = classification.calibration_error(
            logits / float(self.evaluation['temperature']), labels
        )
        scores = classification.scores(logits, labels) | dict(ece_calibrated=calibrated)
        return scores | dict(split=self.logits_split, images=len(labels))

    @property
    def logits_split(self) -> str:
        """Split of the logits."""
        return str(self.evaluation['split']) if self.evaluation else ''

    @property
    def images(self) -> int:
        """Number of images of the final scores."""
        return int(
            self.final.get('images')
            or getattr(self.plan.data, self.final.get('split', 'val'), 0)
            or 0
        )

    @property
    def part(self) -> str:
        """Split of the final scores, in words."""
        return SPLITS.get(self.final.get('split', 'val'), 'validation')

    @property
    def refit(self) -> int:
        """Epochs of final training on train + validation."""
        single = self.finetune and (self.setting('finetune.folds') or 1) == 1
        return (self.setting('finetune.refit_epochs') or 0) if single else 0

    @property
    def confusion(self) -> np.ndarray:
        """Confusion matrix of the final network, int [true class, predicted class]."""
        predicted = np.argmax(self.evaluation['logits'], 1)
        return classification.confusion(self.evaluation['labels'], predicted, len(self.classes))

    @functools.cached_property
    def measured(self) -> statistics.PredictionScores | None:
        """Accuracy and macro F1 of the final network with intervals; None without logits."""
        if self.comparison:
            return self.comparison.option
        arrays = self.evaluation
        if not arrays:
            return None
        predicted = np.argmax(arrays['logits'], 1)
        return statistics.score_predictions(arrays['labels'], predicted, arrays['group'])

    @functools.cached_property
    def comparison(self) -> statistics.PredictionComparison | None:
        """The final network against the probe on the same images; None without such a probe."""
        arrays = self.evaluation
        if 'probe_predicted' not in arrays:
            return None
        labels, predicted = arrays['labels'], np.argmax(arrays['logits'], 1)
        by_probe, groups = arrays['probe_predicted'], arrays['group']
        return statistics.compare_predictions(labels, predicted, by_probe, groups)

    def groups_of_class(self, label: int) -> int:
        """Number of groups that the held-out images of a class form."""
        return len(np.unique(self.evaluation['group'][self.evaluation['labels'] == label]))

    def setting(self, key: str) -> Any:
        """A field of the configuration by its dotted name; None if there is none."""
        part, _, field = key.rpartition('.')
        return (self.config.get(part, {}) if part else self.config).get(field)


def read(workdir: pathlib.Path) -> FineTuneRun:
    """Read the workdir of a fine-tuning.

    Args:
      workdir: workdir of a finished fine-tuning.

    Returns:
      The fine-tuning.

    Raises:
      InputError: the run is not finished, or a file is damaged or truncated.
    """
    artifacts = workdir / 'artifacts'
    config, run = reading.record(workdir / 'config.json', CONFIG), reading.read_finished(workdir)
    plan = records.read(workdir / 'plan.json', FineTunePlan)
    _check_keys(workdir / 'run.json', run.scores, ('probe',))
    grid, split = artifacts / 'probe.csv', artifacts / 'split.json'
    issues = artifacts / 'label_issues.json'
    fitted = FineTuneRun(
        name=workdir.resolve().name,
        config=config,
        plan=plan,
        run=run,
        table=tables.read_table(workdir / 'results.csv', tables.RESULTS),
        grid=tables.read_table(grid, PROBE) if grid.exists() else [],
        split=reading.record(split, ('drawn',)) if split.exists() else {},
        evaluation=_arrays(artifacts / 'evaluation.npz', EVALUATION, BY_PROBE),
        mistakes=_arrays(artifacts / 'mistakes.npz', MISTAKES),
        gradcam=_arrays(artifacts / 'gradcam.npz', GRADCAM),
        label_issues=reading.record(issues, LABEL_ISSUES) if issues.exists() else {},
        issue_images=_arrays(artifacts / 'label_issues.npz', MISTAKES),
        evidence=_evidence(artifacts / 'evidence.json'),
        artifacts=artifacts,
    )
    for row in fitted.split.get('doubt') or ():
        _check_keys(split, row, DOUBT)
    _check_labels(fitted)
    return fitted


def damaged_error(path: pathlib.Path, why: str) -> InputError:
    """The error for a file that no run wrote."""
    return InputError(f'{path} is damaged ({why}): start the run again with --overwrite')


def _check_keys(path: pathlib.Path, content: Any, needed: Sequence[str]) -> None:
    missing = [key for key in needed if not isinstance(content, dict) or key not in content]
    if missing:
        raise damaged_error(path, f'it lacks {", ".join(missing)}')


def _arrays(
    path: pathlib.Path, axes: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Arrays of a .npz with checked axes; empty if it is missing or has no images."""
    if not path.exists():
        return {}
    arrays = reading.arrays(path)
    if not axes.keys() <= arrays.keys():
        raise damaged_error(
            path, f'it lacks {", ".join(name for name in axes if name not in arrays)}'
        )
    sizes: dict[str, int] = {'3': 3}
    present = {name: axis for name, axis in (optional or {}).items() if name in arrays}
    for name, letters in {**axes, **present}.items():
        shape = arrays[name].shape
        if len(shape) != len(letters) or any(
            sizes.setdefault(*pair) != pair[1] for pair in zip(letters, shape, strict=True)
        ):
            raise damaged_error(path, f'{name} has shape {shape}')
    return arrays if sizes['n'] else {}


def _evidence(path: pathlib.Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        content = folder.parse(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise damaged_error(path, markup.flat(error)) from None
    if not isinstance(content, list):
        raise damaged_error(path, 'not a list')
    for entry in content:
        _check_keys(path, entry, EVIDENCE)
    return content


def _check_labels(fitted: FineTuneRun) -> None:
    """Raise an InputError if a label is not that of a class."""
    count = len(fitted.classes)
    attributes = dict(
        evaluation='evaluation', mistakes='mistakes', gradcam='gradcam', label_issues='issue_images'
    )
    for name, attribute in attributes.items():
        arrays, path = getattr(fitted, attribute), fitted.artifacts / f'{name}.npz'
        least = -1 if name == 'gradcam' else 0  # -1: unknown
        for key in ('labels', 'predicted', 'probe_predicted'):
            labels = arrays.get(key)
            if labels is not None and (
                labels.dtype.kind not in 'iu' or labels.min() < least or labels.max() >= count
            ):
                raise damaged_error(path, f'{key} beyond the {count} classes')
        if name == 'evaluation' and arrays and arrays['logits'].shape[1] != count:
            raise damaged_error(path, f'logits of {arrays["logits"].shape[1]} classes, not {count}')
