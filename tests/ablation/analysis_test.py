"""Results trained elsewhere: tables as trackers export them, the comparison, and bad tables."""

import contextlib
import csv
import json
import math
import pathlib
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import report_pages
from scipy import stats

import jaxdl
from jaxdl import main as command
from jaxdl import statistics
from jaxdl.ablation.analysis import columns, measurements, source
from jaxdl.errors import InputError
from jaxdl.workdir import tables

pytestmark = pytest.mark.unit

SHARED = pathlib.Path(jaxdl.__file__).parents[2] / 'shared' / 'contract'
PAGE = pathlib.Path(jaxdl.__file__).parents[1] / 'docs' / 'analyze.md'
BASE = {0: 0.90, 1: 0.92, 2: 0.91, 3: 0.93}
BETTER = {0: 0.94, 1: 0.95, 2: 0.95, 3: 0.96}
SAME = {0: 0.91, 1: 0.91, 2: 0.92, 3: 0.92}
LIGHTNING = r'--set=path_pattern=runs/(?P<option>[^/]+)/seed(?P<seed>\d+)/'


def write(path, header, rows):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='') as file:
        csv.writer(file).writerows([header, *rows])
    return path


def long_table(options, **fixed):
    """Columns of a long table: option -> seed -> value."""
    rows = [(o, s, v) for o, values in options.items() for s, v in values.items()]
    option, seed, value = map(list, zip(*rows, strict=True))
    more = {name: [cell] * len(rows) for name, cell in fixed.items()}
    return dict(option=option, seed=seed, value=value) | more


def by_option(results):
    return {row['option']: row for row in results.summary}


def analyze(table, baseline='base', **settings):
    return jaxdl.analyze(table, baseline=baseline, workdir='out', **settings)


def page(results):
    return (results.workdir / 'report.md').read_text()


def check_paired(row, option, baseline):
    d = np.subtract(list(option.values()), list(baseline.values()))
    expected = stats.ttest_1samp(d, 0)
    ends = expected.confidence_interval(0.95)
    assert row['difference'] == pytest.approx(d.mean(), abs=1e-12)
    assert row['p_value'] == pytest.approx(expected.pvalue, rel=1e-9)
    assert (row['difference_low'], row['difference_high']) == pytest.approx(
        (ends.low, ends.high), abs=1e-9
    )


def test_the_comparison_is_that_of_scipy():
    results = analyze(long_table(dict(base=BASE, better=BETTER, same=SAME)))
    rows = by_option(results)
    assert list(rows) == ['base', 'better', 'same']
    check_paired(rows['better'], BETTER, BASE)
    check_paired(rows['same'], SAME, BASE)
    mean = stats.ttest_1samp(list(SAME.values()), 0)
    ends = mean.confidence_interval(0.95)
    assert (rows['same']['ci_low'], rows['same']['ci_high']) == pytest.approx((ends.low, ends.high))
    p_values = [rows[option]['p_value'] for option in ('better', 'same')]
    least, most = sorted(p_values)
    assert sorted(rows[option]['p_holm'] for option in ('better', 'same')) == pytest.approx(
        [2 * least, max(2 * least, most)]
    )
    assert rows['better']['verdict'] == 'better'
    assert rows['same']['verdict'] == 'no difference found'
    assert not any(rows['same'][name] for name in list(tables.SUMMARY)[19:])


@pytest.mark.skipif(not SHARED.exists(), reason='the worked case is not here')
def test_the_worked_case_of_the_contract():
    results = jaxdl.analyze(SHARED / 'results.csv', baseline='max')
    assert results.workdir == pathlib.Path('runs/analysis-results')
    with (SHARED / 'summary.csv').open() as file:
        expected = list(csv.DictReader(file))
    assert len(results.summary) == len(expected)
    with (results.workdir / 'summary.csv').open() as file:
        assert next(csv.reader(file)) == list(tables.SUMMARY)
    for row, other in zip(results.summary, expected, strict=True):
        for name, text in other.items():
            if tables.SUMMARY[name] is float and text:
                assert row[name] == pytest.approx(float(text), abs=1e-9)
            else:
                assert str('' if row[name] is None else row[name]) == text


def test_jaxdls_own_table_takes_the_measured_values_of_the_test_split_at_the_last_epoch():
    rows = []
    for option, values in dict(base=BASE, better=BETTER).items():
        for seed, value in values.items():
            head = dict(condition='', option=option, learning_rate=0.1)
            rows += [
                head | dict(phase=phase, seed=s, epoch=epoch, split=split, metric=metric, value=v)
                for phase, s, epoch, split, metric, v in (
                    ('tune', seed, 2, 'val', 'accuracy', 0.1),
                    ('measure', 1000 + seed, 1, 'test', 'accuracy', 0.2),
                    ('measure', 1000 + seed, 2, 'train', 'accuracy', 1.0),
                    ('measure', 1000 + seed, 2, 'val', 'accuracy', 0.5),
                    ('measure', 1000 + seed, 2, 'test', 'loss', 0.3),
                    ('measure', 1000 + seed, 2, 'test', 'accuracy', value),
                )
            ]
    tables.write_table(pathlib.Path('results.csv'), tables.RESULTS, rows)
    results = analyze('results.csv')
    check_paired(by_option(results)['better'], BETTER, BASE)
    assert by_option(results)['base']['learning_rate'] == 0.1
    loss = by_option(analyze('results.csv', metric='loss'))['base']
    assert (loss['metric'], loss['mean']) == ('loss', pytest.approx(0.3))


def wandb(path='wandb.csv', metric='test/acc'):
    """As the table of runs is exported: quoted, one row per run, settings and last values."""
    header = ['Name', 'State', 'Notes', 'User', 'Tags', 'Created', 'Runtime', 'Sweep', 'lr', 'seed']
    header += [metric, 'test/loss', 'train/acc', '_step']
    about = ['finished', '-', 'me', '', '2026-11-30T08:00:00.000Z', 100, '']
    rows = [
        [option, *about, 0.1, seed, value, 1 - value, 0.999, 1000]
        for option, values in dict(base=BASE, better=BETTER).items()
        for seed, value in values.items()
    ]
    return write(path, header, rows)


def mlflow(path='mlflow.csv'):
    """As `mlflow runs search` and the web page export it, with accuracies in per cent."""
    header = ['run_id', 'experiment_id', 'status', 'artifact_uri', 'start_time', 'end_time']
    header += ['metrics.val_loss', 'metrics.val_acc', 'params.seed', 'params.lr']
    header += ['tags.mlflow.runName', 'tags.mlflow.user', 'tags.mlflow.source.name']
    about = [0, 'FINISHED', '/x', '2026-11-30 08:00:00', '2026-11-30 09:00:00']
    rows = [
        [f'{option}{seed}', *about, 1 - value, 100 * value, seed, 0.1, option, 'me', 'train.py']
        for option, values in dict(better=BETTER, base=BASE).items()
        for seed, value in values.items()
    ]
    return write(path, header, rows)


def lightning(folder='runs'):
    """As CSVLogger writes it: a row per logged step, with empty cells."""
    for option, values in dict(base=BASE, better=BETTER).items():
        for seed, value in values.items():
            rows = []
            for epoch in range(3):
                rows.append([epoch, 10 * epoch + 4, 1 / (epoch + 1), ''])
                rows.append([epoch, 10 * epoch + 9, '', value - 0.1 * (2 - epoch)])
            path = f'{folder}/{option}/seed{seed}/lightning_logs/version_0/metrics.csv'
            write(path, ['epoch', 'step', 'train_loss', 'val_acc'], rows)
    return f'{folder}/*/seed*/*/version_0/metrics.csv'


def test_a_table_of_weights_and_biases():
    results = analyze(wandb())
    row = by_option(results)['better']
    check_paired(row, BETTER, BASE)
    assert (row['metric'], row['learning_rate']) == ('accuracy', 0.1)
    assert 'test accuracy' in page(results)


def wandb_chart(path='chart.csv', metric='val/acc'):
    """As a chart is exported: a row per step, a column per run with least and largest value."""
    runs = {
        f'{option}-s{seed}': value
        for option, values in dict(base=BASE, better=BETTER).items()
        for seed, value in values.items()
    }
    header = ['Step', *(f'{run} - {metric}{e}' for run in runs for e in ('', '__MIN', '__MAX'))]
    rows = [
        [step, *(cell for value in runs.values() for cell in [value - 0.01 * (2 - step)] * 3)]
        for step in range(3)
    ]
    rows.append([3, *[''] * (3 * len(runs))])
    return write(path, header, rows)


def test_a_chart_of_weights_and_biases():
    """The last value of each run; option and seed come from its name."""
    results = analyze(wandb_chart(), path_pattern=r'(?P<option>.+)-s(?P<seed>\d+)')
    check_paired(by_option(results)['better'], BETTER, BASE)
    assert 'validation accuracy' in page(results)


def test_a_chart_of_several_metrics_is_refused(capsys):
    header = [f'a - {metric}{end}' for metric in ('x', 'y') for end in ('', '__MIN', '__MAX')]
    path = write('two.csv', ['Step', *header], [[0, *[1] * 6]])
    assert command.main(['--mode=analyze', f'--results={path}', '--baseline=a']) == 2
    assert 'has the metrics x, y in columns of runs' in capsys.readouterr().err


def test_a_table_of_mlflow_in_per_cent():
    results = analyze(mlflow())
    check_paired(by_option(results)['better'], BETTER, BASE)
    assert list(by_option(results)) == ['base', 'better']
    assert 'validation accuracy' in page(results)
    assert 'Values in per cent were divided by 100' in page(results)


def test_files_of_lightning_with_option_and_seed_in_their_paths(capsys):
    pattern = lightning()
    assert (
        command.main(
            [
                '--mode=analyze',
                f'--results={pattern}',
                '--baseline=base',
                LIGHTNING,
                '--workdir=out',
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert 'better' in out
    assert str(pathlib.Path('out') / 'report.html') in out
    results = tables.read_table(pathlib.Path('out/summary.csv'), tables.SUMMARY)
    check_paired(results[1], BETTER, BASE)
    text = pathlib.Path('out/report.md').read_text()
    assert 'Learning curves' in text
    assert 'at the last epoch of each run (2)' in text
    table = tables.read_table(pathlib.Path('out/results.csv'), tables.RESULTS)
    assert {row['split'] for row in table} == {'val'}
    assert sorted({row['epoch'] for row in table}) == [0, 1, 2]


def test_the_default_workdir_has_the_name_of_the_file(tmp_path):
    assert command.main(['--mode=analyze', f'--results={wandb()}', '--baseline=base']) == 0
    assert (tmp_path / 'runs' / 'analysis-wandb' / 'report.html').exists()
    assert jaxdl.analyze(
        long_table(dict(base=BASE, better=BETTER)), baseline='base'
    ).workdir == pathlib.Path('runs/analysis')


@pytest.mark.parametrize('kind', ['numpy', 'rows', 'pandas', 'pyarrow', 'file', 'semicolons'])
def test_every_kind_of_table_gives_the_same_comparison(kind):
    table = long_table(dict(base=BASE, better=BETTER), metric='accuracy')
    expected = analyze(table).summary
    if kind == 'numpy':
        table = {name: np.array(cells) for name, cells in table.items()}
    elif kind == 'rows':
        table = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    elif kind == 'pandas':
        table = pytest.importorskip('pandas').DataFrame(table)
    elif kind == 'pyarrow':
        table = pytest.importorskip('pyarrow').table(table)
    else:
        path = write('table.csv', table, zip(*table.values(), strict=True))
        if kind == 'semicolons':
            path.write_text('\ufeff' + path.read_text().replace(',', ';'), encoding='utf-8')
        table = path
    assert analyze(table).summary == expected


def test_other_seeds_are_compared_by_welch():
    other = {10 + seed: value for seed, value in [*BETTER.items(), (4, 0.93)]}
    results = analyze(long_table(dict(base=BASE, better=other)))
    row = by_option(results)['better']
    expected = stats.ttest_ind(list(other.values()), list(BASE.values()), equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert row['p_value'] == pytest.approx(expected.pvalue, rel=1e-9)
    assert (row['difference_low'], row['difference_high']) == pytest.approx((ends.low, ends.high))
    assert row['seeds'] == 5
    text = page(results)
    assert 'Differences are unpaired' in text
    assert 'Welch 1947' in text
    assert 'paired t test (Student' not in text
    assert '4 to 5\u00a0seeds' in text
    assert 'shares' not in text


def test_partly_shared_seeds_are_unpaired_and_counted():
    other = {2: 0.95, 3: 0.94, 4: 0.96}
    results = analyze(long_table(dict(base=BASE, same=SAME, other=other)))
    rows = by_option(results)
    check_paired(rows['same'], SAME, BASE)
    expected = stats.ttest_ind(list(other.values()), list(BASE.values()), equal_var=False)
    assert rows['other']['p_value'] == pytest.approx(expected.pvalue)
    text = page(results)
    assert '**other** shares 2 of its 3\u00a0seeds with **base**' in text
    assert 'Exception, **other**' in text
    assert 'paired t test (Student 1908); options with other seeds' in text


def per_image(seeds, group=True):
    rng = np.random.default_rng(0)
    easy = rng.random(40)
    correct = {
        (option, seed): easy + rng.normal(0, 0.2, 40) > limit
        for option, limit in dict(base=0.5, better=0.3).items()
        for seed in seeds[option]
    }
    header = ['option', 'seed', 'image', 'correct', *(['group'] if group else [])]
    rows = [
        [*run, f'image {i}', int(c), *([i // 2] if group else [])]
        for run, values in correct.items()
        for i, c in enumerate(values)
    ]
    return write('images.csv', header, rows), correct


@pytest.mark.parametrize(
    ('seeds', 'group'),
    [
        (dict(base=range(4), better=range(4)), True),
        (dict(base=range(4), better=range(4)), False),
        (dict(base=range(4), better=range(5, 8)), True),
    ],
)
def test_a_table_per_image(seeds, group):
    path, correct = per_image(seeds, group)
    results = analyze(path)
    row = by_option(results)['better']
    option, baseline = (
        np.array([correct[name, seed] for seed in seeds[name]]) for name in ('better', 'base')
    )
    paired = seeds['base'] == seeds['better']
    groups = np.arange(40) // 2 if group else None
    expected = statistics.compare_correct(option, baseline, groups, paired=paired)
    assert row['difference'] == pytest.approx(option.mean() - baseline.mean())
    assert row['p_value_images'] == pytest.approx(expected.p_value)
    assert (row['difference_low_images'], row['difference_high_images']) == pytest.approx(
        expected.interval
    )
    assert (row['images'], row['image_groups']) == (40, 20 if group else 40)
    assert row['verdict_images'] == 'better'
    over_seeds = statistics.compare if paired else statistics.compare_unpaired
    assert row['p_value'] == pytest.approx(over_seeds(option.mean(1), baseline.mean(1)).p_value)
    assert 'new images' in page(results)


@pytest.mark.parametrize(
    ('name', 'settings', 'verdict'),
    [
        ('loss', {}, 'worse'),
        ('val_loss', {}, 'worse'),
        ('test/perplexity', {}, 'worse'),
        ('f1', {}, 'better'),
        ('goodness', dict(metric='goodness'), 'better'),
        ('goodness', dict(metric='goodness', direction='lower'), 'worse'),
        ('value', dict(direction='lower'), 'worse'),
        ('value', dict(metric='loss'), 'worse'),
        ('value', {}, 'better'),
    ],
)
def test_the_direction_of_the_metric(name, settings, verdict):
    table = long_table(dict(base=BASE, better=BETTER))
    table[name] = table.pop('value')
    results = analyze(table, **settings)
    row = by_option(results)['better']
    assert row['verdict'] == verdict
    assert row['difference'] > 0
    assert row['p_better'] == (1.0 if verdict == 'better' else 0.0)
    assert ('lower is better' in page(results)) == (verdict == 'worse')
    if settings:  # what is set is read from config.json again
        assert command.main(['--mode=report', '--workdir=out']) == 0
        assert tables.read_table(pathlib.Path('out/summary.csv'), tables.SUMMARY) == results.summary


def test_values_beyond_1_that_nothing_names_are_no_accuracies():
    table = long_table(
        {
            name: {s: 10 * v for s, v in values.items()}
            for name, values in dict(base=BASE, better=BETTER).items()
        }
    )
    row = by_option(analyze(table))['better']
    assert (row['metric'], row['mean']) == ('value', pytest.approx(9.5))
    accuracy = by_option(analyze(table, metric='accuracy'))['better']
    assert (accuracy['metric'], accuracy['mean']) == ('accuracy', pytest.approx(0.095))
    shares = long_table(dict(base=BASE, better=BETTER), metric='accuracy')
    assert by_option(analyze(shares, unit='percent'))['better']['mean'] == pytest.approx(0.0095)


def test_conditions_repeat_the_comparison():
    table = long_table(dict(base=BASE, better=BETTER), dataset='digits')
    other = long_table(dict(base=BETTER, better=BASE), dataset='moons')
    both = {name: [*cells, *other[name]] for name, cells in table.items()}
    results = analyze(both)
    verdicts = {(row['condition'], row['option']): row['verdict'] for row in results.summary}
    assert verdicts['digits', 'better'] == 'better'
    assert verdicts['moons', 'better'] == 'worse'
    text = page(results)
    assert 'Result: **digits**' in text
    assert 'repeated under 2' in text
    # A data set that is the same in all rows is no condition.
    assert [row['condition'] for row in analyze(table).summary] == ['', '']
    named = {('condition' if name == 'dataset' else name): cells for name, cells in table.items()}
    assert [row['condition'] for row in analyze(named).summary] == ['digits', 'digits']


def test_an_option_that_a_condition_lacks():
    table = long_table(dict(base=BASE, better=BETTER, same=SAME), dataset='digits')
    other = long_table(dict(base=BASE, better=BETTER), dataset='moons')
    results = analyze({name: [*cells, *other[name]] for name, cells in table.items()})
    assert [row['condition'] for row in results.summary] == ['digits'] * 3 + ['moons'] * 2


def test_a_run_that_stops_early_is_compared_at_its_last_epoch():
    rows = [
        [option, seed, epoch, value - 0.01 * (3 - epoch)]
        for option, values in dict(base=BASE, better=BETTER).items()
        for seed, value in values.items()
        for epoch in range(1, 3 if (option, seed) == ('base', 1) else 4)
    ]
    results = analyze(write('t.csv', ['option', 'seed', 'epoch', 'val_acc'], rows))
    assert by_option(results)['base']['mean'] == pytest.approx(np.mean([*BASE.values()]) - 0.0025)
    assert 'The last epochs of the runs differ, 2 to 3.' in page(results)
    assert 'Learning curves' not in page(results)


def test_steps_within_an_epoch_and_fractions_of_an_epoch():
    rows = [
        [option, seed, epoch, step, value - 0.001 * (7 - step)]
        for option, values in dict(base=BASE, better=BETTER).items()
        for seed, value in values.items()
        for epoch, step in ((1, 1), (1, 3), (2, 5), (2, 7))
    ]
    header = ['option', 'seed', 'epoch', 'global_step', 'accuracy']
    check_paired(by_option(analyze(write('t.csv', header, rows)))['better'], BETTER, BASE)
    halves = [[*row[:2], row[3] / 2, *row[4:]] for row in rows]
    results = analyze(write('t.csv', ['option', 'seed', 'epoch', 'accuracy'], halves))
    check_paired(by_option(results)['better'], BETTER, BASE)
    assert {row['epoch'] for row in results.table} == {None}


def test_steps_alone_are_no_epochs():
    rows = [
        [option, seed, step + seed, value - 0.1 * (step < 200)]
        for option, values in dict(base=BASE, better=BETTER).items()
        for seed, value in values.items()
        for step in (100, 200)
    ]
    results = analyze(write('t.csv', ['Name', 'seed', '_step', 'test/acc'], rows))
    check_paired(by_option(results)['better'], BETTER, BASE)
    assert {row['epoch'] for row in results.table} == {None}
    assert 'epoch' not in page(results).replace('epochs, runs or settings', '')


def test_images_of_two_conditions_may_have_the_same_names():
    path, _ = per_image(dict(base=range(3), better=range(3)))
    header, *rows = csv.reader(path.read_text().splitlines())
    others = [[*row[:4], f'other {row[4]}'] for row in rows]
    both = [[*row, 'a'] for row in rows] + [[*row, 'b'] for row in others]
    results = analyze(write('both.csv', [*header, 'dataset'], both))
    base = by_option(analyze(path))['better']
    for row in results.summary[1::2]:
        assert row | dict(condition='') == base


def test_the_report_leaves_out_facts_of_a_training_and_needs_no_network():
    results = analyze(long_table(dict(base=BASE, better=BETTER)), question='Which one?')
    html = (results.workdir / 'report.html').read_text()
    assert report_pages.outside(html) == []
    text = report_pages.Page(html).text
    for words in ('Learning rates', 'Tuning budget', 'Costs', 'Protocol', 'compiled'):
        assert words not in text
    for words in ('Which one?', 'Decision', 'Methods', 'trained elsewhere', 'Tuning: not known'):
        assert words in text
    assert 'at the last epoch' not in text
    assert (results.workdir / 'figures' / 'differences.png').exists()
    assert list((results.workdir / 'tables').glob('*.csv'))
    before = (results.workdir / 'report.html').read_bytes()
    assert command.main(['--mode=report', '--workdir=out']) == 0
    assert (results.workdir / 'report.html').read_bytes() == before


def test_an_analysis_replaces_an_analysis_and_no_other_run(capsys):
    table = long_table(dict(base=BASE, better=BETTER))
    analyze(table)
    assert [row['option'] for row in analyze(table, baseline='better').summary] == [
        'better',
        'base',
    ]
    config = pathlib.Path('out/config.json')
    content = json.loads(config.read_text())
    with pytest.raises(InputError, match=r'holds out.results\.csv'):
        analyze('out/results.csv')
    config.write_text(json.dumps(content | dict(kind='Ablation')))
    with pytest.raises(InputError, match=r'holds another run \(Ablation\)'):
        analyze(table)
    assert json.loads(config.read_text())['kind'] == 'Ablation'
    analyze(table, overwrite=True)
    pathlib.Path('foreign').mkdir()
    pathlib.Path('foreign/summary.csv').write_text('mine')
    with pytest.raises(InputError, match=r'foreign holds summary\.csv but'):
        jaxdl.analyze(table, baseline='base', workdir='foreign')
    assert pathlib.Path('foreign/summary.csv').read_text() == 'mine'
    analyze(table, baseline='better')
    assert command.main(['--mode=compare', 'out', 'out']) == 2
    assert 'analyse both tables together' in capsys.readouterr().err


GOOD = [[o, s, v] for o, vs in dict(base=BASE, better=BETTER).items() for s, v in vs.items()]
LONG = ['option', 'seed', 'value']


@pytest.mark.parametrize(
    ('header', 'rows', 'settings', 'words'),
    [
        (['option', 'value'], [row[::2] for row in GOOD], (), 'no column of seeds is recognised'),
        (['seed', 'value'], [row[1:] for row in GOOD], (), 'no column of options is recognised'),
        (LONG, [*GOOD, GOOD[2]], (), "t.csv line 4 and t.csv line 10 are both option 'base'"),
        (
            [*LONG, 'width'],
            [[*row, 8] for row in GOOD] + [[*GOOD[0], 16]],
            (),
            'they differ in width',
        ),
        (LONG, [*GOOD[:4], GOOD[4]], (), "option 'better' has one seed (0)"),
        (LONG, GOOD[:4], (), "has only the option 'base'"),
        (LONG, [*GOOD[:6], ['better', 2, 'nan'], ['better', 3, 'nan']], (), 'line 8, t.csv line 9'),
        (LONG, [*GOOD[:7], ['better', 3, '']], (), "t.csv line 9: column 'value' has no finite"),
        (LONG, [*GOOD[:7], ['better', 3, 'inf']], (), "t.csv line 9: column 'value' has no finite"),
        (LONG, [*GOOD[:7], ['better', 3, 'ten']], (), "t.csv line 9: value 'ten' must be a number"),
        (LONG, [*GOOD[:7], ['better', 'x', 1]], (), "t.csv line 9: seed 'x' must be a whole"),
        (LONG, [*GOOD[:7], ['better', '', 1]], (), "t.csv line 9: column 'seed' is empty"),
        (LONG, [*GOOD[:7], ['', 3, 1]], (), "t.csv line 9: column 'option' is empty"),
        (LONG, [*GOOD[:7], ['better', 3]], (), 't.csv line 9: 2 cells, but the header has 3'),
        (LONG, GOOD, ('--baseline=bsae',), "unknown baseline 'bsae' of t.csv: did you mean base?"),
        (LONG, [], (), 't.csv: has no rows'),
        (['option', 'seed', 'seed'], GOOD, (), "two columns are called 'seed'"),
        (['model', 'seed', 'method'], GOOD, (), 'could be model or method: choose by --set=option'),
        (
            ['option', 'seed', 'val_acc', 'test_acc'],
            [[*row, row[2]] for row in GOOD],
            (),
            'could be val_acc or test_acc: choose by --set=value_column=val_acc',
        ),
        (
            ['option', 'seed', 'acc', 'loss', 'metric', 'value'],
            [[*row, 1, 'f1', 1] for row in GOOD] + [[*row, 1, 'auroc', 1] for row in GOOD],
            (),
            "column 'metric': the metric could be f1 or auroc: choose by --set=metric=f1",
        ),
        (['option', 'seed', 'lr'], GOOD, (), 'the metric is not among the names'),
        (['option', 'seed', 'acc'], GOOD, ('--set=metric=los',), 'metric=los is not among'),
        (['option', 'seed', 'acc'], GOOD, ('--set=value_column=ac',), 'did you mean acc?'),
        (['option', 'seed', 'acc'], GOOD, ('--set=direction=lower',), 'higher values of accuracy'),
        (['option', 'seed', 'acc'], GOOD, ('--set=direction=down',), 'known: , higher, lower'),
        (['option', 'seed', 'acc'], GOOD, ('--set=unit=percents',), 'did you mean percent?'),
        (['option', 'seed', 'acc'], GOOD, ('--set=epochs=3',), "unknown setting 'epochs'"),
        (
            ['option', 'seed', 'acc'],
            GOOD,
            ('--set=path_pattern=(',),
            'must be a regular expression',
        ),
        (
            ['option', 'seed', 'acc'],
            GOOD,
            ('--set=path_pattern=(?P<x>a)',),
            'with the groups option',
        ),
        (
            ['option', 'seed', 'acc'],
            GOOD,
            ('--set=path_pattern=(?P<seed>[0-9]+)/',),
            'does not match t.csv',
        ),
        (
            ['option', 'seed', 'acc'],
            [*GOOD[:7], ['better', 3, 95.0]],
            (),
            't.csv line 2 has a value up to 1 and t.csv line 9 one above 1',
        ),
        (['option', 'seed', 'acc'], [*GOOD[:7], ['better', 3, -1]], (), 'line 9: accuracy -1 must'),
        (
            ['option', 'seed', 'split', 'acc'],
            [[o, s, split, v] for o, s, v in GOOD for split in ('fold', 'val')],
            (),
            "has the splits fold, val, and not 'test': choose --set=split=val",
        ),
        (
            ['option', 'seed', 'epoch', 'acc'],
            [[o, s, e, v] for o, s, v in GOOD[:7] for e in (1, 2)]
            + [['better', 3, 1, 0.9], ['better', 3, 2, '']],
            (),
            "t.csv line 17: option 'better' with seed 3 has no value at epoch 2",
        ),
        (
            ['option', 'seed', 'epoch', 'acc'],
            [[o, s, 1, v] for o, s, v in GOOD[:7]] + [['better', 3, 1, '']],
            (),
            "option 'better' with seed 3 has no value in any row",
        ),
        (
            ['option', 'seed', 'dataset', 'acc'],
            [[o, s, 'a', v] for o, s, v in GOOD] + [['better', s, 'b', 1] for s in (0, 1)],
            (),
            "has no results of the baseline 'base' under 'b'",
        ),
        (
            ['option', 'seed', 'condition', 'acc'],
            [[o, s, 'digits' * (s > 0), v] for o, s, v in GOOD],
            (),
            "t.csv line 2: column 'condition' is empty",
        ),
        (['option', 'seed', 'correct'], GOOD, (), "column 'correct' is per image, but no column"),
    ],
)
def test_bad_tables_end_with_status_2_and_one_line(header, rows, settings, words, capsys, tmp_path):
    write('t.csv', header, rows)
    baseline = () if any('baseline' in text for text in settings) else ('--baseline=base',)
    assert command.main(['--mode=analyze', '--results=t.csv', *baseline, *settings]) == 2
    out, err = capsys.readouterr()
    assert out == ''
    (line,) = err.splitlines()
    assert line.startswith('jaxdl: error: ')
    assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ['t.csv']


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda rows: rows.append(rows[3]), "are both image 'image 3' of option 'base'"),
        (lambda rows: rows.pop(), 'were tested on different images (image 39)'),
        (lambda rows: rows[5].__setitem__(3, '0.5'), "images.csv line 7: correct '0.5' must be 0"),
        (lambda rows: rows[5].__setitem__(3, ''), 'images.csv line 7: correct None must be 0 or 1'),
        (lambda rows: rows[5].__setitem__(2, ''), "images.csv line 7: column 'image' is empty"),
        (lambda rows: rows[45].__setitem__(4, '9'), "image 'image 5' has the group '9', but"),
    ],
)
def test_bad_tables_per_image(change, words):
    path, _ = per_image(dict(base=range(2), better=range(2)))
    header, *rows = csv.reader(path.read_text().splitlines())
    change(rows)
    write(path, header, rows)
    with pytest.raises(InputError) as caught:
        analyze(path)
    assert words in str(caught.value)


def test_files_that_are_no_tables(capsys, tmp_path):
    lightning()
    write('runs/base/seed9/lightning_logs/version_0/metrics.csv', ['epoch', 'loss'], [[1, 2]])
    (tmp_path / 'noise.csv').write_bytes(bytes(range(128, 256)))
    (tmp_path / 'quote.csv').write_text('a,b\n"' + 'x' * 200_000)
    for path, words in {
        'nothing.csv': 'results=nothing.csv: there is no such file',
        'none/*.csv': 'results=none/*.csv: no file matches',
        'runs': 'results=runs: is a folder',
        'noise.csv': 'noise.csv: is not UTF-8 text',
        'quote.csv': 'quote.csv line 2: is no CSV',
        'runs/**/metrics.csv': 'have different columns (loss, step, train_loss, val_acc)',
        'x' * 5000: 'there is no such file',
        '\0': 'there is no such file',
    }.items():
        assert command.main(['--mode=analyze', f'--results={path}', '--baseline=base']) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
    assert command.main(['--mode=analyze', '--results=noise.csv']) == 2
    assert '--mode=analyze needs --baseline' in capsys.readouterr().err
    for table, words in (
        (3, 'int is not known'),
        (dict(option=['a'], seed=[1, 2]), 'columns have different numbers of rows'),
        (dict(option='abc'), "column 'option' must be a sequence"),
        (dict(), 'has no rows'),
        ([1, 2], 'a list needs a mapping per row'),
        (long_table(dict(base=BASE, better={0: 0.9, 1: math.nan})), 'row 5 (from 0): column'),
    ):
        with pytest.raises(InputError) as caught:
            analyze(table)
        assert words in str(caught.value)


def test_a_diverged_run_of_a_dataframe_is_no_empty_cell():
    pandas = pytest.importorskip('pandas')
    rows = [
        dict(option=o, seed=s, epoch=e, train_loss=None, val_acc=v)
        for o, s, v in GOOD
        for e in (1, 2)
    ]
    rows += [dict(option=o, seed=s, epoch=e, train_loss=1.0) for o, s, _ in GOOD for e in (1, 2)]
    frame = pandas.DataFrame(rows)
    check_paired(by_option(analyze(frame))['better'], BETTER, BASE)
    frame.loc[3, 'val_acc'] = math.nan
    with pytest.raises(InputError, match=r"row 3 .*: option 'base' with seed 1 has no value at"):
        analyze(frame)


@pytest.mark.parametrize('name', columns.ROLES)
def test_every_role_has_a_setting_and_a_column_can_be_named(name):
    assert hasattr(columns.AnalysisSettings(), f'{name}_column')
    fields = [f for f in columns.AnalysisSettings.__dataclass_fields__ if f.endswith('_column')]
    assert sorted(f'{role}_column' for role in columns.ROLES) == sorted(fields)
    table = source.read({'Some Title': [1, 2], 'other': [3, 4]})
    named = columns.make_settings({f'{name}_column': 'some_title'}.items())
    assert columns.find_columns(table, named)[name] == 'Some Title'
    for alias in columns.ROLES[name]:
        assert columns.plain(alias) == alias


@pytest.mark.skipif(not PAGE.exists(), reason='the tests stand alone')
def test_the_page_names_every_role_and_all_recognised_names():
    section = PAGE.read_text().partition('## Recognition of columns')[2].partition('\n## ')[0]
    rows = dict(re.findall(r'^\| `(\w+)` \| (.*) ?\|$', section, re.MULTILINE))
    for role, names in columns.ROLES.items():
        written = rows[role].partition(';')[0].split(', ')
        assert sorted(columns.plain(name) for name in written if name.strip()) == sorted(names), (
            role
        )


@pytest.mark.parametrize('role', ['option', 'seed', 'metric', 'epoch', 'step', 'learning_rate'])
def test_usual_names_are_recognised_whatever_their_case_and_signs(role):
    for alias in (role, *columns.ROLES[role]):
        for title in (alias.upper(), f' {alias} ', f'params.{alias}', '_'.join(alias)):
            table = source.read({title: ['1', '2'], 'x': [3, 4]})
            assert columns.find_columns(table, columns.AnalysisSettings()) == {role: title}


@pytest.mark.parametrize(
    ('metric', 'words'),
    [
        ('log_loss', 'metric=log_loss: needs the probabilities of the classes'),
        ('AUROC', 'metric=AUROC: needs the probabilities of the classes'),
        ('macro_f1', 'metric=macro_f1: needs more'),
    ],
)
def test_correct_images_give_no_other_metric(metric, words, capsys):
    path, _ = per_image(dict(base=[1, 2], better=[1, 2]))
    arguments = [f'--results={path}', '--baseline=base', f'--set=metric={metric}']
    assert command.main(['--mode=analyze', *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert 'use metric=accuracy' in error
    assert error.count('\n') == 1
    assert command.main(['--mode=analyze', *arguments[:2], '--set=metric=acc']) == 0


def test_hostile_tables_are_read_or_refused():
    text = wandb().read_text()
    rng = random.Random(0)
    for _ in range(300):
        letters = list(text)
        for _ in range(rng.randrange(1, 30)):
            letters[rng.randrange(len(letters))] = rng.choice(',"\n\r;\t0919e-.nanx\0é\u202e')
        pathlib.Path('t.csv').write_text(''.join(letters), encoding='utf-8')
        with contextlib.suppress(InputError):
            table = source.read('t.csv')
            measured = measurements.measure(table, 'base', columns.AnalysisSettings())
            assert all(math.isfinite(row['value']) for row in measured.rows)


@pytest.mark.system
def test_the_analysis_needs_no_jax():
    code = (
        'import sys\nfor m in "jax jaxlib flax optax orbax grain".split(): sys.modules[m] = None\n'
        'from jaxdl.main import entry\nentry()'
    )
    for arguments in (
        ['--mode=analyze', f'--results={wandb()}', '--baseline=base', '--workdir=out'],
        ['--mode=report', '--workdir=out'],
    ):
        process = subprocess.run(
            [sys.executable, '-c', code, *arguments], capture_output=True, text=True, check=False
        )
        assert (process.returncode, process.stderr) == (0, '')
