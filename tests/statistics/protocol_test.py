"""Protocol: the worked case of the contract, by SciPy, to 1e-9; choices on the edges."""

import pytest

from jaxdl.errors import InputError
from jaxdl.statistics import protocol
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
    summary = protocol.summarize(rows + other, 'max', ['', 'half'])
    assert [r['condition'] for r in summary] == [''] * 4 + ['half'] * 4
    for whole, half in zip(summary[:4], summary[4:], strict=True):
        assert half['mean'] == pytest.approx(whole['mean'] / 2)
        assert half.get('p_holm') == (pytest.approx(whole['p_holm']) if 'p_holm' in whole else None)


def test_a_missing_seed_is_reported(rows):
    with pytest.raises(InputError, match="'low' was not measured on the seeds of the baseline"):
        protocol.summarize(rows[:-1], 'max')
    with pytest.raises(InputError, match='no measurement of the baseline'):
        protocol.summarize(rows, 'nothing')
