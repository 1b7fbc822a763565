"""Convolution lowerings: timed once, stored, forced by name, read again by a resumed run."""

import json

import numpy as np
import pytest
import studies

import jaxdl
from jaxdl import main, native, workdir
from jaxdl.ablation import run as ablation
from jaxdl.ensemble import autotune
from jaxdl.errors import InputError
from jaxdl.models import layers
from jaxdl.models.conv import LOWERINGS, default_lowering
from jaxdl.train import train_step

ABLE = [name for name in LOWERINGS if not autotune.refusal(name, 2)]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def convolutions():
    module = train_step.module_of(studies.small().variant, 10)
    return autotune.convolutions(module, (32, 8, 8, 1))


def test_the_convolutions_of_a_network():
    module = train_step.module_of(jaxdl.Variant(width=4, depth=2), 10)
    first, second = autotune.convolutions(module, (32, 8, 8, 1))
    assert first == ((32, 8, 8, 1), (3, 3, 1, 4), 1, 1)
    assert second == ((32, 4, 4, 4), (3, 3, 4, 8), 1, 1)
    assert first.flops == 3 * 2 * 32 * 64 * 9 * 4


def test_timed_once_and_remembered(convolutions, monkeypatch):
    monkeypatch.setattr(autotune, 'SECONDS', 1e9)
    name = autotune.Timer().fastest(convolutions, 4)
    (times,) = json.loads(autotune.cache().read_text()).values()
    assert set(times) == {n for n in LOWERINGS if not autotune.refusal(n, 4)}
    assert name == min(times, key=times.get)
    monkeypatch.setattr(autotune, '_seconds', lambda *_: pytest.fail('timed again'))
    assert autotune.Timer().fastest(convolutions, 4) == name


def test_timings_of_another_run_are_not_lost(convolutions, monkeypatch):
    """A second run writes its timings while the first run is timing."""

    def other_run_writes(convolution, members, name):
        if name == default_lowering():
            autotune._add('another convolution', dict(map=1.0))
        return 1.0

    monkeypatch.setattr(autotune, '_seconds', other_run_writes)
    autotune.Timer().fastest(convolutions, 4)
    timings = json.loads(autotune.cache().read_text())
    assert timings['another convolution'] == dict(map=1.0)
    assert len(timings) == 2


def test_the_fastest_wins(convolutions, monkeypatch):
    monkeypatch.setattr(autotune, '_seconds', lambda shape, members, name: 1.0 + (name != 'map'))
    assert autotune.Timer().fastest(convolutions, 4) == 'map'


@pytest.mark.parametrize('content', ['', '{"a": ', '[1]', '{"a": 3}', '{"a": {"b": "c"}}', 'null'])
def test_a_corrupt_cache_is_written_again(convolutions, monkeypatch, content):
    monkeypatch.setattr(
        autotune, '_seconds', lambda shape, members, name: 1.0 + (name != 'grouped')
    )
    autotune.cache().write_text(content)
    assert autotune.Timer().fastest(convolutions, 4) == 'grouped'
    assert json.loads(autotune.cache().read_text())


def test_a_cache_that_cannot_be_written_is_no_error(convolutions, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    monkeypatch.setattr(autotune, '_seconds', lambda shape, members, name: 1.0 + (name != 'map'))
    assert autotune.Timer().fastest(convolutions, 4) == 'map'


def test_out_of_time_the_usual_one(convolutions, monkeypatch):
    monkeypatch.setattr(autotune, 'SECONDS', 0.0)
    assert autotune.Timer().fastest(convolutions, 4) == default_lowering()


def test_no_lowering_is_timed_for_a_network_without_convolutions(monkeypatch, capsys):
    monkeypatch.setattr(native, 'missing', lambda: 'it is gone')
    product = layers.Conv(features=3, side=1, padding=0)
    assert autotune.convolutions(product, (1, 4, 4, 3)) == []
    assert autotune.Timer().fastest([], 4) == autotune.NONE
    assert capsys.readouterr().err == ''


def test_a_plan_of_another_version_is_refused(tmp_path):
    study = studies.small(learning_rates=[0.1], conv='patches')
    jaxdl.run(study, tmp_path)
    plan = (tmp_path / 'plan.json').read_text()
    run = json.loads((tmp_path / 'run.json').read_text())
    (tmp_path / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    for changed in (plan.replace('"cores"', '"old"'), plan.replace('"patches"', '"winograd"')):
        (tmp_path / 'plan.json').write_text(changed)
        workdir.record(tmp_path, ['plan.json'])
        with pytest.raises(InputError, match=r'plan\.json'):
            jaxdl.run(study, tmp_path)


def test_the_same_study_by_every_lowering(tmp_path):
    losses = {}
    for name in ABLE:
        convolutions = jaxdl.run(studies.small(conv=name, learning_rates=[0.1]), tmp_path / name)
        losses[name] = [r['value'] for r in convolutions.table if r['metric'] == 'loss']
        run = json.loads((tmp_path / name / 'run.json').read_text())
        assert {group['conv'] for group in run['groups']} == {name}
    for name in ABLE:
        np.testing.assert_allclose(losses[name], losses['patches'], rtol=1e-3, err_msg=name)


def test_a_resumed_run_obeys_its_plan(tmp_path, monkeypatch):
    study = studies.small(conv='map', learning_rates=[0.1])
    jaxdl.run(study, tmp_path)
    plan, run = (json.loads((tmp_path / name).read_text()) for name in ('plan.json', 'run.json'))
    for group in plan['groups']:
        group['conv'] = 'grouped'
    (tmp_path / 'plan.json').write_text(json.dumps(plan))
    workdir.record(tmp_path, ['plan.json'])
    (tmp_path / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    for file in (tmp_path / 'checkpoints').glob('*.npz'):
        file.unlink()
    jaxdl.run(study, tmp_path)
    assert {g['conv'] for g in json.loads((tmp_path / 'run.json').read_text())['groups']} == {
        'grouped'
    }


def test_a_plan_that_cannot_be_obeyed_is_refused(tmp_path, monkeypatch):
    study = studies.small(learning_rates=[0.1], conv='patches')
    jaxdl.run(study, tmp_path)
    plan = (tmp_path / 'plan.json').read_text().replace('"patches"', '"onednn"')
    (tmp_path / 'plan.json').write_text(plan)
    workdir.record(tmp_path, ['plan.json'])
    run = json.loads((tmp_path / 'run.json').read_text())
    (tmp_path / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    monkeypatch.setattr(native, 'missing', lambda: 'it is gone')
    with pytest.raises(InputError, match=r'plan\.json has conv=onednn: it is gone: --overwrite'):
        ablation.run(study, tmp_path)
    assert (tmp_path / 'results.csv').exists()


@pytest.mark.parametrize(
    ('setting', 'words'),
    [
        ('conv=winograd', "conv='winograd'"),
        ('conv=patch', 'did you mean patches?'),
        ('conv=onednn', 'conv=onednn: it is gone; use one of patches, grouped, map'),
        ('conv=xla', 'use one of '),
    ],
)
def test_a_lowering_that_cannot_serve(setting, words, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(native, 'missing', lambda: 'it is gone')
    flags = ['--experiment=pooling', f'--set={setting}', f'--workdir={tmp_path / "run"}']
    assert main.main(flags) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert words in error
    assert not (tmp_path / 'run').exists()


def test_a_missing_native_part_is_reported_once_per_study(convolutions, monkeypatch, capsys):
    monkeypatch.setattr(native, 'missing', lambda: 'it is gone')
    monkeypatch.setattr(autotune, '_seconds', lambda *_: 1.0)
    timer = autotune.Timer()
    timer.fastest(convolutions, 4)
    timer.fastest(convolutions, 2)
    assert (
        capsys.readouterr().err == 'jaxdl: convolutions will be several times slower: it is gone\n'
    )
