"""Four additions of CONTRIBUTING.md: two files each at most, with passing tests."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
GUIDE = TOP / 'CONTRIBUTING.md'
FILES = (
    'models/models_test.py',
    'data/sources_test.py',
    'models/weights_test.py',
    'statistics/paired_test.py',
    'report/uncertainty_test.py',
)
ADDED = dict(
    soft=5, wine=1, resnext101_64x4d=1, flipped=1, control=1
)  # tests that have to be among those that run

pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason='the tests stand alone')


def patches():
    return re.findall(r'^```diff\n(.*?)^```', GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def test_each_addition_needs_two_files_at_most():
    assert len(patches()) == 4
    for patch in patches():
        assert 1 <= len(re.findall(r'^\+\+\+ b/', patch, re.MULTILINE)) <= 2


@pytest.fixture(scope='module')
def patched(tmp_path_factory):
    """The project with all four applied."""
    top = tmp_path_factory.mktemp('patched')
    for name in ('jaxdl', 'experiments', 'tests'):
        shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(TOP / 'pyproject.toml', top)
    for patch in patches():
        applied = subprocess.run(
            ['git', 'apply', '-'], input=patch, cwd=top, capture_output=True, text=True, check=False
        )
        assert applied.returncode == 0, applied.stderr
    return top


def test_the_added_tests_pass(patched):
    words = ['-m', 'pytest', '-n', '0', '-vv', '-p', 'no:cacheprovider', '-k', ' or '.join(ADDED)]
    environment = os.environ | dict(PYTHONPATH=str(patched))
    environment.pop('PYTEST_XDIST_WORKER', None)
    ran = subprocess.run(
        [sys.executable, *words, *(f'tests/{name}' for name in FILES)],
        cwd=patched,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    for name, least in ADDED.items():
        passed = re.findall(rf'::.*{name}.* PASSED', ran.stdout)
        assert len(passed) >= least, ran.stdout[-3000:]
