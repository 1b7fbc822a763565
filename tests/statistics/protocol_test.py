"""Protocol: the worked case of the contract, by SciPy, to 1e-9; choices on the edges."""

import dataclasses

import numpy as np
import pytest

from jaxdl import statistics
from jaxdl.errors import InputError
from jaxdl.statistics import jackknife, metrics, protocol
from jaxdl.statistics.metrics import METRICS
from jaxdl.workdir.correct import CorrectTable
from jaxdl.workdir.tables import SUMMARY

TUNED = {  # option -> rate -> (accuracy at epochs 1 and 2) of each seed
    'max': {
        0.01: [(0.8513, 0.8487), (0.8564, 0.851), (0.8446, 0.8536)],
        0.1: [(0.913, 0.9095), (0.893, 0.8873), (0.8938, 0.9004)],
        1.0: [(0.8267, 0.8478), (0.8375, 0.8427), (0.8446, 0.8468)],
    },
    'avg': {
        0.01: [(0.889, 0.8809), (0.8726, 0.8708), (0.8754, 0.8822)],
        0.1: [(0.9199, 0.9279), (0.9284, 0.9354), (0.9321, 0.9336)],
        1.0: [(0.8735, 0.8787), (0.8878, 0.8949), (0.8674, 0.8951)],
    },
    'same': {
        0.01: [(0.868, 0.8632), (0.8536, 0.8379), (0.85, 0.8566)],
        0.1: [(0.8871, 0.904), (0.9043, 0.907), (0.8882, 0.8934)],
        1.0: [(0.8456, 0.8383), (0.8674, 0.845), (0.8533, 0.8474)],
    },
    'low': {
        0.01: [(0.76, 0.7438), (0.7682, 0.7368), (0.7434, 0.7594)],
        0.1: [(0.8005, 0.82), (0.8019, 0.7937), (0.7962, 0.7891)],
        1.0: [(0.7372, 0.7563), (0.7558, 0.7629), (0.7425, 0.7669)],
    },
}
MEASURED = {
    'max': [0.9041, 0.9104, 0.8987, 0.9137, 0.8933, 0.9035],
    'avg': [0.9435, 0.9378, 0.9326, 0.9269, 0.9446, 0.9496],
    'same': [0.9041, 0.9104, 0.8987, 0.9137, 0.8933, 0.9035],
    'low': [0.7971, 0.8157, 0.7957, 0.7926, 0.8025, 0.8103],
}
EXPECTED = {
    'max': dict(
        learning_rate=0.1,
        seeds=6,
        mean=0.90395,
        ci_low=0.8961265998348591,
        ci_high=0.911773400165141,
        difference=None,
        difference_low=None,
        difference_high=None,
        p_value=None,
        p_holm=None,
        p_better=None,
        p_better_low=None,
        p_better_high=None,
        detectable=None,
        verdict=None,
    ),
    'avg': dict(
        learning_rate=0.1,
        seeds=6,
        mean=0.9391666666666666,
        ci_low=0.9303537396792978,
        ci_high=0.9479795936540354,
        difference=0.03521666666666665,
        difference_low=0.02081079080140255,
        difference_high=0.049622542531930755,
        p_value=0.001499489860565608,
        p_holm=0.002998979721131216,
        p_better=1.0,
        p_better_low=0.6096657120978346,
        p_better_high=1.0,
        detectable=0.01969236918167059,
        verdict='better',
    ),
    'same': dict(
        learning_rate=0.1,
        seeds=6,
        mean=0.90395,
        ci_low=0.8961265998348591,
        ci_high=0.911773400165141,
        difference=0.0,
        difference_low=0.0,
        difference_high=0.0,
        p_value=1.0,
        p_holm=1.0,
        p_better=0.5,
        p_better_low=0.1876163064826506,
        p_better_high=0.8123836935173494,
        detectable=0.0,
        verdict='no difference found',
    ),
    'low': dict(
        learning_rate=0.1,
        seeds=6,
        mean=0.8023166666666667,
        ci_low=0.7928334801549121,
        ci_high=0.8117998531784213,
        difference=-0.10163333333333334,
        difference_low=-0.11356346735993611,
        difference_high=-0.08970319930673057,
        p_value=3.6858543234628393e-06,
        p_holm=1.1057562970388517e-05,
        p_better=0.0,
        p_better_low=2.7755575615628914e-17,
        p_better_high=0.3903342879021653,
        detectable=0.016308109679408572,
        verdict='worse',
    ),
}


def row(phase, option, rate, seed, epoch, value, condition=''):
    split = 'val' if phase == 'tune' else 'test'
    head = dict(
        condition=condition, phase=phase, option=option, learning_rate=rate, seed=seed, epoch=epoch
    )
    return head | dict(split=split, metric='accuracy', value=value)


@pytest.fixture
def rows():
    tuned = [
        row('tune', option, rate, seed, epoch, value)
        for option, rates in TUNED.items()
        for rate, seeds in rates.items()
        for seed, values in enumerate(seeds)
        for epoch, value in enumerate(values, 1)
    ]
    measured = [
        row('measure', option, 0.1, 1000 + i, 2, value)
        for option, v in MEASURED.items()
        for i, value in enumerate(v)
    ]
    return tuned + measured


def test_the_worked_case(rows):
    summary = {r['option']: r for r in protocol.summarize(rows, 'max')}
    assert list(summary) == list(EXPECTED)
    for option, expected in EXPECTED.items():
        head = {name: summary[option][name] for name in ('condition', 'baseline', 'metric')}
        assert head == dict(condition='', baseline='max', metric='accuracy')
        for name, value in expected.items():
            item = summary[option].get(name)
            assert item == (
                pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
            ), (option, name)
        assert set(summary[option]) <= set(SUMMARY)


def test_the_order_of_the_rows_does_not_matter(rows):
    forwards, backwards = (
        {r['option']: r for r in protocol.summarize(t, 'max')} for t in (rows, rows[::-1])
    )
    for option, result in forwards.items():
        assert backwards[option]['mean'] == pytest.approx(result['mean'], abs=1e-15)
        assert backwards[option].get('p_value') == result.get('p_value')


@pytest.mark.parametrize('option', TUNED)
def test_the_rate_is_chosen_at_the_last_epoch_of_validation(rows, option):
    means = protocol.validation_means(rows, option)
    assert means == {
        rate: pytest.approx(sum(last for _, last in seeds) / 3)
        for rate, seeds in TUNED[option].items()
    }
    assert protocol.best_rate(means) == 0.1


def test_of_equal_rates_the_smaller_wins():
    assert protocol.best_rate({0.3: 0.5, 0.1: 0.5, 1.0: 0.5}) == 0.1
    assert (
        protocol.best_rate({0.1: (0.1 + 0.2) / 2, 0.3: 0.15}) == 0.1
    )  # 0.1 + 0.2 is not 0.3 in floating point


@pytest.mark.parametrize(
    ('rates', 'best', 'grown'),
    [
        ((0.01, 0.1, 1.0), 1.0, 10.0),
        ((0.01, 0.1, 1.0), 0.01, 0.001),
        ((0.01, 0.1, 1.0), 0.1, None),
        ((0.01, 0.0316, 0.1), 0.1, 0.316),
        ((0.1,), 0.1, None),
        ((1.0, 0.1), 0.1, 0.01),
    ],
)
def test_a_grid_grows_past_the_edge_that_is_best(rates, best, grown):
    assert protocol.grow(rates, best) == grown


def test_conditions_are_compared_each_by_itself(rows):
    other = [dict(r, condition='half', value=r['value'] / 2) for r in rows]
    summary = [protocol.summarize(rows + other, 'max', condition) for condition in ('', 'half')]
    assert [{r['condition'] for r in part} for part in summary] == [{''}, {'half'}]
    for whole, half in zip(*summary, strict=True):
        assert half['mean'] == pytest.approx(whole['mean'] / 2)
        assert half.get('p_holm') == (pytest.approx(whole['p_holm']) if 'p_holm' in whole else None)


def test_a_missing_seed_is_reported(rows):
    with pytest.raises(InputError, match="'low' was not measured on the seeds of the baseline"):
        protocol.summarize(rows[:-1], 'max')
    with pytest.raises(InputError, match='no measurement of the baseline'):
        protocol.summarize(rows, 'nothing')


def table(rows, by_option, groups):
    """correct.npz of the measured runs, from option -> bool [seed, image]."""
    runs = [
        (option, 1000 + i) for option, correct in by_option.items() for i in range(len(correct))
    ]
    correct = np.concatenate(list(by_option.values()))
    return CorrectTable(
        correct=correct,
        tested=np.ones_like(correct),
        image=np.arange(correct.shape[1]).astype(str),
        condition=np.full(len(runs), ''),
        option=np.array([option for option, _ in runs]),
        seed=np.array([seed for _, seed in runs]),
        group=np.asarray(groups),
    )


@pytest.fixture
def measured():
    """Rows and correct.npz of three options, 4 seeds and 60 images in 20 groups."""
    rng = np.random.default_rng(0)
    by_option = {option: rng.random((4, 60)) < 0.6 for option in ('max', 'avg', 'gem')}
    by_option['avg'] |= rng.random((4, 60)) < 0.5
    rows = [
        row('measure', option, 0.1, 1000 + i, 2, values.mean())
        for option, correct in by_option.items()
        for i, values in enumerate(correct)
    ]
    return rows, table(rows, by_option, np.arange(60) // 3)


def test_the_columns_on_images_are_those_of_compare_correct(measured):
    rows, correct = measured
    by_image = protocol.correctness(rows, correct, '', 10)
    summary = {r['option']: r for r in protocol.summarize(rows, 'max', by_image=by_image)}
    comparisons = {
        option: statistics.compare_correct(
            correct.by_seed('', option)[1], correct.by_seed('', 'max')[1], correct.group
        )
        for option in ('avg', 'gem')
    }
    adjusted = statistics.holm([each.p_value for each in comparisons.values()])
    for (option, each), p_holm in zip(comparisons.items(), adjusted, strict=True):
        line = summary[option]
        assert line['difference'] == pytest.approx(each.difference, abs=1e-12)
        assert (line['difference_low_images'], line['difference_high_images']) == each.interval
        assert line['p_value_images'] == each.p_value >= line['p_value'] - 1e-12
        assert line['p_holm_images'] == p_holm
        assert (line['verdict_images'] != 'no difference found') == (p_holm < 0.05)
    assert {(line['images'], line['image_groups']) for line in summary.values()} == {(60, 20)}
    assert set(summary['avg']) == set(SUMMARY)


def test_below_ten_groups_there_is_no_verdict_on_images(measured):
    rows, correct = measured
    correct = dataclasses.replace(correct, group=np.arange(60) // 7)
    by_image = protocol.correctness(rows, correct, '', 10)
    summary = protocol.summarize(rows, 'max', by_image=by_image)[1]
    assert summary['image_groups'] == 9
    assert summary['verdict_images'] == 'no difference found'
    assert summary['p_value_images'] < 1


def test_a_diverged_run_is_chance_on_every_image(measured):
    rows, correct = measured
    nan_loss = row('measure', 'avg', 0.1, 1002, 1, np.nan) | dict(split='train', metric='loss')
    by_image = protocol.correctness([*rows, nan_loss], correct, '', 10)
    np.testing.assert_array_equal(by_image.by_option['avg'][2], 0.1)
    np.testing.assert_array_equal(by_image.by_option['max'], correct.by_seed('', 'max')[1])


def test_with_a_split_per_seed_both_levels_are_equal(measured):
    rows, correct = measured
    tested = np.arange(60) % 4 == (correct.seed % 4)[:, None]
    by_image = protocol.correctness(rows, dataclasses.replace(correct, tested=tested), '', 10)
    line = protocol.summarize(rows, 'max', '', 0.5, by_image)[1]
    for name in ('difference_low', 'difference_high', 'p_value', 'p_holm', 'verdict'):
        assert line[f'{name}_images'] == line[name]


def test_the_margin_is_a_fifth_of_the_baselines_validation_error(rows):
    best = max(protocol.validation_means(rows, 'max').values())
    assert protocol.equivalence_margin(None, rows, 'max') == pytest.approx(0.2 * (1 - best))
    assert protocol.equivalence_margin(None, measured_only(rows), 'max') is None
    assert protocol.equivalence_margin(0.03, rows, 'max') == 0.03


def measured_only(rows):
    return [r for r in rows if r['phase'] == 'measure']


def in_another_metric(rows, name, change):
    """The rows, and the same with each accuracy changed, under the name of another metric."""
    return rows + [r | dict(metric=name, value=change(r['value'])) for r in rows]


def test_by_a_metric_that_falls_the_verdicts_are_those_of_its_opposite(rows):
    """log loss = 2 - 2 accuracy: every difference doubles and turns, and no verdict changes."""
    both = in_another_metric(rows, 'log_loss', lambda value: 2 - 2 * value)
    log_loss = METRICS['log_loss']
    for option in MEASURED:
        means = protocol.validation_means(both, option, '', 'log_loss')
        by_accuracy = protocol.validation_means(both, option)
        assert protocol.best_rate(means, log_loss) == protocol.best_rate(by_accuracy)
        assert means[0.1] == pytest.approx(2 - 2 * by_accuracy[0.1])
    first = {r['option']: r for r in protocol.summarize(both, 'max')}
    second = {r['option']: r for r in protocol.summarize(both, 'max', metric=log_loss)}
    for option, row in second.items():
        assert row['metric'] == 'log_loss'
        assert first[option]['metric'] == 'accuracy'
        for name in ('p_value', 'p_holm', 'p_better', 'p_better_low', 'p_better_high'):
            assert row.get(name) == pytest.approx(first[option].get(name), abs=1e-9), name
        assert row.get('verdict') == first[option].get('verdict')
        if option != 'max':
            assert row['difference'] == pytest.approx(-2 * first[option]['difference'], abs=1e-12)
            assert row['detectable'] == pytest.approx(2 * first[option]['detectable'], abs=1e-12)
    margin = protocol.equivalence_margin(None, both, 'max', '', log_loss)
    assert margin == pytest.approx(2 * protocol.equivalence_margin(None, rows, 'max'))
    assert protocol.equivalence_margin(0.3, both, 'max', '', log_loss) == 0.3


def test_a_registered_metric_has_no_margin_of_its_own(rows):
    both = in_another_metric(rows, 'mine', lambda value: 100 * value)
    mine = metrics.named('mine')
    assert protocol.equivalence_margin(None, both, 'max', '', mine) is None
    assert protocol.summarize(both, 'max', metric=mine)[1]['verdict'] == 'better'
    turned = protocol.summarize(both, 'max', metric=metrics.named('mine', lower_is_better=True))
    assert turned[1]['verdict'] == 'worse'


def test_on_rare_classes_macro_f1_and_accuracy_can_disagree():
    """Of 200 images 10 are of the rare class: the option finds them, and errs on other images."""
    labels = np.repeat([0, 1], [190, 10])
    logits = {}
    for option, (common, rare) in dict(base=(0.0, 0.9), rare=(0.1, 0.1)).items():
        wrong = [
            np.random.default_rng([seed, len(option)]).random(200) < np.where(labels, rare, common)
            for seed in range(8)
        ]
        logits[option] = [np.eye(2)[labels ^ w] for w in wrong]
    verdicts, over_images = {}, {}
    for name in ('accuracy', 'macro_f1', 'balanced_accuracy'):
        metric = METRICS[name]
        table = [
            row('measure', option, 0.1, 1000 + seed, 1, metric.value(each, labels))
            | dict(metric=name)
            for option, runs in logits.items()
            for seed, each in enumerate(runs)
        ]
        blocks = jackknife.merge_groups(np.arange(200))
        by_image = protocol.ImageValues(
            {
                option: np.stack([jackknife.contributions(metric, z, labels, blocks) for z in runs])
                for option, runs in logits.items()
            },
            np.arange(200),
            blocks,
        )
        summary = protocol.summarize(table, 'base', by_image=by_image, metric=metric)
        verdicts[name], over_images[name] = summary[1]['verdict'], summary[1]['verdict_images']
        assert summary[1]['images'] == summary[1]['image_groups'] == 200
        assert summary[1]['difference_low_images'] <= summary[1]['difference_low']
        assert summary[1]['difference_high_images'] >= summary[1]['difference_high']
    assert verdicts == dict(accuracy='worse', macro_f1='better', balanced_accuracy='better')
    assert over_images['balanced_accuracy'] == 'better'
