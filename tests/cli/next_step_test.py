"""Which command a run names at its end, by what it found."""

import pathlib

import numpy as np
import pytest

from jaxdl import main, statistics
from jaxdl.cli import next_step
from jaxdl.config import catalogue
from jaxdl.workdir.tables import Results

NONE = 'no difference found'
CONFIG = dict(
    kind='Ablation',
    name='pooling',
    scale='full',
    margin=0.01,
    learning_rates=(0.01, 0.1, 1.0),
    variant={},
    options={'max': {}, 'avg': {}},
    data=dict(resample_split=False),
)
SPLITS = dict(data=dict(resample_split=True))
MEASURED = np.linspace(0.9, 0.95, 10)
APART = np.tile([1.0, -1.0], 5) / np.std(np.tile([1.0, -1.0], 5), ddof=1)  # of standard deviation 1
EFFECT = statistics.compare(APART, np.zeros(10)).detectable  # in standard deviations
MORE = statistics.seeds_needed(0.02 / EFFECT, 0.01)
COMMAND = ['--experiment=pooling', '--workdir=w', '--quick', '--seeds', '10']


def found(verdict='better', detectable=0.004, rate=0.1, loss=0.5):
    """Of the option avg: its verdict, what ten seeds could have found, its chosen rate.

    A loss in the measure phase.
    """
    first = dict(
        condition='',
        option='max',
        baseline='max',
        learning_rate=0.1,
        seeds=10,
        verdict='',
        detectable=None,
    )
    second = first | dict(option='avg', verdict=verdict, detectable=detectable, learning_rate=rate)
    tuned = dict(condition='', phase='tune', split='val', metric='accuracy')
    table = [
        dict(tuned, option=own, learning_rate=at)
        for own in ('max', 'avg')
        for at in (0.01, 0.1, 1.0)
    ]
    pairs = {'max': MEASURED, 'avg': MEASURED + detectable / EFFECT * APART}
    for option, values in pairs.items():
        for i, value in enumerate(values):
            row = dict(
                condition='',
                phase='measure',
                option=option,
                seed=1000 + i,
                learning_rate=rate,
                epoch=1,
            )
            table.append(row | dict(split='test', metric='accuracy', value=value))
            table.append(row | dict(split='train', metric='loss', value=loss))
    return Results(table, [first, second], pathlib.Path('w'))


@pytest.mark.parametrize(
    ('result', 'changes', 'words', 'why'),
    [
        (
            found(),
            dict(scale='quick'),
            '--experiment=pooling --seeds=10 --workdir=w-full',
            'no evidence',
        ),
        (
            found(),
            {},
            '--experiment=pooling --seeds=10 --set=resample_split=true --workdir=w-splits',
            'other splits',
        ),
        (found(), SPLITS, '--experiment=global_pooling', 'further'),
        (
            found(NONE, 0.02),
            {},
            f'--experiment=pooling --seeds={MORE} --workdir=w-{MORE}-seeds',
            'these find 1',
        ),
        (found(NONE, 0.02), SPLITS, '--experiment=global_pooling', 'further'),
        (found(NONE, 0.009), {}, '--set=resample_split=true', 'other splits'),
        (
            found(rate=1.0),
            {},
            '--set=learning_rates=[0.01,0.1,1,10]',
            'the best rate of avg is the last',
        ),
        (
            found(rate=0.01),
            {},
            '--set=learning_rates=[0.001,0.01,0.1,1]',
            'the best rate of avg is the last',
        ),
        (
            found(rate=1.0, loss=np.nan),
            {},
            '--set=learning_rates=[0.001,0.01,0.1]',
            'max diverged at its rate 1',
        ),
        (found(), dict(kind='FineTune'), '--mode=predict --checkpoint=w', 'new images'),
        (found(), SPLITS | dict(name='my_study'), None, ''),
    ],
)
def test_what_is_worth_trying_next(result, changes, words, why):
    told = next_step.after(result, CONFIG | changes, COMMAND)
    if words is None:
        assert told is None
        return
    assert told is not None
    assert words in ' '.join(told[0])
    assert '--quick' not in told[0]
    assert why in told[1]


def test_what_is_set_again_stands_once():
    command = ['--experiment=pooling', '--set', 'seeds=10', '--set=epochs=5', '--seeds=3']
    told = next_step.after(found(NONE, 0.02), CONFIG, command)
    assert told is not None
    assert told[0] == [
        '--experiment=pooling',
        '--set=epochs=5',
        f'--seeds={MORE}',
        f'--workdir=w-{MORE}-seeds',
    ]


def test_every_question_is_taken_further_by_another():
    names = set(catalogue.questions()) - {'aa', 'assignment', 'probe', 'finetune', 'challenge'}
    assert set(next_step.NEXT) == names
    assert set(next_step.NEXT.values()) <= names
    assert all(name != further for name, further in next_step.NEXT.items())


def test_a_command_that_is_told_is_one():
    told = next_step.after(found(NONE, 0.02), CONFIG, COMMAND)
    assert told is not None
    assert main._parse(told[0]) == []
    assert main._experiment().seeds == MORE
    assert main._workdir() == pathlib.Path(f'w-{MORE}-seeds')
