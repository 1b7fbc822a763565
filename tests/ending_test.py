"""What stands on the screen when a run has ended."""

import io
import pathlib
import re

import numpy as np
import pytest

from jaxdl import ending, statistics
from jaxdl.results import Results

NONE = 'no difference found'
FIRST = dict(condition='', option='max', baseline='max', learning_rate=0.1, seeds=10, mean=0.97, difference=None,
             verdict='', detectable=None)  # fmt: skip
CONFIG = dict(
    kind='Ablation', name='pooling', scale='full', margin=0.01, learning_rates=(0.01, 0.1, 1.0),
    options={'max': {}, 'avg': {}}, data=dict(resample_split=False),
)  # fmt: skip
MEASURED = np.linspace(0.9, 0.95, 10)
APART = np.tile([1.0, -1.0], 5) / np.std(np.tile([1.0, -1.0], 5), ddof=1)  # of standard deviation 1
EFFECT = statistics.compare(APART, np.zeros(10)).detectable  # in standard deviations
MORE = statistics.seeds_needed(0.02 / EFFECT, 0.01)
COMMAND = ['--experiment=pooling', '--workdir=w']


def found(verdict='better', detectable=0.004, rate=0.1, option='avg', claims=()):
    low, middle, high = (0.002, 0.007, 0.012)
    row = FIRST | dict(option=option, difference=middle, difference_low=low, difference_high=high, verdict=verdict)
    rows = [FIRST, row | dict(detectable=detectable, learning_rate=rate)]
    tuned = dict(condition='', phase='tune', split='val', metric='accuracy')
    tried = [dict(tuned, option=own, learning_rate=at) for own in ('max', option) for at in (0.01, 0.1, 1.0)]
    pairs = {'max': MEASURED, option: MEASURED + detectable / EFFECT * APART}
    measured = [
        dict(condition='', phase='measure', option=own, seed=1000 + i, split='test', metric='accuracy', value=value,
             learning_rate=0.1, epoch=1)
        for own, values in pairs.items() for i, value in enumerate(values)
    ]  # fmt: skip
    return Results(tried + measured, rows if not claims else [], pathlib.Path('w'), list(claims))


@pytest.mark.parametrize(
    ('result', 'changes', 'words', 'why'),
    [
        (found(), dict(scale='quick'), '--experiment=pooling --workdir=w-full', 'no evidence'),
        (found(), {}, '--set=resample_split=true', 'other splits'),
        (found(), dict(data=dict(resample_split=True)), None, ''),
        (found(NONE, 0.02), {}, f'--seeds={MORE} --workdir=w-{MORE}-seeds', 'these find 1'),
        (found(NONE, 0.009), {}, '--set=resample_split=true', 'other splits'),
        (found(rate=1.0), {}, '--set=learning_rates=[0.01,0.1,1,10]', 'avg was best at the edge'),
        (found(rate=0.01), {}, '--set=learning_rates=[0.001,0.01,0.1,1]', 'avg was best at the edge'),
        (found(), dict(kind='FineTune'), '--mode=predict --checkpoint=w', 'new images'),
        (found(), dict(kind='Demonstration', name='residual'), '--experiment=depth', 'further'),
        (found(), dict(kind='Assignment', name='assignment'), '--set=resample_split', ''),
    ],
)  # fmt: skip
def test_what_is_worth_trying_next(result, changes, words, why):
    if changes.get('kind') == 'Assignment':
        result = Results([], [], pathlib.Path('w'))
        words = None
    told = ending.after(result, CONFIG | changes, [*COMMAND, '--quick', '--seeds=10'])
    if words is None:
        assert told is None
        return
    assert told is not None
    assert words in ' '.join(told[0]).replace(' --seeds=10', '')
    assert '--quick' not in told[0]
    assert why in told[1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(monkeypatch, result, columns, stream=None):
    out = Terminal() if stream is None else stream
    monkeypatch.setattr(ending.sys, 'stdout', out)
    monkeypatch.setenv('COLUMNS', str(columns))
    monkeypatch.setenv('NO_COLOR', '1')
    ending.tell(result, CONFIG, COMMAND, lambda text: print(text, file=out))
    return out.getvalue()


@pytest.mark.parametrize('columns', [40, 80, 120])
def test_a_terminal_gets_a_table_that_fits(monkeypatch, columns):
    text = screen(monkeypatch, found(option='[red]an option of a very long name indeed[/red]'), columns)
    assert not re.search(r'\x1b\[(3|9)', text)  # bold and dim are no colours
    text = re.sub(r'\x1b\[\d+m', '', text)
    table = text.partition('report: ')[0]
    assert max(map(len, table.splitlines())) <= columns
    joined = ''.join(table.split())
    assert '[red]' in joined  # the name as it is, no colour
    assert '+0.70' in joined
    assert 'better' in joined
    assert f'report: {pathlib.Path("w") / "report.html"}' in text
    assert '\nnext: python -m jaxdl.main --experiment=pooling ' in text


def test_a_pipe_gets_lines(monkeypatch):
    text = screen(monkeypatch, found(), 80, io.StringIO())
    assert text.splitlines()[:3] == [
        'max              97.00 %',
        'avg              97.00 %  +0.70 [+0.20, +1.20] points: better',
        f'report: {pathlib.Path("w") / "report.html"}',
    ]


@pytest.mark.parametrize(('count', 'shown'), [(3, 3), (40, 1)])
def test_of_many_claims_those_that_fail(monkeypatch, count, shown):
    claims = [dict(claim=f'claim {i}', measured=1.0, expected=1.0, tolerance=0.1, holds='true') for i in range(count)]
    claims[0]['holds'] = 'false'
    text = screen(monkeypatch, found(claims=claims), 80)
    assert f'{count - 1} of {count} claims hold' in text
    assert text.count('claim ') == shown
    assert 'FAILS  claim 0' in text
