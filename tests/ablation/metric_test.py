"""Studies by another metric than accuracy: measured on whole splits, and deciding throughout."""

import contextlib
import dataclasses

import numpy as np
import pytest
import studies
from sklearn import metrics as scikit

import jaxdl
from jaxdl import register, report
from jaxdl.ablation import planning, run
from jaxdl.config.overrides import check
from jaxdl.data import Data, load, split
from jaxdl.errors import InputError
from jaxdl.report.ablation import reading
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import BUILT_IN, METRICS
from jaxdl.train.variant import Variant
from jaxdl.workdir import contributions, tables

pytestmark = pytest.mark.usefixtures('restored_registries')


def rare():
    """Two classes of 540 and 60 images that overlap, each image two numbers."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [540, 60])
    images = rng.normal(128 + 40 * labels[:, None], 40, (600, 2)).clip(0, 255)
    return images.reshape(600, 1, 1, 2).astype(np.uint8), labels, ('common', 'rare')


def count(logits, labels):
    return float(len(labels))


def balanced(logits, labels):
    return scikit.balanced_accuracy_score(labels, logits.argmax(1))


def brier(logits, labels):
    """Squared error of the probabilities."""
    terms = np.exp(logits - logits.max(1, keepdims=True))
    shares = terms / terms.sum(1, keepdims=True)
    return np.square(shares - np.eye(logits.shape[1])[labels]).sum(1)


def study(**changes):
    """A linear network with and without class weights, on classes of different size."""
    register.dataset('rare')(rare)
    register.metric('count', over='split')(count)
    register.metric('balanced', over='split')(balanced)
    register.metric('brier', lower_is_better=True)(brier)
    weighted = {'plain': {}, 'weighted': dict(class_weights=1.0)}
    return check(
        dataclasses.replace(
            studies.small(),
            options=weighted,
            baseline='plain',
            variant=Variant(model='linear', batch_size=30),
            data=Data(dataset='rare'),
            epochs=3,
            seeds=4,
            **changes,
        )
    )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of a run by balanced accuracy, with three registered metrics."""
    from jaxdl.config import registry

    before = {kind: dict(table) for kind, table in register.TABLES.items()}
    origins = dict(registry.ORIGINS)
    folder = tmp_path_factory.mktemp('metric') / 'run'
    jaxdl.run(
        study(metric='balanced_accuracy', metrics=['count', 'balanced', 'brier', 'accuracy']),
        folder,
    )
    yield folder
    for kind, table in register.TABLES.items():
        table.clear()
        table.update(before[kind])
    registry.ORIGINS.clear()
    registry.ORIGINS.update(origins)


def values(rows, **place):
    """Values of the rows with these cells."""
    return [row['value'] for row in rows if all(row[key] == v for key, v in place.items())]


def read(folder):
    return tables.read_table(folder / 'results.csv', tables.RESULTS)


def test_the_metric_is_measured_where_it_decides(finished):
    rows = read(finished)
    name = 'balanced_accuracy'
    for option in ('plain', 'weighted'):
        for phase, seeds in dict(tune=1, measure=4).items():
            place = dict(option=option, phase=phase, metric=name)
            rates = {row['learning_rate'] for row in rows if row['phase'] == phase}
            assert len(values(rows, **place, split='val')) >= 3 * seeds * (phase == 'measure')
            assert {row['epoch'] for row in rows if row['metric'] == name} == {1, 2, 3}
            assert len(values(rows, **place, split='test')) == (seeds if phase == 'measure' else 0)
            assert rates
    assert not values(rows, metric=name, split='train')
    assert len(rows) == len({tuple(v for k, v in row.items() if k != 'value') for row in rows})


def test_the_learning_rate_is_the_best_by_the_metric(finished):
    rows, metric = read(finished), METRICS['balanced_accuracy']
    for row in tables.read_table(finished / 'summary.csv', tables.SUMMARY):
        means = protocol.validation_means(rows, row['option'], '', metric.name)
        assert means[row['learning_rate']] == max(means.values())
        assert row['metric'] == metric.name


def test_by_balanced_accuracy_and_by_accuracy_the_verdicts_differ(finished):
    (row,) = [
        row
        for row in tables.read_table(finished / 'summary.csv', tables.SUMMARY)
        if row['option'] == 'weighted'
    ]
    assert (row['verdict'], row['verdict_images']) == ('better', 'better')
    by_accuracy = protocol.summarize(read(finished), 'plain')[1]
    assert by_accuracy['verdict'] == 'worse'
    text = (finished / 'report.md').read_text()
    assert 'weighted** is better than **plain**' in text
    assert 'Test balanced accuracy, %' in text


def test_by_macro_f1_and_by_accuracy_the_verdicts_differ(tmp_path):
    by_macro_f1 = study(metric='macro_f1', learning_rates=(0.03,))
    jaxdl.run(check(dataclasses.replace(by_macro_f1, seeds=8, epochs=6)), tmp_path)
    (row,) = tables.read_table(tmp_path / 'summary.csv', tables.SUMMARY)[1:]
    assert (row['metric'], row['verdict']) == ('macro_f1', 'better')
    assert protocol.summarize(read(tmp_path), 'plain')[1]['verdict'] == 'worse'


def test_metrics_see_the_whole_split(finished):
    """A count of images is that of the split, and scikit-learn's value is ours."""
    rows, indices = read(finished), split(load(Data(dataset='rare')), Data(dataset='rare'))
    for part in ('val', 'test'):
        assert set(values(rows, metric='count', split=part)) == {len(getattr(indices, part))}
        measured = tables.read_table(finished / 'artifacts' / 'metrics.csv', tables.METRICS)
        assert values(measured, metric='balanced', split=part) == pytest.approx(
            values(measured, metric='balanced_accuracy', split=part)
        )
        last = values(rows, metric='balanced_accuracy', split=part, phase='measure', epoch=3)
        assert sorted(last) == sorted(values(measured, metric='balanced_accuracy', split=part))


def test_other_metrics_agree_with_loss_and_accuracy(finished):
    rows = read(finished)
    measured = tables.read_table(finished / 'artifacts' / 'metrics.csv', tables.METRICS)
    assert {row['metric'] for row in measured} == {*BUILT_IN, 'count', 'balanced', 'brier'}
    for part in ('val', 'test'):
        for name, ours in dict(accuracy='accuracy', log_loss='loss').items():
            place = dict(split=part, phase='measure', epoch=3)
            for option in ('plain', 'weighted'):
                assert values(measured, metric=name, split=part, option=option) == pytest.approx(
                    values(rows, metric=ours, option=option, **place), rel=1e-5
                )


def test_contributions_have_the_metric_as_their_mean(finished):
    table = contributions.read_contributions(finished / 'artifacts' / '0' / contributions.FILE)
    rows = read(finished)
    assert table.value.shape == (8, len(table.group))
    for value, option, seed in zip(table.value, table.option, table.seed, strict=True):
        place = dict(option=option, seed=seed, split='test', metric='balanced_accuracy')
        assert [value.mean()] == pytest.approx(values(rows, **place))
        assert all(np.ptp(value[table.block == block]) == 0 for block in np.unique(table.block))


def test_the_table_of_all_metrics(finished):
    rows = tables.read_table(finished / 'tables' / 'metrics.csv', tables.METRIC_SUMMARY)
    assert [row['metric'] for row in rows[::2]][: len(BUILT_IN)] == list(BUILT_IN)
    summary = tables.read_table(finished / 'summary.csv', tables.SUMMARY)
    for row, ours in zip(
        [row for row in rows if row['metric'] == 'balanced_accuracy'], summary, strict=True
    ):
        for name in ('option', 'mean', 'ci_low', 'difference', 'difference_high'):
            assert row[name] == ours[name]
    directions = {row['metric']: row['lower_is_better'] for row in rows}
    assert (directions['brier'], directions['count']) == ('true', 'false')


def test_a_report_needs_no_registered_function(finished, monkeypatch):
    before = (finished / 'report.html').read_bytes()
    for name in ('count', 'balanced', 'brier'):
        monkeypatch.delitem(METRICS, name, raising=False)
    report.build(finished)
    assert (finished / 'report.html').read_bytes() == before
    assert reading.read(finished).metric_of('brier').lower_is_better


@pytest.mark.parametrize('name', ['brier', 'log_loss'])
def test_over_images_a_contribution_is_the_value_of_the_image(name, tmp_path):
    """A metric that falls, with one learning rate for each option."""
    changes = dict(metric=name, learning_rates=(0.1,))
    jaxdl.run(study(**changes), tmp_path)
    rows = read(tmp_path)
    table = contributions.read_contributions(tmp_path / 'artifacts' / '0' / contributions.FILE)
    assert len(np.unique(table.value)) > 100
    measured = values(rows, split='test', metric=name)
    assert sorted(table.value.mean(1)) == pytest.approx(sorted(measured))
    (row,) = tables.read_table(tmp_path / 'summary.csv', tables.SUMMARY)[1:]
    assert (row['difference'] > 0) == (row['verdict'] == 'worse')  # class weights cost log loss
    assert 'lower is better' in (tmp_path / 'report.md').read_text()


def test_diverged_members_count_as_a_guess(tmp_path):
    options = dict(plain={}, wild=dict(learning_rate_scale=1e38))
    wild = dataclasses.replace(
        study(metric='macro_f1', metrics=['brier']), options=options, learning_rates=(0.1,), seeds=2
    )
    jaxdl.run(check(wild), tmp_path)
    rows = read(tmp_path)
    labels = rare()[1][split(load(Data(dataset='rare')), Data(dataset='rare')).test]
    guess = METRICS['macro_f1'].guess(labels, 2)
    place = dict(option='wild', split='test')
    assert values(rows, **place, metric='macro_f1') == pytest.approx([guess] * 2)
    assert values(rows, **place, metric='brier') == pytest.approx([0.5] * 2)  # of equal logits
    table = contributions.read_contributions(tmp_path / 'artifacts' / '0' / contributions.FILE)
    assert table.value[table.option == 'wild'] == pytest.approx(guess)
    text = (tmp_path / 'report.md').read_text()
    assert 'the value of always predicting the most frequent class' in text


def test_with_a_split_per_seed_both_levels_are_equal(tmp_path):
    changed = dataclasses.replace(
        study(metric='auroc', learning_rates=(0.1,)), data=Data('rare', resample_split=True)
    )
    jaxdl.run(check(changed), tmp_path)
    assert not (tmp_path / 'artifacts' / '0' / contributions.FILE).exists()
    (row,) = tables.read_table(tmp_path / 'summary.csv', tables.SUMMARY)[1:]
    assert row['p_value_images'] == row['p_value']
    assert 'Every seed has another test split' in (tmp_path / 'report.md').read_text()


def test_a_metric_that_is_not_defined_without_some_images_has_no_columns_on_images(tmp_path):
    @register.metric('strict', over='split')
    def strict(logits, labels):
        assert len(labels) in (40, 20, 8, 120), 'half of it'  # the trials and the splits of 120
        return float((logits.argmax(1) == labels).mean())

    jaxdl.run(study(metric='strict', learning_rates=(0.1,)), tmp_path)
    for row in tables.read_table(tmp_path / 'summary.csv', tables.SUMMARY):
        assert [row[name] for name in tables.OVER_IMAGES] == [None] * 6 + ['']
    text = (tmp_path / 'report.md').read_text()
    assert 'There is no comparison for new images' in text
    assert 'Verdict, new images' not in text


def test_an_interrupted_study_by_a_metric_gives_the_same_bytes(tmp_path, monkeypatch):
    changes = dict(metric='auroc', learning_rates=(0.1,), checkpoint_seconds=0)
    jaxdl.run(study(**changes), tmp_path / 'whole')
    calls = iter([0, 2])

    @contextlib.contextmanager
    def stopped():
        yield lambda: next(calls)

    with monkeypatch.context() as patch:
        patch.setattr(run.signals, 'defer_signals', stopped)
        with pytest.raises(run.signals.Interrupted):
            jaxdl.run(study(**changes), tmp_path / 'cut')
    jaxdl.run(study(**changes), tmp_path / 'cut')
    for name in ('results.csv', 'summary.csv', 'artifacts/metrics.csv'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_metric_without_a_value_on_a_split_is_refused_before_training(tmp_path):
    by_auroc, dataset = study(metric='auroc'), load(Data(dataset='rare'))
    one_class = dataclasses.replace(split(dataset, Data(dataset='rare')), val=np.arange(5))
    with pytest.raises(InputError, match='metric=auroc: is not defined for the 5 val images'):
        planning.check_metrics(by_auroc, dataset, [one_class])

    @register.metric('broken', over='split')
    def broken(logits, labels):
        return 1.0 / (len(labels) != 120)

    with pytest.raises(InputError, match=r"metric 'broken': ZeroDivisionError.*metric_test.py"):
        jaxdl.run(study(metric='broken'), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_study_by_accuracy_has_no_rows_of_other_metrics(tmp_path):
    jaxdl.run(dataclasses.replace(study(), learning_rates=(0.1,), seeds=2, epochs=1), tmp_path)
    assert {row['metric'] for row in read(tmp_path)} == {'loss', 'accuracy'}
    measured = tables.read_table(tmp_path / 'artifacts' / 'metrics.csv', tables.METRICS)
    assert {row['metric'] for row in measured} == set(BUILT_IN)
    assert not (tmp_path / 'artifacts' / '0' / contributions.FILE).exists()
