import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from jaxdl import Assignment, main, report
from jaxdl.cli import dispatch
from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import override
from jaxdl.errors import InputError
from jaxdl.theory import assignment
from jaxdl.workdir import claims
from jaxdl.workdir.tables import Results

FILE = """\"\"\"A small assignment\"\"\"
from jaxdl import Assignment
EXPERIMENT = Assignment(parts={'Q1 Rules': ['backprop'], 'Q2 The rest': ['conv_arithmetic', 'aa']})
"""


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """The workdir of a small assignment with a roll number."""
    folder = tmp_path_factory.mktemp('assignment')
    (folder / 'small.py').write_text(FILE)
    assert main.main(arguments(folder)) == 0
    return folder / 'w'


def arguments(folder):
    return [
        f'--experiment={folder / "small.py"}',
        f'--workdir={folder / "w"}',
        '--set=roll_number=AB-12',
        '--quick',
        '--set=epochs=1',
        '--seeds=2',
        '--set=cases=100',
    ]


def test_every_part_has_a_workdir_of_its_own_and_a_place_in_the_report(made):
    for name in ('backprop', 'conv_arithmetic', 'aa'):
        assert (made / 'parts' / name / 'report.html').exists()
        assert json.loads((made / 'parts' / name / 'run.json').read_text())['finished']
    text = (made / 'report.md').read_text()
    headings = [line for line in text.splitlines() if line.startswith('## ')]
    assert [h.split(' ', 2)[2] for h in headings] == [
        'Answers',
        'Q1 Rules',
        'Q2 The rest',
        'Provenance',
    ]
    assert text.count('### ') > 4
    assert 'This is a smoke run' in text


def test_figures_of_different_parts_do_not_meet(made):
    names = [path.name for path in (made / 'figures').glob('*.png')]
    assert {name.split('_')[0] for name in names} == {'backprop', 'conv', 'aa'}
    html = (made / 'report.html').read_text()
    assert html.count('<figure') == len(names)


def test_overrides_reach_the_parts_that_have_the_field(made):
    config = json.loads((made / 'parts' / 'aa' / 'config.json').read_text())
    assert (config['seeds'], config['epochs']) == (2, 1)
    config = json.loads((made / 'parts' / 'conv_arithmetic' / 'config.json').read_text())
    assert config['settings']['cases'] == 100


def test_the_zip_contains_code_report_and_results(made):
    with zipfile.ZipFile(made / 'AB-12.zip') as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert archive.read('AB-12/report/report.html') == (made / 'report.html').read_bytes()
    assert {'AB-12/answers/conv_arithmetic/claims.csv', 'AB-12/answers/aa/summary.csv'} <= set(
        names
    )
    assert 'AB-12/code/jaxdl/main.py' in names
    assert re.search(
        r'^AB-12/code/(jaxdl/)?experiments/pooling\.py$', '\n'.join(names), re.MULTILINE
    )
    assert all(name.startswith('AB-12/') for name in names)
    assert not [name for name in names if '__pycache__' in name or name.endswith('.so')]


def test_the_same_workdir_gives_the_same_bytes(made):
    before = {
        path: path.read_bytes()
        for path in made.iterdir()
        if path.is_file() and path.suffix != '.zip'
    }
    report.build(made)
    assert {path: path.read_bytes() for path in before} == before


def test_an_override_that_no_part_has_is_refused():
    study = load_experiment('assignment')
    assert isinstance(study, Assignment)
    with pytest.raises(InputError, match='did you mean epochs'):
        assignment.parts(override(study, {'epoch': 3}))
    with pytest.raises(InputError, match=r'roll_number=.*letters, digits'):
        override(study, {'roll_number': '../x'})


def test_no_file_is_written_if_a_part_is_invalid(tmp_path):
    study = Assignment(parts={'Q': ['poolin']}, name='a', question='?')
    with pytest.raises(InputError, match='did you mean pooling'):
        dispatch.run(study, tmp_path / 'w')
    assert not (tmp_path / 'w').exists()


def test_a_failing_claim_of_a_part_is_a_failing_claim(tmp_path, monkeypatch):
    failing = claims.rows([claims.close('one', 1, 2, 0)])

    def run_part(part, folder, **settings):
        outcome = dispatch.run(part, folder, **settings)
        return Results([], [], outcome.workdir, failing)

    study = Assignment(
        parts={'Q': ['conv_arithmetic']}, name='a', question='?', overrides=dict(cases=100)
    )
    outcome = assignment.run(study, tmp_path, run_part)
    assert [row['claim'] for row in outcome.claims] == ['conv_arithmetic: one']
    assert [row['holds'] for row in outcome.claims] == ['false']


def test_a_changed_assignment_is_refused(made):
    config = json.loads((made / 'config.json').read_text())
    settings = {name: config[name] for name in ('parts', 'overrides', 'name', 'question', 'scale')}
    study = Assignment(**settings)
    with pytest.raises(InputError, match='holds another configuration'):
        dispatch.run(dataclasses.replace(study, roll_number='other'), made)


REPORTS = ('report.html', 'report.md', 'sha256.json')


def test_a_repeated_finished_assignment_writes_only_reports(made):
    files = [path for path in sorted(made.rglob('*')) if path.is_file()]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    assert main.main(arguments(made.parent)) == 0
    after = [path for path in sorted(made.rglob('*')) if path.is_file()]
    assert after == files
    assert [path for path in files if path.read_bytes() != before[path][1]] == []
    written = [path for path in files if path.stat().st_mtime_ns != before[path][0]]
    written = [path for path in written if path.parent.name not in ('figures', 'tables')]
    assert {path.name for path in written} <= {*REPORTS, 'summary.csv'}


@pytest.mark.system
def test_the_code_of_the_zip_builds_the_report(made, tmp_path):
    with zipfile.ZipFile(made / 'AB-12.zip') as archive:
        archive.extractall(tmp_path)
    code, html = tmp_path / 'AB-12' / 'code', (made / 'report.html').read_bytes()
    (made / 'report.html').unlink()
    environment = os.environ | dict(PYTHONPATH=str(code))
    script = 'import jaxdl; print(jaxdl.__file__)'
    for words in (['-c', script], ['-m', 'jaxdl.main', '--mode=report', f'--workdir={made}']):
        process = subprocess.run(
            [sys.executable, *words],
            cwd=code,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        if words[0] == '-c':
            assert pathlib.Path(process.stdout.strip()).is_relative_to(code)
    assert (made / 'report.html').read_bytes() == html
