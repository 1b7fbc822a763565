"""Evidence on the settings of a fine-tuning: verdicts of ablations that varied them."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from jaxdl import workdir
from jaxdl.config.experiment import Ablation, FineTune, option_variant
from jaxdl.config.load import load_config
from jaxdl.config.overrides import option_finetune, override
from jaxdl.errors import InputError, warn
from jaxdl.workdir import tables
from jaxdl.workdir.tables import Row

# Ablations that are quoted where their workdirs stand next to that of the fine-tuning; those of a
# fine-tuning come first.
STUDIES = (
    'finetune_recipe',
    'finetune_augmentation',
    'augmentation',
    'optimizer',
    'schedule',
    'batch_size',
    'dropout',
    'final_activation',
)
PARTS = ('variant', 'finetune', 'probe')  # records of a fine-tuning with settings to be tested
# These do not change the result.
NO_RESULT = ('finetune.explain', 'finetune.keep', 'finetune.remat', 'probe.label_folds')


def settings(experiment: FineTune) -> dict[str, Any]:
    """All settings that an ablation can test, by their dotted names."""
    values: dict[str, Any] = dict(stages=experiment.stages)
    for part in PARTS:
        record = getattr(experiment, part)
        values |= {f'{part}.{f.name}': getattr(record, f.name) for f in dataclasses.fields(record)}
    return {name: value for name, value in values.items() if name not in NO_RESULT}


def find_evidence(experiment: FineTune, folder: pathlib.Path) -> list[dict[str, Any]]:
    """Verdicts of ablations on the settings of a fine-tuning.

    An option is evidence on a setting if option and baseline differ in it, and one of them has the
    value of the fine-tuning.

    Args:
      experiment: the fine-tuning; `evidence` names workdirs of ablations, otherwise those of
        STUDIES next to `folder` are read.
      folder: workdir of the fine-tuning.

    Returns:
      Entries of artifacts/evidence.json.
    """
    named = [pathlib.Path(path) for path in experiment.evidence]
    beside = folder.resolve().parent
    entries = []
    for top in named or [beside / name for name in STUDIES]:
        try:
            entries += _read(experiment, top, beside)
        except InputError as error:
            warn(f'{error}; its verdicts are left out')
    return entries


def _read(
    experiment: FineTune, top: pathlib.Path, beside: pathlib.Path
) -> Iterator[dict[str, Any]]:
    """Entries of one workdir; none where it holds no finished ablation.

    Raises:
      InputError: a file is damaged, or the study has components that are not registered.
    """
    if not (top / 'config.json').exists() or not (top / 'summary.csv').exists():
        return
    if workdir.read_json(top / 'config.json').get('kind') != Ablation.__name__:
        return
    study = load_config(top / 'config.json')
    assert isinstance(study, Ablation)
    workdir.check(top)
    wanted = settings(experiment)
    for row in tables.read_table(top / 'summary.csv', tables.SUMMARY):
        if row['verdict']:
            yield from _entries(wanted, study, row, _place(top, beside))


def _entries(
    wanted: Mapping[str, Any], study: Ablation, row: Row, place: str
) -> Iterator[dict[str, Any]]:
    """Entries of one option: one for each setting in which it differs from the baseline."""
    under = override(study, study.conditions.get(row['condition'], {}))
    option, baseline = (_settings_of(under, row[name]) for name in ('option', 'baseline'))
    varied = [field for field in option if option[field] != baseline[field]]
    for field in varied:
        if wanted[field] in (option[field], baseline[field]):
            yield dict(
                field=field,
                value=option[field],
                baseline_value=baseline[field],
                others=[other for other in varied if other != field],
                option=row['option'],
                baseline=row['baseline'],
                verdict=row['verdict'],
                difference=row['difference'],
                low=row['difference_low'],
                high=row['difference_high'],
                metric=row['metric'],
                experiment=study.name,
                condition=row['condition'],
                dataset=under.images.dataset,
                finetuning=study.base is not None,
                file=place,
            )


def _settings_of(study: Ablation, option: str) -> dict[str, Any]:
    """Settings of an option that a fine-tuning has too, by their names there."""
    if study.base:
        return settings(option_finetune(study, option))
    variant = option_variant(study, option)
    return {
        name: getattr(variant, field)
        for name in settings(FineTune())
        for part, _, field in (name.partition('.'),)
        if part in ('variant', 'finetune') and hasattr(variant, field)
    }


def _place(top: pathlib.Path, beside: pathlib.Path) -> str:
    """summary.csv of a workdir: relative to the fine-tuning where both stand in one folder."""
    path = top.resolve() / 'summary.csv'
    return os.path.relpath(path, beside) if path.is_relative_to(beside) else str(path)
