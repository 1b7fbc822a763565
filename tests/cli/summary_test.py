"""Summary on the screen at the end of a run."""

import io
import pathlib
import re

import pytest

from jaxdl.cli import flags, modes, summary
from jaxdl.workdir.tables import Results

CONFIG = dict(kind='Demonstration', name='residual', scale='full')
COMMAND = flags.parse(['--experiment=residual', '--workdir=w'])
FIRST = dict(
    condition='',
    option='max',
    baseline='max',
    mean=0.97,
    ci_low=0.96,
    ci_high=0.98,
    difference=None,
    difference_low=None,
    difference_high=None,
    p_holm=None,
    verdict='',
)
SCORE = dict(stage='finetune', split='val', images=1200, accuracy=0.75, macro_f1=0.5, loss=1.25)


def outcome(verdict='better', option='avg', claims=(), scores=()):
    compared = dict(
        difference=0.007,
        difference_low=0.002,
        difference_high=0.012,
        p_holm=0.0101,
        verdict=verdict,
    )
    rows = [FIRST, FIRST | compared | dict(option=option)]
    return Results(
        [], [] if claims or scores else rows, pathlib.Path('w'), list(claims), scores=list(scores)
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(monkeypatch, result, columns, stream=None, colour=False):
    out = Terminal() if stream is None else stream
    monkeypatch.setattr(summary.sys, 'stdout', out)
    monkeypatch.setenv('COLUMNS', str(columns))
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('NO_COLOR', '1')
    if colour:
        monkeypatch.delenv('NO_COLOR')
    summary.write(result, CONFIG, COMMAND, lambda text: print(text, file=out))
    return out.getvalue()


def plain(text):
    return re.sub(r'\x1b\[[\d;]*m', '', text)


@pytest.mark.parametrize('columns', [40, 80, 120])
@pytest.mark.parametrize('verdict', ['better', 'worse', 'no difference found'])
def test_a_terminal_gets_a_table_that_fits(monkeypatch, columns, verdict):
    text = screen(
        monkeypatch,
        outcome(verdict, option='[red]an option of a very long name indeed[/red]'),
        columns,
    )
    assert not re.search(r'\x1b\[(3|9)', text)  # bold and dim are no colours
    table = plain(text).partition('report: ')[0]
    assert max(map(len, table.splitlines())) <= columns
    joined = ''.join(table.split())
    assert '[red]' in joined  # the name as it is, no colour
    assert '+0.70' in joined
    assert ('[+0.20,+1.20]' in joined) == ('0.010' in joined) == (columns >= 80)
    assert ('[96.00,98.00]' in joined) == (columns >= 120)
    assert verdict.split()[0] in joined  # its other words may stand in the lines below
    assert f'report: {pathlib.Path("w") / "report.html"}' in text
    assert ('--mode=plan' in text) == (verdict == 'no difference found')


def test_usual_names_take_a_line_each_on_eighty_columns(monkeypatch):
    table = screen(monkeypatch, outcome('no difference found'), 80).partition('report: ')[0]
    assert len(table.splitlines()) == 3


@pytest.mark.parametrize('verdict', ['better', 'worse'])
def test_a_verdict_is_a_word_and_a_colour(monkeypatch, verdict):
    in_colour = screen(monkeypatch, outcome(verdict), 80, colour=True)
    assert re.search(r'\x1b\[[\d;]*3[12]m', in_colour)
    assert re.sub(r' +$', '', plain(in_colour), flags=re.MULTILINE) == re.sub(
        r' +$', '', plain(screen(monkeypatch, outcome(verdict), 80)), flags=re.MULTILINE
    )
    assert verdict in in_colour


def test_a_fine_tuning_ends_in_its_scores(monkeypatch):
    table = plain(screen(monkeypatch, outcome(scores=[SCORE]), 80)).splitlines()[:2]
    assert [row.split() for row in table] == [
        ['stage', 'accuracy,', '%', 'macro', 'F1', 'loss', 'images'],
        ['finetune', '75.00', '0.500', '1.250', '1,200', 'validation'],
    ]
    assert screen(monkeypatch, outcome(scores=[SCORE]), 80, io.StringIO()).splitlines()[0] == (
        'finetune   accuracy 75.00 %, macro F1 0.500, loss 1.250 on 1,200 validation images'
    )


def test_the_probe_on_the_same_images_has_no_loss(monkeypatch):
    probe = {k: v for k, v in SCORE.items() if k != 'loss'} | dict(stage='probe')
    table = plain(screen(monkeypatch, outcome(scores=[probe, SCORE]), 80)).splitlines()
    assert table[1].split() == ['probe', '75.00', '0.500', '1,200', 'validation']
    lines = screen(monkeypatch, outcome(scores=[probe]), 80, io.StringIO()).splitlines()
    assert lines[0] == 'probe      accuracy 75.00 %, macro F1 0.500 on 1,200 validation images'


def test_a_narrow_terminal_gets_the_scores_that_fit(monkeypatch):
    table = plain(screen(monkeypatch, outcome(scores=[SCORE]), 40)).splitlines()[:2]
    assert [row.split()[-1] for row in table] == ['F1', '0.500']


def test_a_pipe_gets_lines(monkeypatch):
    text = screen(monkeypatch, outcome(), 80, io.StringIO())
    assert text.splitlines()[:3] == [
        'max              97.00 %',
        'avg              97.00 %  +0.70 [+0.20, +1.20] percentage points: better',
        f'report: {pathlib.Path("w") / "report.html"}',
    ]


@pytest.mark.parametrize(('count', 'printed'), [(3, 3), (40, 1)])
def test_of_many_claims_those_that_fail(monkeypatch, count, printed):
    claims = [
        dict(claim=f'claim {i}', measured=1.0, expected=1.0, tolerance=0.1, holds='true')
        for i in range(count)
    ]
    claims[0]['holds'] = 'false'
    text = screen(monkeypatch, outcome(claims=claims), 80)
    assert f'{count - 1} of {count} claims hold' in text
    assert text.count('claim ') == printed + 1  # the heading
    assert 'FAILS  claim 0' in plain(text)


@pytest.mark.parametrize(
    ('config', 'verdict', 'words'),
    [
        (dict(scale='quick'), 'better', '--experiment=residual --seeds=4 --workdir=w-full'),
        (
            dict(kind='FineTune'),
            '',
            '--mode=predict --checkpoint=w --images=DIR --output=predictions.csv',
        ),
        (
            {},
            'no difference found',
            '--experiment=residual --seeds=4 --quick --mode=plan --workdir=w',
        ),
        ({}, 'better', ''),
    ],
)
def test_the_next_command_is_about_the_same_experiment(config, verdict, words):
    typed = ['--experiment', 'residual', '--seeds', '4', '--quick', '--workdir=w', '--overwrite']
    following = summary.next_command(outcome(verdict), CONFIG | config, flags.parse(typed))
    assert ' '.join(following) == words
    assert flags.parse(following).mode in modes.MODES


def test_no_other_experiment_follows_a_demonstration():
    result = outcome(claims=[dict(holds='true')])
    assert summary.next_command(result, CONFIG | dict(name='triplet'), COMMAND) == []
