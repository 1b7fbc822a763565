"""Reproduction of a run from its folder: the same bytes except for seconds."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

RUNS = {
    'ablation': [
        '--experiment=init',
        '--options=zeros',
        '--seeds=2',
        '--set=learning_rates=[0.1]',
        '--set=epochs=1',
        '--set=width=2',
        '--set=probes=["distinct_units"]',
    ],
    'demonstration': ['--experiment=backprop', '--quick'],
}
TIMED = {
    'run.json',
    'costs.csv',
    'metrics.jsonl',
    'report.html',
    'report.md',
    'sha256.json',
}  # of seconds
TITLES = r'^##+ ([\d.]+) (?:Decision|Costs|Provenance)\b'
SECTIONS = re.compile(rf'{TITLES}.*?(?=^##+ |\Z)', re.MULTILINE | re.DOTALL)


def run(*arguments, seed):
    environment = os.environ | dict(PYTHONHASHSEED=seed)
    command = [sys.executable, '-m', 'jaxdl.main', *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope='module', params=RUNS)
def twice(request, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp(request.param) / name / 'run' for name in ('one', 'two'))
    run(*RUNS[request.param], f'--workdir={one}', seed='1')
    run(f'--config={one}/config.json', f'--workdir={two}', seed='2')
    return one, two


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob('*') if path.is_file()
    }


def test_every_file_but_those_of_seconds_has_the_same_bytes(twice):
    one, two = map(files, twice)
    seconds = (
        'checkpoints/',
        *(f'tables/{title}' for title in ('decision', 'costs', 'provenance')),
    )
    compared = [name for name in one if name not in TIMED and not name.startswith(seconds)]
    assert any(name.endswith('.tex') for name in compared)
    assert set(one) == set(two)
    assert {'config.json', 'plan.json'} < set(compared)
    assert any(name.endswith('.png') for name in compared)
    assert any(name.endswith('.svg') for name in compared)
    assert [name for name in compared if one[name].read_bytes() != two[name].read_bytes()] == []


def test_the_report_is_the_same_but_for_costs_and_provenance(twice):
    one, two = (SECTIONS.sub('', (folder / 'report.md').read_text()) for folder in twice)
    assert '## 1 ' in one
    assert 'Date' not in one
    assert one == two


def test_of_the_networks_only_the_seconds_differ(twice):
    one, two = map(files, twice)
    for name in (name_ for name_ in one if name_.startswith('checkpoints/')):
        with np.load(one[name]) as a, np.load(two[name]) as b:
            assert [
                key
                for key in a.files
                if not re.search('seconds|sha256', key) and a[key].tobytes() != b[key].tobytes()
            ] == []
