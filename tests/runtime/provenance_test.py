"""Provenance of a run: machine, settings, source file."""

import hashlib
import json
import subprocess

import pytest

from jaxdl.runtime import provenance, versions
from jaxdl.workdir import records


@pytest.fixture
def checkout(tmp_path):
    """A repository with one committed file in a folder of its own."""
    file = tmp_path / 'studies' / 'mine.py'
    file.parent.mkdir()
    file.write_text('first')
    git(tmp_path, 'init', '--quiet')
    git(tmp_path, 'add', '.')
    git(
        tmp_path,
        '-c',
        'user.name=a',
        '-c',
        'user.email=a@b',
        'commit',
        '--quiet',
        '--message=first',
    )
    return tmp_path


def git(folder, *words):
    return subprocess.run(
        ['git', '-C', str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_record_is_complete_and_survives_json():
    record = records.as_json(provenance.collect(''))
    assert json.loads(json.dumps(record)) == record
    assert set(record['machine']) == set(provenance.MACHINE)
    assert {'jax', 'jaxlib', 'numpy', 'scipy', 'matplotlib', 'pillow'} <= set(record['versions'])
    assert record['machine']['cores'] >= record['machine']['usable_cores'] >= 1
    assert record['machine']['memory_gib'] > 0
    assert bool(record['native']) == bool(record['versions']['native'])


@pytest.mark.parametrize(
    ('name', 'matters'),
    [
        ('XLA_FLAGS', True),
        ('JAX_ENABLE_X64', True),
        ('OMP_NUM_THREADS', True),
        ('NVIDIA_TF32_OVERRIDE', True),
        ('JAX_COMPILATION_CACHE_DIR', False),
        ('JAX_COORDINATOR_ADDRESS', False),
        ('CUDA_HOME', False),
        ('HF_TOKEN', False),
        ('PATH', False),
        ('HOME', False),
    ],
)
def test_of_the_environment_only_what_may_change_a_number_is_noted(name, matters):
    assert provenance.select_environment({name: 'value'}) == ({name: 'value'} if matters else {})


@pytest.mark.system
@pytest.mark.parametrize('folder', [True, False])
def test_a_change_since_the_commit_is_marked(checkout, folder):
    file = checkout / 'studies' / 'mine.py'
    path, commit = checkout if folder else file, git(checkout, 'rev-parse', 'HEAD')[:12]
    (checkout / 'beside.txt').write_text('of no commit')  # such as runs/
    assert versions.name_revision(path) == commit
    file.write_text('second')
    assert versions.name_revision(path) == f'{commit}+'


@pytest.mark.system
def test_a_file_of_no_commit_counts_as_changed_and_one_outside_has_none(checkout, tmp_path_factory):
    new = checkout / 'studies' / 'new.py'
    new.write_text('')
    assert versions.name_revision(new).endswith('+')
    outside = tmp_path_factory.mktemp('outside') / 'mine.py'
    outside.write_text('')
    assert (
        versions.name_revision(outside)
        == versions.name_revision(outside.parent)
        == versions.name_revision(checkout / 'studies')
        == ''
    )


@pytest.mark.system
@pytest.mark.parametrize('flag', ['--experiment=studies/mine.py', '--experiment studies/mine.py'])
def test_the_file_of_an_experiment_is_known_again(checkout, flag):
    run = provenance.collect(f'python -m jaxdl.main {flag} --quick')
    assert run.file == dict(
        name='mine.py',
        sha256=hashlib.sha256(b'first').hexdigest(),
        git=git(checkout, 'rev-parse', 'HEAD')[:12],
    )
    assert provenance.collect('python -m jaxdl.main --experiment=pooling').file == {}
