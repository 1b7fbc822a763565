"""Report of a study by another metric than accuracy: names, units and direction throughout."""

import json
import re

import numpy as np
import pytest
import workdirs
from report_pages import Page
from scipy import stats

from jaxdl import report
from jaxdl.report.ablation import decision, queries, reading, verdicts
from jaxdl.report.page import plots, scale, words
from jaxdl.report.page.blocks import Drawing
from jaxdl.statistics import metrics, protocol
from jaxdl.statistics.metrics import METRICS
from jaxdl.workdir import contributions, tables
from jaxdl.workdir.contributions import ContributionTable, write_contributions

# metric -> its value for an accuracy
VALUES = dict(
    macro_f1=lambda accuracy: accuracy - 0.01,
    balanced_accuracy=lambda accuracy: accuracy - 0.02,
    auroc=lambda accuracy: 0.5 + accuracy / 2,
    log_loss=lambda accuracy: 3 * (1 - accuracy),
    ece=lambda accuracy: 0.5 * (1 - accuracy),
    cost=lambda accuracy: 2000 * (1 - accuracy) - 300,  # registered: it may be below 0
)
CONDITIONS = {'all data': {}, 'half': {'data.train_share': 0.5}}


def made(folder, metric, by_image=True, **changes):
    """A workdir as `workdirs.make`, compared by another metric."""
    workdir = workdirs.make(folder, **changes)
    rows = [
        more
        for row in tables.read_table(workdir / 'results.csv', tables.RESULTS)
        for more in (row, *_in_metric(row, metric))
    ]
    tables.write_table(workdir / 'results.csv', tables.RESULTS, rows)
    facts = dict(lower_is_better=metric in ('log_loss', 'ece', 'cost'), over='split')
    for name, change in dict(
        config=dict(metric=metric),
        plan=dict(metrics={metric: facts}),
        run=dict(results_rows=len(rows)),
    ).items():
        content = json.loads((workdir / f'{name}.json').read_text())
        (workdir / f'{name}.json').write_text(json.dumps(content | change))
    for number, condition in enumerate(reading.record(workdir / 'config.json', ())['conditions']):
        if by_image:
            table = _contributions([row for row in rows if row['condition'] == condition], metric)
            path = workdir / 'artifacts' / str(number) / contributions.FILE
            write_contributions(path, table)
    return workdir


def _in_metric(row, metric):
    if row['metric'] != 'accuracy' or row['split'] == 'train':
        return []
    return [row | dict(metric=metric, value=VALUES[metric](row['value']))]


def _contributions(rows, metric):
    tested = [row for row in rows if (row['metric'], row['split']) == (metric, 'test')]
    rng, images = np.random.default_rng(0), workdirs.IMAGES['test']
    spread = rng.normal(0, 0.05 * abs(VALUES[metric](0.9)), (len(tested), images))
    mean = np.array([[row['value']] for row in tested])
    return ContributionTable(
        value=mean + spread - spread.mean(1, keepdims=True),
        option=np.array([row['option'] for row in tested]),
        seed=np.array([row['seed'] for row in tested]),
        group=np.arange(images),
        block=np.arange(images) % 90,
    )


@pytest.fixture(autouse=True)
def _quick_figures(monkeypatch):
    monkeypatch.setattr(
        plots,
        'draw',
        lambda plot: (plot(plots.NARROW), Drawing(b'<svg/>', b'', b'', (1, 1), (1, 1)))[1],
    )


SMALL = dict(options=workdirs.first(4), seeds=5, epochs=4, tuning_seeds=2, rates=[0.1, 0.316])


@pytest.mark.parametrize('by_image', [True, False])
@pytest.mark.parametrize('metric', VALUES)
def test_a_report_by_a_metric_names_it_and_no_other(metric, by_image, tmp_path):
    workdir = made(tmp_path / 'run', metric, by_image, **SMALL, variance=None)
    report.build(workdir)
    text = (workdir / 'report.md').read_text().replace(words.SPACE, ' ')
    page = Page((workdir / 'report.html').read_text())
    name, percent = metrics.named(metric).words, metric in ('macro_f1', 'balanced_accuracy')
    main = text.partition('Other metrics')[0] + text.partition('Learning curves')[2]
    assert 'accurac' not in main.replace('alanced accuracy', '')
    assert ('percentage point' in main) == percent
    assert f'compared by {name}' in text
    assert ('lower is better' in text) == (metric in ('log_loss', 'ece', 'cost'))
    head = f'Test {name}, %' if percent else f'Test {name}'
    assert head in page.text
    unit = f'error (1 {words.MINUS} {name}), %' if percent else name
    assert f'Validation {unit}' in page.text
    assert ('Verdict, new images' in page.text) == by_image
    assert ('There is no comparison for new images' in page.text) == (not by_image)


@pytest.mark.parametrize('metric', VALUES)
def test_the_summary_is_that_of_the_protocol(metric, tmp_path):
    workdir = made(tmp_path / 'run', metric, **SMALL)
    study = reading.read(workdir)
    assert study.metric.lower_is_better == (metric in ('log_loss', 'ece', 'cost'))
    by_accuracy = {row['option']: row for row in protocol.summarize(study.table, 'max')}
    for row in study.summary:
        assert row['metric'] == metric
        for key in ('verdict', 'p_better', 'learning_rate'):
            assert row.get(key) == by_accuracy[row['option']].get(key)
        if row['option'] != 'max':
            assert (row['improvement'] > 0) == (by_accuracy[row['option']]['difference'] > 0)
            assert row['difference_low_images'] <= row['difference_low'] + 1e-9
            assert row['components'].groups == 90
            assert row['images'] == row['image_groups'] == 360
            assert row['images_half'] is None


def test_where_lower_is_better_the_smallest_is_chosen(tmp_path):
    options = workdirs.first(1) | {'good': (0.015, 0.1), 'best': (0.0, 0.1), 'bad': (0.06, 0.1)}
    workdir = made(tmp_path / 'run', 'log_loss', **(SMALL | dict(options=options, seeds=10)))
    study = reading.read(workdir)
    chosen = decision.choose(queries.options_compared(study, ''))
    assert chosen is not None
    assert chosen['option'] == 'best'
    assert chosen['difference'] < 0
    report.build(workdir)
    text = (workdir / 'report.md').read_text()
    assert '**best**. It is better than **max** at both levels' in text.replace('**: **', '**. **')


def test_conditions_interact_in_the_unit_of_the_metric(tmp_path):
    changes = SMALL | dict(conditions=CONDITIONS, second_factor='share of the images')
    workdir = made(tmp_path / 'run', 'auroc', **changes, effects={('half', 'avg'): 0.1})
    report.build(workdir)
    text = (workdir / 'report.md').read_text()
    assert 'The effect depends on the second factor. Interactions: **avg**' in text
    assert 'Test AUROC, under each level of' in text


def test_the_table_of_a_metric_with_its_own_variance(tmp_path):
    workdir = made(tmp_path / 'run', 'auroc', **SMALL, variance=dict(init=0.01, rest=0.002))
    path = workdir / 'artifacts' / 'variance.csv'
    path.write_text(path.read_text().replace('accuracy', 'auroc', 1))
    report.build(workdir)
    text = (workdir / 'report.md').read_text()
    assert 'Shares of the variance of test AUROC' in text
    assert re.search(r'standard deviation of 0\.0\d+\.', text)


def test_all_metrics_are_in_a_table(tmp_path):
    workdir = made(tmp_path / 'run', 'auroc', **SMALL)
    report.build(workdir)
    rows = tables.read_table(workdir / 'tables' / 'metrics.csv', tables.METRIC_SUMMARY)
    for row in rows:  # the half width of a t interval is t s / sqrt(n)
        t = stats.t.ppf(0.975, row['seeds'] - 1) / row['seeds'] ** 0.5
        assert t * row['sd'] == pytest.approx((row['ci_high'] - row['ci_low']) / 2)
        if row['difference'] is not None:
            half = (row['difference_high'] - row['difference_low']) / 2
            assert t * row['difference_sd'] == pytest.approx(half)
    study = reading.read(workdir)
    assert {row['metric'] for row in rows} == {'accuracy', 'auroc'}
    for row, ours in zip([r for r in rows if r['metric'] == 'auroc'], study.summary, strict=True):
        for key in ('option', 'seeds', 'mean', 'ci_low', 'ci_high', 'difference_low'):
            assert row[key] == ours.get(key)


NUMBERS = {
    'accuracy': ('97.42', '97.42 %', '+0.52', '+0.52 percentage points', '0.50'),
    'auroc': ('0.9742', '0.9742', '+0.00521', '+0.00521', '0.005'),
    'mine': ('0.9742', '0.9742', '+0.00521', '+0.00521', '0.005'),
}


@pytest.mark.parametrize('name', NUMBERS)
def test_numbers_of_a_scale(name):
    unit = scale.Scale(metrics.named(name))
    texts = (
        unit.number(0.9742),
        unit.value(0.9742),
        unit.points(0.00521),
        unit.in_points(unit.points(0.00521)),
        unit.size(0.005),
    )
    assert tuple(text.replace(words.SPACE, ' ') for text in texts) == NUMBERS[name]


@pytest.mark.parametrize('name', METRICS)
def test_every_metric_is_drawn_in_its_unit(name):
    unit = scale.Scale(METRICS[name])
    assert unit.drawn(0.9) == pytest.approx(10.0 if unit.percent else 0.9)
    assert unit.drawn_best == (
        'lowest' if unit.percent or METRICS[name].lower_is_better else 'highest'
    )
    assert unit.span(-0.1, 0.2).startswith(words.MINUS)


def test_a_sentence_has_the_unit_of_its_row():
    row = dict(option='a', baseline='max', seeds=5, verdict='better', metric='log_loss')
    row |= dict(difference=-0.25, difference_low=-0.3, difference_high=-0.2, detectable=0.1)
    sentence = verdicts.sentence([dict(option='max', baseline='max'), row])
    assert f'{words.MINUS}0.25 (' in sentence
    assert 'percentage' not in sentence


def test_a_damaged_file_of_contributions_is_refused(tmp_path):
    workdir = made(tmp_path / 'run', 'auroc', **SMALL)
    path = workdir / 'artifacts' / '0' / contributions.FILE
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(report.InputError, match=r'contributions.npz is damaged'):
        report.build(workdir)
