"""Load experiments: from experiments/, from a user's file, or from the config.json of a run."""

import contextlib
import dataclasses
import importlib.util
import itertools
import pathlib
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from jaxdl import workdir
from jaxdl.config import catalogue, registry, sources
from jaxdl.config.experiment import (
    WITH_BASE,
    Ablation,
    Assignment,
    Demonstration,
    Experiment,
    FineTune,
    Kind,
    option_variant,
)
from jaxdl.config.overrides import base_of, check, option_finetune, override
from jaxdl.errors import InputError, blamed, unknown
from jaxdl.train.variant import Variant, variant_class

KINDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Experiment)}


def load_config(path: pathlib.Path) -> Experiment:
    """The experiment whose resolved fields are in `path`; fields that the file lacks are defaults.

    A demonstration is code: it is one of jaxdl's own with the settings of the file, and so is every
    part of an assignment. No code is read from the file. Components of a study have to be
    registered before.

    Args:
      path: a config.json.

    Returns:
      The checked experiment.

    Raises:
      InputError: no such file, a damaged file, or fields that no experiment has.
    """
    content = workdir.read_json(path)
    name, registered = content.pop('kind', None), content.pop('registered', {})
    if not isinstance(name, str) or name not in KINDS:
        raise InputError(
            f'{path}: kind={name!r}: must be {", ".join(KINDS)}; give the config.json of a run'
        )
    try:
        registry.check(_check_object('registered', registered))
        if KINDS[name] is Demonstration:
            return check(_demonstration(content))
        experiment = check(_build_record(KINDS[name], content))
        _check_parts(experiment)
        return experiment
    except InputError as error:
        raise InputError(f'{path}: {error}') from None


def _check_parts(experiment: Experiment) -> None:
    """Refuse an assignment with a part that is a file, since the part would run code of the config.

    Raises:
      InputError: a part is no experiment of jaxdl.
    """
    for part in (
        itertools.chain(*experiment.parts.values()) if isinstance(experiment, Assignment) else ()
    ):
        if part not in catalogue.read_questions():
            raise InputError(
                f'part {part!r} is not an experiment of jaxdl: '
                'use one of the names that --mode=list shows'
            )


def _demonstration(content: Mapping[str, Any]) -> Experiment:
    if content.get('name') not in list(catalogue.read_questions()):
        raise InputError(
            f'demonstration {content.get("name")!r} is not an experiment of jaxdl: '
            'use --experiment=FILE.py with the file that defines it'
        )
    demonstration = load_experiment(content['name'])
    settings = _check_object('settings', content.get('settings', {}))
    demonstration = override(
        demonstration, {f'settings.{key}': value for key, value in settings.items()}
    )
    return override(demonstration, {'scale': content.get('scale', 'full')})


def _build_record(kind: type, content: Mapping[str, Any]) -> Any:
    """A record of this kind with the records within it; its values are not yet checked.

    Raises:
      InputError: an unknown field, a missing field, or a record that is no object.
    """
    fields_by_name = {field.name: field for field in dataclasses.fields(kind)}
    for name in content:
        if name not in fields_by_name:
            raise unknown('field', name, fields_by_name)
    lacking = [
        name
        for name, field in fields_by_name.items()
        if name not in content and _is_required(field)
    ]
    if lacking:
        raise InputError(f'lacks the field {lacking[0]}: use the unchanged config.json of a run')
    values = dict(content)
    for name, field in fields_by_name.items():
        kinds = typing.get_args(field.type) or (field.type,)
        record = next(filter(dataclasses.is_dataclass, kinds), None)
        if record and name in values and not (values[name] is None and type(None) in kinds):
            content = _check_object(name, values[name])
            if record is Variant:
                record = variant_class(str(content.get('model')))
            values[name] = _build_record(record, content)  # type: ignore[arg-type]
        elif typing.get_origin(field.type) is Mapping and name in values:
            _check_object(name, values[name])
    return kind(**values)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _check_object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f'{name}={value!r}: must be an object of names and values')
    return value


def as_dict(experiment: Experiment) -> dict[str, Any]:
    """Every field of the resolved experiment that has an effect, as in config.json.

    Args:
      experiment: of any kind.

    Returns:
      Field -> value; `registered` lists the components of the study, with their files.
    """
    content = dict(kind=type(experiment).__name__) | dataclasses.asdict(experiment)
    if base_of(experiment):
        content = {k: value for k, value in content.items() if k in ('kind', *WITH_BASE)}
    if isinstance(experiment, Demonstration):
        content['answer'] = f'{experiment.answer.__module__}.{experiment.answer.__qualname__}'
    registered = registry.find_registered(component_names(experiment))
    return content | (dict(registered=registered) if registered else {})


def component_names(experiment: Experiment) -> set[tuple[str, str]]:
    """Names in tables that an experiment uses, over all options and conditions.

    Args:
      experiment: of any kind; only ablations and fine-tunings use names.

    Returns:
      (kind or field, name) of each.
    """
    if not isinstance(experiment, Ablation | FineTune):
        return set()
    studies, variants = [experiment], [experiment.variant]
    if isinstance(experiment, Ablation):
        studies = [override(experiment, overrides) for overrides in experiment.conditions.values()]
        variants = [
            option_finetune(study, option).variant if study.base else option_variant(study, option)
            for study in studies
            for option in study.options
        ]
    images = [study.images if isinstance(study, Ablation) else study.data for study in studies]
    names = {('dataset', data.dataset.partition(':')[0]) for data in images}
    names |= {
        ('metric', name)
        for study in studies
        if isinstance(study, Ablation)
        for name in (study.metric, *study.metrics)
    }
    values = [
        (f.name, value)
        for variant in variants
        for f in dataclasses.fields(variant)
        for value in _each(getattr(variant, f.name))
    ]
    return names | {(field, value) for field, value in values if isinstance(value, str)}


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def load_experiment(name: str) -> Experiment:
    """Load the `EXPERIMENT` of a file.

    Args:
      name: of a file in experiments/, or the path of a user's own .py file.

    Returns:
      The checked experiment; name and question default to those of the file.

    Raises:
      InputError: no such experiment, a file that fails, or one without an EXPERIMENT.
    """
    path = pathlib.Path(name) if name.endswith('.py') else catalogue.folder() / f'{name}.py'
    if not path.is_file():
        raise unknown('experiment', name, catalogue.read_questions())
    spec = importlib.util.spec_from_file_location(f'jaxdl_experiment_{path.stem}', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Errors in the user's file are reported in one line, without a traceback.
    with _neighbours_of(path), blamed(str(path)):
        spec.loader.exec_module(module)
    experiment = getattr(module, 'EXPERIMENT', None)
    if not isinstance(experiment, Experiment):
        raise InputError(
            f'{path}: sets no EXPERIMENT = Ablation(...), Demonstration(...) or FineTune(...)'
        )
    return check(_name(experiment, path, module.__doc__))


@contextlib.contextmanager
def _neighbours_of(path: pathlib.Path) -> Iterator[None]:
    """While a file runs, it can import the files beside it, as a script does."""
    folder = str(path.resolve().parent)
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def name_by_module(experiment: Kind) -> Kind:
    """The experiment with the name and the question that `load_experiment` gives it.

    Args:
      experiment: the EXPERIMENT of an imported module; another one is returned unchanged.
    """
    for module in list(sys.modules.values()):
        attributes = getattr(module, '__dict__', {})
        if attributes.get('EXPERIMENT') is experiment and attributes.get('__file__'):
            return _name(experiment, pathlib.Path(module.__file__ or ''), module.__doc__)
    return experiment


def _name(experiment: Kind, path: pathlib.Path, docstring: str | None) -> Kind:
    """The experiment of a file; name and question default to those of the file."""
    name = experiment.name or path.stem
    question = experiment.question or (docstring or '').strip().partition('\n')[0]
    if path.resolve().parent != catalogue.folder().resolve():  # the version covers a shipped file
        registry.STUDIES[name] = sources.hash_sources(path)
    return dataclasses.replace(experiment, name=name, question=question)
