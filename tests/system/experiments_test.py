"""Every experiment that comes with jaxdl: loaded, shrunk and run."""

import pytest

import jaxdl
from jaxdl.config import catalogue
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import override, quick, select_options

EXPERIMENTS = {name: load_experiment(name) for name in catalogue.read_questions()}
ABLATIONS = [
    name
    for name, study in EXPERIMENTS.items()
    if isinstance(study, jaxdl.Ablation) and not study.base
]
DEMONSTRATIONS = [
    name for name, study in EXPERIMENTS.items() if isinstance(study, jaxdl.Demonstration)
]


@pytest.mark.parametrize('name', ABLATIONS)
def test_every_ablation_is_loaded_shrunk_and_run(name, tmp_path):
    """Every option is loaded; the baseline and one more train, since each may need compiling."""
    whole = quick(EXPERIMENTS[name])
    assert whole.question.endswith('?')
    assert set(whole.why) == set(whole.options)
    other = next(name for name in reversed(whole.options) if name != whole.baseline)
    shrunk = select_options(override(whole, dict(epochs=1, seeds=2, width=2, depth=1)), [other])
    results = jaxdl.run(shrunk, tmp_path)
    assert [r['option'] for r in results.summary] == list(shrunk.options) * len(shrunk.conditions)
    assert 'no evidence' in (tmp_path / 'report.md').read_text()


@pytest.mark.parametrize('name', DEMONSTRATIONS)
def test_every_demonstration_is_loaded_shrunk_and_run(name, tmp_path):
    study = quick(EXPERIMENTS[name])
    assert study.question.endswith('?')
    results = jaxdl.run(study, tmp_path)
    assert len(results.claims) > 4
    assert [row['claim'] for row in results.claims if row['holds'] != 'true'] == []
    assert 'no evidence' in (tmp_path / 'report.md').read_text()


def test_an_assignment_names_experiments_that_there_are():
    assignments = [study for study in EXPERIMENTS.values() if isinstance(study, jaxdl.Assignment)]
    named = [name for study in assignments for names in study.parts.values() for name in names]
    assert set(named) <= {*ABLATIONS, *DEMONSTRATIONS}
    assert len(named) == len(set(named))


def test_experiments_are_short_and_import_public_names_only():
    for path in catalogue.folder().glob('*.py'):
        text = path.read_text()
        assert text.count('\n') <= 50, path.name
        imports = [line for line in text.splitlines() if line.startswith(('import', 'from'))]
        assert all(line.startswith('from jaxdl import ') for line in imports), path.name
