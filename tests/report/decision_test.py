"""Decision of an ablation: the chosen option and its reasons follow from summary and costs."""

import dataclasses
import itertools

import pytest
import workdirs

from jaxdl import report
from jaxdl.report.ablation import decision, more_seeds, reading
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Items, Paragraph
from jaxdl.workdir import tables

NONE = 'no difference found'
VERDICTS = ('better', 'worse', NONE)


def row(option: str, verdict: str, new: str, difference: float = 0.01) -> tables.Row:
    return dict(
        option=option, baseline='max', verdict=verdict, verdict_images=new, difference=difference
    )


@pytest.mark.parametrize(('verdict', 'new'), [*itertools.product(VERDICTS, VERDICTS)])
def test_an_option_is_chosen_if_it_is_better_at_both_levels(verdict, new):
    chosen = decision.choose([row('a', NONE, NONE, 0.5), row('b', verdict, new)])
    assert (chosen is not None) == (verdict == new == 'better')


def test_of_several_the_largest_difference_is_chosen_whatever_the_order():
    rows = [row(name, 'better', 'better', d) for name, d in dict(a=0.01, b=0.03, c=0.02).items()]
    others = [row('d', 'better', NONE, 0.05)]
    for order in itertools.permutations(rows + others):
        chosen = decision.choose(order)
        assert chosen is not None
        assert chosen['option'] == 'b'


def items(workdir) -> dict[str, str]:
    """Label -> text of the items of the only condition."""
    (content,) = [b for b in decision.blocks(reading.read(workdir)) if isinstance(b, Items)]
    texts = [markup.plain(item).replace(words.SPACE, ' ') for item in content.items]
    return {text.partition(':')[0]: text.partition(': ')[2] for text in texts}


@pytest.fixture(scope='module')
def chosen(tmp_path_factory):
    """A study with one option that is much better."""
    options = workdirs.first(1) | {'good': (0.01, 0.1), 'best': (0.0, 0.1), 'bad': (0.06, 0.1)}
    folder = tmp_path_factory.mktemp('chosen') / 'run'
    return workdirs.make(folder, options=options, epochs=12, rates=[0.1])


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
    """A study in which no option is better."""
    options = workdirs.first(1) | {'same': (0.03, 0.1), 'bad': (0.06, 0.1)}
    folder = tmp_path_factory.mktemp('kept') / 'run'
    return workdirs.make(folder, options=options, seeds=4, epochs=12, rates=[0.1])


def test_the_chosen_option_is_named_with_its_numbers(chosen):
    summary = {r['option']: r for r in reading.read(chosen).summary}
    best, text = summary['best'], items(chosen)
    assert best['verdict'] == best['verdict_images'] == 'better'
    assert text['Chosen option'].startswith('best. It is better than max at both levels')
    assert summary['good']['verdict'] == summary['good']['verdict_images'] == 'better'
    assert f'levels: good ({words.points(summary["good"]["difference"])})' in text['Chosen option']
    assert 'options are not compared with each other' in text['Chosen option']
    assert words.points(best['difference']) in text['Reason']
    for end in ('', '_images'):
        low, high = best[f'difference_low{end}'], best[f'difference_high{end}']
        assert words.span(low, high) in text['Reason']
    assert 'Minimum detectable difference of best with 10 seeds: ' in text['Change of the decision']


def test_the_baseline_is_kept_without_an_option_that_is_better_at_both_levels(kept):
    text = items(kept)
    assert text['Chosen option'].startswith('max; the baseline is kept.')
    assert 'The difference of same from max' in text['Reason']
    assert text['Cost'].startswith('max has 12,346 parameters')
    assert 'in which an option is better at both levels' in text['Change of the decision']


def test_costs_are_relative_to_the_baseline(chosen):
    costs = {r['option']: r for r in tables.read_table(chosen / 'costs.csv', tables.COSTS)}
    text = items(chosen)['Cost']
    for key, noun in dict(
        parameters='parameters', flops='FLOPs', seconds_per_member='seconds'
    ).items():
        ratio = costs['best'][key] / costs['max'][key]
        assert f'{noun} {words.TIMES} {ratio:.2f}' in text


def test_each_condition_has_its_decision_and_a_smoke_run_is_no_evidence(tmp_path):
    workdirs.make(
        tmp_path,
        options=workdirs.first(2),
        seeds=2,
        epochs=2,
        rates=[0.1],
        conditions={'one': {}, 'two': {'variant.dropout': 0.5}},
        scale='quick',
    )
    blocks = decision.blocks(reading.read(tmp_path))
    assert sum(isinstance(block, Items) for block in blocks) == 2
    texts = [markup.plain(b.text) for b in blocks if isinstance(b, Paragraph)]
    assert texts[0] == decision.SMOKE
    assert texts[1:3] == ['one', 'two']


def test_a_study_of_one_option_has_no_decision(tmp_path):
    workdirs.make(tmp_path, options=workdirs.first(1), seeds=2, epochs=2, rates=[0.1])
    assert decision.blocks(reading.read(tmp_path)) == []
    report.build(tmp_path)
    assert 'Decision rule' in (tmp_path / 'report.md').read_text()
    assert ' Decision\n' not in (tmp_path / 'report.md').read_text()


def test_more_seeds_are_advised_with_commands_a_time_and_a_warning(tmp_path):
    options = workdirs.first(1) | {'same': (0.03, 0.1)}
    workdirs.make(tmp_path / 'run', options=options, seeds=2, epochs=12, rates=[0.1])
    study = reading.read(tmp_path / 'run')
    command = f'{study.run.command} --overwrite --seeds=2 --set=epochs=12'
    study = dataclasses.replace(study, run=dataclasses.replace(study.run, command=command))
    (row,) = (row for row in study.summary if row['option'] == 'same')
    text = more_seeds.advice(study, row | dict(components=None))
    start = 'python -m jaxdl.main --experiment=pooling'
    assert f'{start} --set=epochs=12 --set=seeds=[1002,1003]' in markup.plain(text).replace("'", '')
    assert '--workdir=runs/run-new-seeds' in text
    assert f'{start} --workdir=pooling --set=epochs=12 --set=seeds=4' in markup.plain(text)
    assert '--overwrite' not in text
    assert f'about {words.seconds(92.5)}, as this run' in text
    assert 'optional stopping' in text
    quick = dataclasses.replace(study, config=study.config | dict(scale='quick'))
    assert not more_seeds.advice(quick, row)
