"""Uncertainty sections, recomputed here from the tables and correct.npz."""

import pathlib
import re

import numpy as np
import pytest
import workdirs
from scipy import stats

from jaxdl import errors, report, statistics
from jaxdl.report.ablation import queries, reading, uncertainty
from jaxdl.report.page import words
from jaxdl.statistics import protocol
from jaxdl.workdir import tables as results
from jaxdl.workdir.correct import read_correct
from tests.report import ablation_test as report_test

CONDITIONS = {'dropout 0': {}, 'dropout 0.5': {'variant.dropout': 0.5}}
EFFECTS = {('dropout 0.5', 'avg'): 0.03}
DEVIATIONS = dict(init=0.003, split=0.012, rest=0.003)
DIVERGED = {('avg', 0.1, 1003): 4, ('max', 1.0, 2): 1}


@pytest.fixture(scope='module')
def usual(tmp_path_factory) -> pathlib.Path:
    return report_test.built(
        tmp_path_factory.mktemp('usual') / 'run',
        options=workdirs.first(3),
        epochs=4,
        margin=0.02,
        diverged=DIVERGED,
    )


@pytest.fixture(scope='module')
def crossed(tmp_path_factory) -> pathlib.Path:
    return report_test.built(
        tmp_path_factory.mktemp('crossed') / 'run',
        options=workdirs.first(3),
        epochs=3,
        rates=[0.1],
        seeds=6,
        conditions=CONDITIONS,
        second_factor='dropout',
        effects=EFFECTS,
        variance=DEVIATIONS,
    )


@pytest.fixture(scope='module')
def small(tmp_path_factory) -> pathlib.Path:
    """A workdir with three seeds and one learning rate."""
    folder = tmp_path_factory.mktemp('small') / 'run'
    workdirs.make(folder, options=workdirs.first(2), seeds=3, epochs=2, rates=[0.1])
    report.build(folder)
    return folder


def page(workdir: pathlib.Path) -> report_test.Page:
    return report_test.Page((workdir / 'report.html').read_text().replace(words.SPACE, ' '))


def test_the_shares_are_those_of_the_comparison(usual):
    table = page(usual).table('Uncertainty from seeds and from test images, 10')
    correct = read_correct(usual / 'correct.npz')
    chance = {seed for option, _, seed in DIVERGED if option == 'avg'}
    for option in reading.read(usual).options[1:]:
        sides = []
        for name in (option, 'max'):
            seeds, values = correct.by_seed('', name)
            diverged = np.isin(seeds, list(chance)) & (name == 'avg')
            sides.append(np.where(diverged[:, None], 0.1, values))
        result = statistics.compare_correct(*sides)
        cells = table[option]
        assert cells[1] == words.number(result.interval[1] - result.interval[0])
        assert cells[2:5] == [
            f'{100 * s:.0f} %' for s in (result.share_seeds, result.share_images, result.share_rest)
        ]
        by_seeds, by_images = result.half_width(2, 1), result.half_width(1, 2)
        alike = abs(by_seeds - by_images) <= uncertainty.ALIKE * max(by_seeds, by_images)
        more = 'seeds' if by_seeds < by_images else 'test images'
        assert cells[5] == ('neither' if alike else more)
    assert re.search(
        r'Dominant source of uncertainty: .*(seeds|test images) for .*\.', page(usual).text
    )


def test_equivalence_is_tested_against_the_margin_of_the_experiment(usual):
    study, table = (
        reading.read(usual),
        page(usual).table('Equivalence to max within 2.00 percentage points'),
    )
    values = {
        o: [v for _, v in sorted(queries.by_seed(study, '', o).items())] for o in study.options
    }
    tests = [
        statistics.equivalence(values[option], values['max'], 0.02) for option in study.options[1:]
    ]
    adjusted = statistics.holm([test.p_value for test in tests])
    assert list(table) == study.options[1:]
    equivalent = 'equivalent within 2.00 percentage points'
    for cells, test, p in zip(table.values(), tests, adjusted, strict=True):
        assert cells[0].endswith(f'({words.span(*test.interval90)})')
        assert cells[1] == words.p_value(p)
        assert cells[2].startswith(equivalent if p < 0.05 else 'not shown')
    assert table['avgmax'][2] == equivalent
    assert (
        'Equivalent to max within 2.00 percentage points: avgmax'
        in page(usual).text.split('Contents')[0]
    )


def test_a_difference_may_be_smaller_than_the_margin(tmp_path):
    report_test.built(tmp_path, options=workdirs.first(2), epochs=3, rates=[0.1], margin=0.05)
    text = page(tmp_path).text
    assert 'avg is better than max' in text
    words_of_table = 'percentage points; significantly different, by less than the margin'
    assert f'equivalent within 5.00 {words_of_table}' in text


def test_the_control_and_what_pairing_saved(usual):
    study, table = reading.read(usual), page(usual).table('A/A control')
    baseline = list(queries.by_seed(study, '', 'max').values())
    comparison = statistics.compare(baseline[5:], baseline[:5])
    assert table['max (control)'][:2] == [
        '5',
        f'{words.points(comparison.difference)} ({words.span(*comparison.interval)})',
    ]
    saved = statistics.pairing(list(queries.by_seed(study, '', 'avgmax').values()), baseline)
    cells = dict(zip(statistics.STATISTICS, table['avgmax'][2:], strict=True))
    assert cells['Correlation of the pairs'] == f'{saved.correlation:.2f}'
    assert cells['Unpaired seeds per side'] == f'{saved.unpaired:.0f}'
    assert 'From 10 seeds these numbers are rough' in page(usual).text


def test_the_expected_best(usual):
    study, text = reading.read(usual), page(usual)
    alt = text.figures[3]['alt']
    for option in study.options:
        tuning = queries.tuning(study, '', option)
        assert tuning is not None
        best = statistics.expected_best(list(tuning.means.values()))
        assert f'{option}: {", ".join(words.number(1 - value) for value in best)}' in alt
    assert re.search(r'lowest expected validation error is \d\.\d\d % \(avg\)', text.text)


def test_the_tolerance_of_learning_rates(usual):
    study, table = reading.read(usual), page(usual).table('Selected learning rates')
    for option in study.options:
        tuning = queries.tuning(study, '', option)
        assert tuning is not None
        low, high = queries.tolerance(tuning)
        one, several = f'{low:g} only', f'{low:g} to {high:g}, {high / low:.3g}\u00d7'
        assert table[option][3] == (one if low == high else several)


@pytest.mark.parametrize(
    ('means', 'tolerance'),
    [
        ({0.01: 0.90, 0.1: 0.95, 1.0: 0.90}, (0.1, 0.1)),
        ({0.01: 0.94, 0.1: 0.95, 1.0: 0.5}, (0.01, 0.1)),
        ({0.01: 0.945, 0.1: 0.946, 0.5: 0.9, 1.0: 0.95}, (0.01, 0.1)),
        ({0.01: 0.945, 0.1: 0.90, 1.0: 0.95}, (1.0, 1.0)),
    ],
)
def test_the_widest_range_of_tolerated_rates(means, tolerance):
    tuning = queries.Tuning({}, means, protocol.best_rate(means), [], False)
    assert queries.tolerance(tuning) == tolerance


def test_every_run_is_listed(usual):
    rows = next(
        rows for caption, rows in page(usual).tables.items() if caption.startswith('All runs with')
    )[1:]
    table = results.read_table(usual / 'results.csv', results.RESULTS)
    members = {(row['option'], row['phase'], row['learning_rate'], row['seed']) for row in table}
    assert len(rows) == len(members)
    assert {(row[0], row[1], float(row[2]), int(row[3])) for row in rows} == members
    diverged = {(row[0], float(row[2]), int(row[3])): int(row[7]) for row in rows if row[7]}
    assert diverged == DIVERGED
    last = {
        (r['option'], r['seed']): r['value']
        for r in table
        if (r['split'], r['metric']) == ('test', 'accuracy')
    }
    assert {(row[0], int(row[3])): row[6] for row in rows if row[1] == 'measure'} == {
        key: words.number(value) for key, value in last.items()
    }


def test_markdown_points_to_the_runs_and_the_page_folds_them(usual):
    source, text = (usual / 'report.html').read_text(), (usual / 'report.md').read_text()
    assert (
        source.count('<details>') == source.count('</details>') - 2 == 1
    )  # and the contents, which are open, and the appendix
    assert re.search(
        r'^All runs with .*: all epochs of all runs are in `results.csv` of the workdir\.$',
        text,
        re.M,
    )
    assert '| 1003 |' not in text


def test_the_decision_rule_is_stated(usual, crossed):
    rule = page(usual).table('Decision rule')
    assert rule['Baseline'] == ['max']
    assert rule['Learning rates'] == ['0.01, 0.0316, 0.1, 0.316, 1']
    assert 'margin 2.00 percentage points' in rule['Equivalence'][0]
    assert rule['Tuning seeds'] == ['3']
    assert 'Tuning seeds' not in page(crossed).table('Decision rule')


def test_the_interaction(crossed):
    study, read = reading.read(crossed), page(crossed)
    rows = read.tables['Interaction of pooling and dropout, relative to dropout 0'][1:]
    assert [row[:2] for row in rows] == [['avg', 'dropout 0.5'], ['avgmax', 'dropout 0.5']]
    there, here = (
        np.array(queries.differences(study, condition, 'avg'))
        for condition in reversed(study.conditions)
    )
    comparison = statistics.compare(there, here)
    assert (
        rows[0][2] == f'{words.points(comparison.difference)} ({words.span(*comparison.interval)})'
    )
    assert [row[5] for row in rows] == ['interaction', 'none found']
    assert (
        'The effect depends on the second factor. '
        'Interactions in percentage points: avg under dropout' in read.text
    )
    assert read.table('Test accuracy, %, under each level of dropout').keys() == set(study.options)


def test_main_effects_and_interactions_as_numbers(crossed):
    study = reading.read(crossed)
    values = np.array(
        [
            [list(queries.by_seed(study, c, option).values()) for option in study.options]
            for c in study.conditions
        ]
    )  # [condition, option, seed]
    rows = results.read_table(crossed / 'tables' / 'main_effects.csv', results.MAIN_EFFECTS)
    assert [row['level'] for row in rows] == [*study.options, *study.conditions]
    assert [row['factor'] for row in rows] == ['pooling'] * 3 + ['dropout'] * 2
    for row, level in zip(rows, [*values.mean(0), *values.mean(1)], strict=True):
        first = values.mean(0 if row['factor'] == 'pooling' else 1)[0]
        assert row['mean'] == pytest.approx(level.mean())
        if row['level'] == row['baseline']:
            assert row['difference'] is None
            continue
        assert row['p_value'] == pytest.approx(stats.ttest_rel(level, first).pvalue)
        assert row['difference'] == pytest.approx((level - first).mean())
        assert (row['verdict'] == 'no difference found') == (row['p_holm'] >= 0.05)
    effects = [row['p_value'] for row in rows if row['factor'] == 'pooling' and row['difference']]
    assert [row['p_holm'] for row in rows[1:3]] == pytest.approx(statistics.holm(effects))
    inner = results.read_table(crossed / 'tables' / 'interaction.csv', results.INTERACTION)
    for row, effect in zip(inner, (values - values[:, :1])[:, 1:].swapaxes(0, 1), strict=True):
        there, here = effect[1], effect[0]
        assert (row['condition'], row['reference']) == ('dropout 0.5', 'dropout 0')
        assert row['difference'] == pytest.approx((there - here).mean())
        assert row['p_value'] == pytest.approx(stats.ttest_rel(there, here).pvalue)
    assert page(crossed).table('Main effects of both factors, n = 6 seeds').keys() >= {'pooling'}


def test_no_interaction_is_no_finding(tmp_path):
    report_test.built(
        tmp_path,
        options=workdirs.first(2),
        epochs=2,
        rates=[0.1],
        seeds=4,
        conditions=CONDITIONS,
        second_factor='dropout',
    )
    assert re.search(
        r'No interaction found\. Minimum detectable interaction: \d', page(tmp_path).text
    )


def test_the_sources_of_variance(crossed):
    shares = page(crossed).table(
        'Shares of the variance of test accuracy between runs of max, 49 runs'
    )
    del shares['Source']  # the head of the table of the second condition
    assert list(shares) == ['initial weights', 'data order', 'noise', 'data split', 'residual']
    percent = {source: int(cells[0].split()[0]) for source, cells in shares.items()}
    assert max(percent, key=percent.__getitem__) == 'data split'
    assert sum(percent.values()) == pytest.approx(100, abs=3)
    text = page(crossed).text
    assert f'Largest single source of variance: data split ({percent["data split"]} %)' in text


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            lambda text: text.replace('0,0,0,0', '0,0,0,1', 1),
            'artifacts/variance.csv: variance components: .*equally',
        ),
        (lambda text: text[:-9], 'variance.csv is cut short|could not|equally|damaged'),
        (
            lambda text: text.replace('dropout 0,0,0,0,0,', 'dropout 0,,0,0,0,', 1),
            'an empty number',
        ),
        (lambda text: text.replace('order', 'odour', 1), 'columns'),
    ],
)
def test_a_damaged_variance_study_is_reported(spoil, message, tmp_path):
    workdirs.make(
        tmp_path,
        options=workdirs.first(2),
        seeds=2,
        epochs=2,
        rates=[0.1],
        variance=DEVIATIONS,
        conditions={'dropout 0': {}},
    )
    path = tmp_path / 'artifacts' / 'variance.csv'
    path.write_text(spoil(path.read_text()))
    with pytest.raises(errors.InputError, match=message):
        report.build(tmp_path)


def test_damaged_predictions_are_reported(tmp_path):
    workdirs.make(tmp_path, options=workdirs.first(2), seeds=2, epochs=2, rates=[0.1])
    (tmp_path / 'correct.npz').write_bytes((tmp_path / 'correct.npz').read_bytes()[:300])
    with pytest.raises(errors.InputError, match=r'correct\.npz is damaged'):
        report.build(tmp_path)


@pytest.mark.parametrize('array', ['group', 'tested'])
def test_a_file_of_another_version_is_named(tmp_path, array):
    workdirs.make(tmp_path, options=workdirs.first(2), seeds=2, epochs=2, rates=[0.1])
    with np.load(tmp_path / 'correct.npz') as arrays:
        content = {name: arrays[name] for name in arrays if name != array}
    np.savez_compressed(tmp_path / 'correct.npz', **content)
    with pytest.raises(errors.InputError, match=f"no array '{array}'.*another version"):
        report.build(tmp_path)
    (tmp_path / 'correct.npz').unlink()
    with pytest.raises(errors.InputError, match=r'correct\.npz is missing'):
        report.build(tmp_path)


def test_a_small_study_has_only_the_sections_that_its_size_allows(small):
    text = page(small).text
    assert 'without tuning there is no margin' in text
    assert '(needs 4 seeds)' in text
    for absent in ('Equivalence to max', 'Interaction of', 'Sources of variance', 'Tuning budget'):
        assert absent not in text


def test_splits_of_their_own(tmp_path):
    workdirs.make(tmp_path, options=workdirs.first(2), seeds=4, epochs=2, rates=[0.1])
    summary = reading.read(tmp_path).summary[1]
    config = reading.read(tmp_path).config
    report_test.change(tmp_path / 'config.json', data=config['data'] | dict(resample_split=True))
    with np.load(tmp_path / 'correct.npz') as arrays:
        content = dict(arrays)
    content['tested'] = (
        np.arange(360) % 4 == (content['seed'] % 4)[:, None]
    )  # no image is tested by two seeds
    np.savez_compressed(tmp_path / 'correct.npz', **content)
    report.build(tmp_path)
    text, study = page(tmp_path).text, reading.read(tmp_path)
    assert 'Every seed has another test split' in text
    assert 'another split per seed' in text
    wider = study.summary[1]
    factor = np.sqrt((1 / 4 + 360 / 1078) * 4)
    widths = [row['difference_high'] - row['difference_low'] for row in (wider, summary)]
    assert widths[0] / widths[1] == pytest.approx(factor)


def test_tables_of_both_pages_agree(usual, crossed):
    for workdir in (usual, crossed):
        text = (workdir / 'report.md').read_text()
        tables = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
        assert len(tables) == (workdir / 'report.html').read_text().count('<table>')
        assert re.findall(r'^## (\d+) ', text, re.M) == [
            str(i) for i in range(1, 1 + text.count('\n## '))
        ]
        assert str(workdir.parent) not in text
