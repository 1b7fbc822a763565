"""Plan of a fine-tuning: steps by the split of the run, and times."""

import re

import finetunes
import pytest

from jaxdl.data import bursts, load, split
from jaxdl.finetune import plan
from jaxdl.models import ARCHITECTURES


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plan')
    finetunes.weights(folder, ARCHITECTURES['resnet20'])
    finetunes.images(folder, count=61)
    return folder


@pytest.mark.parametrize('kind', ['stratified', 'grouped'])
def test_steps_are_those_of_the_split_or_are_called_approximate(folder, kind):
    experiment = finetunes.experiment(folder, data=dict(split=kind))
    text = '\n'.join(plan.describe(experiment))
    dataset = load(experiment.data)
    train, exact = bursts.count_train(dataset, experiment.data)
    assert exact == (kind == 'stratified')
    if exact:
        assert train == len(split(dataset, experiment.data).train)
    steps = 2 * (train // experiment.variant.batch_size)
    about = '' if exact else 'about '
    assert f'finetune  steps 0 to {about}{steps} at ' in text
    assert ('which the split keeps whole' in text) != exact


@pytest.mark.parametrize('stages', [('probe',), ('probe', 'finetune')])
def test_a_plan_has_a_time_for_each_stage(folder, stages):
    *_, last = plan.describe(finetunes.experiment(folder, stages=stages))
    assert re.match(r'about     probe \d+ seconds', last)
    assert ('finetune' in last) == ('finetune' in stages)


def test_sizes_that_are_not_named_are_those_of_the_network_and_of_the_images(folder):
    lines = plan.describe(finetunes.experiment(folder, train_size=0, eval_size=0))
    row = ARCHITECTURES['resnet20']
    assert row.finetune_sizes == (32, 32)
    assert any(f'at {min(finetunes.SIDE, 32)} px' in line for line in lines)


@pytest.mark.parametrize('name', list(ARCHITECTURES))
def test_a_network_is_not_fine_tuned_at_a_size_above_that_of_its_pretraining(name):
    row = ARCHITECTURES[name]
    assert 8 <= row.finetune_sizes.train <= row.finetune_sizes.evaluation
    assert row.finetune_sizes.evaluation <= row.preprocessing.size
