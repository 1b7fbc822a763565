"""Checks of field values: equal for every way of setting a field, with the nearest names."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxdl import fields
from jaxdl.config import experiment
from jaxdl.config.experiment import Ablation
from jaxdl.config.overrides import check, field_paths, override, select_options
from jaxdl.errors import InputError, nearest
from jaxdl.statistics import protocol


@pytest.fixture
def ablation():
    return Ablation(
        factor='pooling', baseline='max', options={p: dict(pooling=p) for p in ('max', 'avg')}
    )


@pytest.mark.parametrize(
    ('annotation', 'value', 'converted'),
    [
        (int, 3, 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (str, 'a', 'a'),
        (int | None, None, None),
        (int | None, 4, 4),
        (tuple[float, ...], [1, 2.5], (1.0, 2.5)),
    ],
)
def test_conversion(annotation, value, converted):
    result = fields.convert(annotation, value)
    assert result == converted
    assert type(result) is type(converted)


@pytest.mark.parametrize(
    ('annotation', 'value'),
    [
        (int, 2.5),
        (int, True),
        (int, '3'),
        (int, math.nan),
        (float, 'x'),
        (float, None),
        (str, 3),
        (tuple[float, ...], 3),
    ],
)
def test_values_that_cannot_be_converted(annotation, value):
    with pytest.raises(TypeError):
        fields.convert(annotation, value)


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('epochs', 0, 'epochs=0: must be a number of at least 1'),
        ('epochs', -1, 'at least 1'),
        ('epochs', 1.5, 'must be a whole number'),
        ('epochs', 'many', 'must be a whole number'),
        ('seeds', 0, 'at least 1'),
        ('seeds', 'many', 'must be a whole number or a list of whole numbers'),
        ('seeds', [], 'a list of at least 1'),
        ('seeds', [1003, 1003], 'all different'),
        ('seeds', [3, 1000], 'from 1000 to'),
        ('seeds', [1000.5, 1001], 'must be a whole number or a list'),
        ('tuning_seeds', 0, 'from 1 to 1000'),
        ('learning_rates', [], 'a list of at least 1'),
        ('learning_rates', [0.1, 0.1], 'all different'),
        ('learning_rates', [math.nan], 'finite'),
        ('learning_rates', [math.inf], 'finite'),
        ('learning_rates', [-0.1], 'above 0'),
        ('learning_rates', 0.1, 'must be a list of numbers'),
        ('learning_rate', 0.1, r'set learning_rates=\[0.1\]'),
        ('dropout', 1.5, 'variant.dropout=1.5: must be at least 0 and below 1'),
        ('dropout', math.nan, 'below 1'),
        ('variant.momentum', 1, 'below 1'),
        ('weight_decay', -1, 'at least 0'),
        ('width', 0, 'at least 1'),
        ('variant.pooling', 'mx', 'did you mean max'),
        ('norm', 'bach', 'did you mean batch'),
        ('optimizer', 'adm', 'did you mean adam'),
        ('data.split', 'x', 'known: stratified'),
        ('dataset', 'digit', 'did you mean digits'),
        ('fractions', [0.5, 0.5], 'three numbers with the sum 1'),
        ('chunk', 0, 'at least 1'),
        ('epoch', 3, 'did you mean epochs'),
        ('variant.widht', 3, 'did you mean variant.width'),
        ('options', {}, "unknown override 'options'"),
    ],
)
def test_overrides_that_cannot_be(ablation, key, value, words):
    with pytest.raises(InputError, match=words):
        override(ablation, {key: value})


def test_overrides_reach_their_field(ablation):
    result = override(
        ablation, {'epochs': 3, 'variant.width': 8, 'dropout': 0.5, 'data.split_seed': 4}
    )
    assert (
        result.epochs,
        result.variant.width,
        result.variant.dropout,
        result.data.split_seed,
    ) == (3, 8, 0.5, 4)
    assert ablation.epochs == 20


@pytest.mark.parametrize('kind', ['', 'variant.', 'data.'])
def test_every_field_can_be_overridden_by_its_own_value(ablation, kind):
    for key in field_paths(ablation):
        if not key.startswith(kind) or key == 'variant.learning_rate':
            continue
        holder = ablation if '.' not in key else getattr(ablation, key.split('.')[0])
        value = getattr(holder, key.split('.')[-1])
        assert override(ablation, {key: value}) == ablation


def test_seeds_of_a_comparison(ablation):
    for seeds in (1, [1004]):
        with pytest.raises(InputError, match='at least 2 seeds, to compare'):
            check(override(ablation, dict(seeds=seeds)))
    assert check(override(ablation, dict(seeds=[1000, 1003]))).seeds == (1000, 1003)
    assert protocol.seed_numbers(override(ablation, dict(seeds=[1003, 1000])).seeds) == (1000, 1003)
    check(select_options(override(ablation, dict(seeds=1)), ['max']))


@pytest.mark.parametrize(
    ('pairs', 'words'),
    [
        ('avg', 'must be a list of lists'),
        ([['avg']], 'pairs of two options'),
        ([['avg', 'avg']], 'pairs of two options'),
        ([['avg', 'l3']], "unknown option 'l3' in comparisons"),
        ([['avg', 'max']], "compared with the baseline 'max' anyway"),
        ([['avg', 'l2'], ['l2', 'avg']], 'is there twice'),
    ],
)
def test_comparisons_are_pairs_of_options(pairs, words):
    study = Ablation('pooling', 'max', {p: dict(pooling=p) for p in ('max', 'avg', 'l2')})
    with pytest.raises(InputError, match=words):
        check(override(study, dict(comparisons=pairs)))


def test_a_comparison_of_an_option_that_is_left_out_is_left_out():
    study = Ablation(
        'pooling',
        'max',
        {p: dict(pooling=p) for p in ('max', 'avg', 'l2', 'strided')},
        comparisons=(('avg', 'l2'), ('avg', 'strided')),
    )
    assert check(select_options(study, ['avg', 'strided'])).comparisons == (('avg', 'strided'),)
    conditions = {'a': {}, 'b': dict(comparisons=[['avg', 'l2']])}
    with pytest.raises(InputError, match="condition 'b' sets comparisons"):
        check(dataclasses.replace(study, conditions=conditions))


def test_options_are_checked(ablation):
    def with_option(**overrides):
        return Ablation(factor='pooling', baseline='max', options=dict(max={}, other=overrides))

    with pytest.raises(
        InputError, match="unknown field 'poolin' in option 'other': did you mean pooling"
    ):
        check(with_option(poolin='avg'))
    with pytest.raises(InputError, match='must be at least 0 and below 1'):
        check(with_option(dropout=2))
    with pytest.raises(InputError, match='learning_rate_scale'):
        check(with_option(learning_rate=2.0))
    with pytest.raises(InputError, match="unknown baseline 'mix': did you mean max"):
        check(Ablation(factor='pooling', baseline='mix', options=dict(max={})))
    with pytest.raises(InputError, match="unknown option 'mx'"):
        select_options(ablation, ['mx'])


def test_conditions_are_checked():
    def under(overrides):
        return Ablation(
            factor='p', baseline='max', options=dict(max={}), conditions={'c': overrides}
        )

    assert check(under({'data.split_seed': 1}))
    with pytest.raises(InputError, match='did you mean'):
        check(under({'data.split_sed': 1}))


def test_sweep_names_every_combination():
    result = experiment.sweep(norm=['none', 'batch'], dropout=[0.0, 0.5])
    assert list(result) == [
        'norm=none, dropout=0.0',
        'norm=none, dropout=0.5',
        'norm=batch, dropout=0.0',
        'norm=batch, dropout=0.5',
    ]
    assert result['norm=batch, dropout=0.5'] == dict(norm='batch', dropout=0.5)


def test_geometric():
    assert experiment.geometric(0.01, 1.0, 5) == (0.01, 0.0316, 0.1, 0.316, 1.0)
    assert experiment.geometric(0.1, 0.1, 1) == (0.1,)


@given(st.text(max_size=30), st.lists(st.text(max_size=10), max_size=5))
def test_any_text_gets_a_hint(name, known):
    assert nearest(name, known)
