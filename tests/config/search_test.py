"""Settings of a search: ranges of study and options, bad input, overrides, config.json."""

import itertools
import json

import pytest
import studies

import jaxdl
from jaxdl.config import search_space
from jaxdl.config.load import as_dict, load_config
from jaxdl.config.overrides import check, override, parse, quick
from jaxdl.errors import InputError

SEARCH = dict(
    learning_rate=jaxdl.log_uniform(0.003, 1.0),
    weight_decay=jaxdl.log_uniform(1e-6, 1e-2),
    dropout=jaxdl.uniform(0, 0.5),
)
OPTIONS = {
    'max': {},
    'slow': dict(pooling='avg', learning_rate_scale=0.1),
    'own': dict(pooling='l2', search={'dropout': ['linear', 0.1, 0.9]}),
    'fixed': dict(pooling='strided', dropout=0.2),
}


def study(**changes):
    fields = dict(factor='pooling', baseline='max', options=OPTIONS, search=SEARCH, name='s')
    return check(jaxdl.Ablation(**(fields | changes)))


def test_options_shift_replace_and_fix_ranges():
    ranges = {option: search_space.ranges(study(), option) for option in OPTIONS}
    assert ranges['max'] == SEARCH
    assert ranges['slow']['learning_rate'] == ('log', 0.0003, 0.1)
    assert ranges['own'] == {**SEARCH, 'dropout': ('linear', 0.1, 0.9)}
    assert list(ranges['fixed']) == ['learning_rate', 'weight_decay']
    assert search_space.searched_fields(study()) == tuple(SEARCH)


def test_options_may_have_a_grid_of_their_own():
    options = {'max': {}, 'avg': dict(pooling='avg', learning_rates=[1, 3])}
    grids = study(options=options, search={}, learning_rates=(0.1, 0.3))
    assert search_space.learning_rates(grids, 'avg') == (1.0, 3.0)
    assert search_space.learning_rates(quick(grids), 'avg') == (3.0,)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            dict(search=dict(pooling=['log', 1, 2])),
            r'search\.pooling: not a number.*search one of ',
        ),
        (dict(search=dict(init=['log', 1, 2])), r'search\.init: not a number.*momentum'),
        (dict(search=dict(dropuot=['linear', 0, 1])), r"'dropuot' in search: did you mean dropout"),
        (dict(search=dict(dropout=['linear', 0.5, 0.1])), r'low end must be below the high end'),
        (dict(search=dict(dropout=['linear', 0.5, 0.5])), r'low end must be below the high end'),
        (dict(search=dict(dropout=['log', 0, 0.5])), r'low end of a log range must be above 0'),
        (dict(search=dict(dropout=['linear', 0, 1])), r'search\.dropout=1\.0: must be at least 0'),
        (dict(search=dict(learning_rate=['log', -1, 1])), r'learning_rate=-1\.0: must be a finite'),
        (dict(search=dict(dropout=[0, 0.5])), r'must be \["log", 0\.003, 1\.0\]'),
        (dict(search=dict(dropout=['sqrt', 0, 0.5])), r'must be \["log", 0\.003, 1\.0\]'),
        (dict(search=dict(dropout=['linear', 0, 'x'])), r"search\.dropout='x': must be a number"),
        (dict(search=dict(dropout=['linear', 0.1, 0.10000001])), r'too narrow'),
        (dict(search=[1]), r'search=\[1\]: must be an object of names and values'),
        (dict(search=dict(dropout=['linear', 0, 0.5])), r'lacks learning_rate'),
        (dict(options={'max': {}}, search={}, halving=3), r'halving=3: only a search stops points'),
        (dict(halving=1), r'halving=1: must be a number of at least 2'),
        (dict(halving=3, trials=9), r'no point can stop early with trials=9.*at least 10 trials'),
        (dict(halving=3, epochs=1), r'no point can stop early with .* epochs=1'),
        (dict(conditions={'a': {}, 'b': {'epochs': 1}}, halving=3), r'no point can stop early'),
        (
            dict(options={'max': {}}, search={}, conditions={'a': {'trials': 8}}),
            r'trials=8: only a search has trials, and s has learning_rates',
        ),
        (dict(trials=1), r'trials=1: must be a number of at least 2'),
        (dict(tuning_seeds=998), r'tuning_seeds=998: .* must be at most 997'),
        (dict(options={'max': dict(learning_rates=[1.0])}), r'has learning_rates, and the study'),
        (dict(options={'max': dict(search=5)}), r"option 'max': search=5: must be an object"),
        (
            dict(options={'max': dict(dropout=0.1, search={'dropout': ['linear', 0, 0.5]})}),
            r"option 'max' sets and searches dropout",
        ),
        (
            dict(options={'max': dict(dropout=0.1)}, search={'dropout': ['linear', 0, 0.5]})
            | dict(learning_rates=(0.1,)),
            r"option 'max' sets all searched fields",
        ),
        (
            dict(options={'max': dict(search={'dropout': ['linear', 0, 0.5]})}, search={}),
            r'has a search, and the study has none',
        ),
        (
            dict(options={'max': dict(learning_rates=[0.1])}, search={}),
            r'has 1 learning_rates, the study has 5: all options need the same number',
        ),
        (dict(conditions={'a': {'dropout': 0.1}, 'b': {}}), r'dropout=0\.1: dropout is searched'),
    ],
)
def test_bad_searches(changes, words):
    with pytest.raises(InputError, match=words) as error:
        study(**changes)
    assert '\n' not in str(error.value)


def test_a_value_of_a_searched_field_is_refused():
    with pytest.raises(InputError, match=r'variant\.dropout=0\.1: dropout is searched: leave'):
        override(study(), {'variant.dropout': 0.1})


def test_learning_rates_replace_the_search_of_the_rate():
    fixed = check(override(study(), {'learning_rates': [0.1, 0.3], 'dropout': 0.1}))
    assert not fixed.search
    assert not any('search' in overrides for overrides in fixed.options.values())
    assert search_space.learning_rates(fixed, 'slow') == (0.01, 0.03)
    others = override(study(options={'max': {}}), {'search': {'dropout': ['linear', 0, 0.5]}})
    kept = check(override(others, {'learning_rates': [0.1]}))
    assert list(search_space.ranges(kept, 'max')) == ['dropout']


def test_the_order_of_overrides_does_not_matter():
    overrides = {'dropout': 0.1, 'learning_rates': [0.1], 'search': {'momentum': ['linear', 0, 1]}}
    changed = [
        override(study(options={'max': {}}), dict(order))
        for order in itertools.permutations(overrides.items())
    ]
    assert all(each == changed[0] for each in changed)
    assert list(changed[0].search) == ['momentum']
    assert (changed[0].variant.dropout, changed[0].learning_rates) == (0.1, (0.1,))


def test_learning_rates_and_a_search_of_the_rate_are_refused():
    with pytest.raises(InputError, match=r'both tune the learning rate; leave one of them out'):
        override(study(), {'learning_rates': [0.1], 'search': SEARCH})


def test_learning_rates_and_smoke_runs_leave_halving_out():
    halved = study(halving=3)
    assert check(override(halved, {'learning_rates': [0.1]})).halving is None
    assert check(quick(halved)).halving is None


def test_a_search_is_read_from_the_command_line():
    text = '{"learning_rate": ["log", 0.003, 1.0], "dropout": ["linear", 0, 0.5]}'
    plain = study(search={}, options={'max': {}})
    searched = check(override(plain, {'search': parse([plain], 'search', text)}))
    assert searched.search == {name: SEARCH[name] for name in ('learning_rate', 'dropout')}


def test_a_search_comes_back_from_config_json(tmp_path):
    for each in (study(), quick(study()), study(search=SEARCH, trials=5)):
        (tmp_path / 'config.json').write_text(json.dumps(as_dict(each)))
        assert load_config(tmp_path / 'config.json') == check(each)


def test_quick_shrinks_a_search():
    small = quick(study())
    assert (small.trials, small.tuning_seeds, small.search) == (2, 1, SEARCH)


def test_a_smoke_study_has_no_search():
    assert studies.small().search == {}
