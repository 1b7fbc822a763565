"""Records of plan.json and run.json: equal after reading; one line for a damaged file."""

import dataclasses
import json

import pytest

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.workdir import records

GROUP = dict(
    condition='',
    phase='tune',
    options=['max', 'avg'],
    members=6,
    steps=30,
    batch_size=32,
    sides=[3, 2],
    chunks=1,
    limit=6,
    cores=2,
    member_bytes=1000,
    conv='patches',
    stage='',
)
DATA = dict(
    name='digits',
    description='images',
    classes=['0', '1'],
    image_shape=[8, 8, 1],
    train=10,
    val=5,
    test=5,
    checksum='abc',
    decoder='',
    findings={},
    fit='crop',
)
PLAN = dict(
    data={'': DATA},
    devices=dict(platform='cpu', kind='cpu', count=1),
    cores=2,
    versions=dict(jax='0.10.2'),
    groups=[GROUP],
    registered={},
    sources={},
    extensions=[],
)
RUN = dict(command='', git='', date='2026-11-29', versions={}, device='cpu', finished=False)


def test_a_plan_is_the_same_after_reading(tmp_path):
    workdir.write_json(tmp_path / 'plan.json', PLAN)
    plan = records.read(tmp_path / 'plan.json', records.Plan)
    assert plan.groups[0].options == ('max', 'avg')
    assert plan.data[''].image_shape == (8, 8, 1)
    assert json.loads(json.dumps(records.as_json(plan))) == PLAN


def test_entries_that_a_run_does_not_have_are_not_written():
    run = records.parse(records.RunRecord, RUN)
    assert 'scores' not in records.as_json(run)
    assert records.as_json(dataclasses.replace(run, scores={}))['scores'] == {}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda plan: plan.pop('groups'), 'it lacks groups'),
        (lambda plan: plan['groups'][0].pop('conv'), r'it lacks groups\[0\].conv'),
        (lambda plan: plan['groups'][0].update(limit='6'), r"groups\[0\].limit='6': must be a"),
        (lambda plan: plan.update(groups={}), 'groups={}'),
        (lambda plan: plan['data'].update({'': 3}), 'data.=3: must be an object'),
        (lambda plan: plan.update(devices=[1]), 'devices=.*must be an object'),
    ],
)
def test_a_damaged_plan_is_named_in_one_line(tmp_path, change, words):
    plan = json.loads(json.dumps(PLAN))
    change(plan)
    workdir.write_json(tmp_path / 'plan.json', plan)
    with pytest.raises(InputError, match=words) as error:
        records.read(tmp_path / 'plan.json', records.Plan)
    assert 'plan.json is damaged' in str(error.value)
    assert '--overwrite' in str(error.value)
