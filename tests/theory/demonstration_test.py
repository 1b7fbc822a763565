import dataclasses
import json
import subprocess
import sys

import demonstrations
import pytest
from demonstrations import Settings, answer

from jaxdl import Demonstration, main, report, workdir
from jaxdl.config.load import as_dict
from jaxdl.config.overrides import check, override, quick
from jaxdl.errors import InputError
from jaxdl.runtime.signals import Interrupted
from jaxdl.theory import demonstration

STUDY = Demonstration(
    answer, Settings(), quick=dict(points=3), name='half', question='Is a half a half?'
)


@pytest.fixture
def file(tmp_path):
    return demonstrations.write_file(tmp_path)


def test_a_demonstration_writes_its_claims_and_its_report(tmp_path):
    outcome = demonstration.run(STUDY, tmp_path / 'w')
    assert outcome.claims == [
        dict(
            claim='half of one, 10 points',
            expected=0.5,
            measured=0.5,
            error=0.0,
            tolerance=1e-12,
            holds='true',
        )
    ]
    page = (tmp_path / 'w' / 'report.html').read_text()
    assert page.count('<figure') == 1
    assert '1 of 1' in page
    assert json.loads((tmp_path / 'w' / 'run.json').read_text())['finished']
    assert json.loads((tmp_path / 'w' / 'config.json').read_text())['settings'] == dict(
        points=10, error=0.0
    )


def test_a_finished_one_is_only_reported_again(tmp_path):
    demonstration.run(STUDY, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}

    def never(settings, note):
        raise AssertionError

    again = dataclasses.replace(STUDY, answer=never)
    workdir.write_records(tmp_path, config=as_dict(again))
    demonstration.run(again, tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    changed = {'config.json': b'', 'sha256.json': b''}
    assert after | changed == before | changed


@pytest.mark.system
def test_its_report_is_built_again_without_jax(tmp_path):
    demonstration.run(STUDY, tmp_path)
    before = (tmp_path / 'report.html').read_bytes()
    (tmp_path / 'report.html').unlink()
    code = (
        'import sys, pathlib; from jaxdl import report; report.build(pathlib.Path(sys.argv[1])); '
        'assert not {"jax", "flax"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code, str(tmp_path)], check=True)
    assert (tmp_path / 'report.html').read_bytes() == before


def test_a_damaged_artifact_is_reported_in_one_line(tmp_path):
    demonstration.run(STUDY, tmp_path)
    (tmp_path / 'artifacts' / 'line.svg').unlink()
    with pytest.raises(InputError, match=r'line.svg is damaged'):
        report.build(tmp_path)
    (tmp_path / 'artifacts' / 'answer.json').write_text('{"text": "In short.", "shown": 3}')
    workdir.seal(tmp_path)  # as another version might have written it
    with pytest.raises(InputError, match='artifacts is damaged'):
        report.build(tmp_path)


def test_an_interrupted_demonstration_restarts(tmp_path):
    def stopped(settings, note):
        raise Interrupted(15)

    stops = dataclasses.replace(STUDY, answer=stopped)
    with pytest.raises(Interrupted):
        demonstration.run(stops, tmp_path)
    assert not workdir.is_finished(tmp_path)
    with pytest.raises(InputError, match='not finished'):
        report.build(tmp_path)
    with pytest.raises(InputError, match='holds another configuration'):
        demonstration.run(STUDY, tmp_path)
    assert demonstration.run(STUDY, tmp_path, overwrite=True).claims


def test_settings_are_reached_by_name_and_checked():
    assert override(STUDY, {'points': 4}).settings.points == 4
    assert override(STUDY, {'settings.points': 4}).settings.points == 4
    assert quick(STUDY).settings.points == 3
    assert quick(STUDY).scale == 'quick'
    with pytest.raises(InputError, match=r'settings\.points=0: must be a number of at least 1'):
        override(STUDY, {'points': 0})
    with pytest.raises(InputError, match='did you mean points'):
        override(STUDY, {'point': 1})
    with pytest.raises(InputError, match=r'settings\.points=-1'):
        check(dataclasses.replace(STUDY, settings=Settings(points=-1)))


def test_the_command_line_gives_3_where_a_claim_fails(file, tmp_path, capsys):
    arguments = [f'--experiment={file}', f'--workdir={tmp_path / "w"}']
    assert main.main(arguments) == 0
    assert capsys.readouterr().out.startswith(
        'holds  half of one, 10 points: measured 0.5, expected 0.5 to 1e-12'
    )
    assert main.main([*arguments, '--set=error=0.1', '--overwrite']) == 3
    output = capsys.readouterr()
    assert 'FAILS  half of one' in output.out
    assert '1 of 1 claims failed' in output.err
    assert '1 claim failed' in (tmp_path / 'w' / 'report.md').read_text().replace('\u00a0', ' ')


@pytest.mark.parametrize(
    ('flag', 'words'),
    [
        ('--options=max', 'is not an ablation: leave the flag out'),
        ('--mode=check', '--workdir has no effect in --mode=check'),
        ('--seeds=3', "unknown override 'seeds'"),
        ('--set=points=x', 'must be a whole number'),
    ],
)
def test_flags_without_meaning_for_demonstrations_are_refused(file, flag, words, capsys):
    before = sorted(file.parent.iterdir())
    assert main.main([f'--experiment={file}', f'--workdir={file.parent / "w"}', flag]) == 2
    assert words in capsys.readouterr().err
    assert [path for path in sorted(file.parent.iterdir()) if path.name != '__pycache__'] == before


def test_the_plan_shows_its_settings(file, capsys):
    assert main.main([f'--experiment={file}', '--mode=plan']) == 0
    assert 'points               10' in capsys.readouterr().out
