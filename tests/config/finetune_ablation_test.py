"""Fields of an ablation of a fine-tuning: overrides, checks of the base and of the options."""

import pytest

from jaxdl.config.experiment import Ablation, FineTune
from jaxdl.config.load import as_dict
from jaxdl.config.overrides import (
    check,
    field_paths,
    option_finetune,
    override,
    parse,
    quick,
    select_options,
)
from jaxdl.config.recipe import Recipe
from jaxdl.errors import InputError
from jaxdl.train.variant import Variant

OPTIONS = {'usual': {}, 'mixup': dict(mixup=0.2)}
BASE = FineTune(weights='weights.npz', finetune=Recipe(epochs=3))


def study(**fields):
    plain = dict(factor='recipe', baseline='usual', options=OPTIONS, base=BASE, seeds=3)
    return Ablation(**plain | fields)


def test_names_of_a_fine_tuning_reach_the_base_and_those_of_the_study_do_not():
    changed = override(
        check(study()),
        {'epochs': 5, 'seeds': 4, 'finetune.seeds': 2, 'metric': 'macro_f1', 'base.weights': 'x'},
    )
    assert changed.base.finetune.epochs == 5
    assert (changed.seeds, changed.base.finetune.seeds) == (4, 2)
    assert (changed.metric, changed.base.finetune.metric) == ('macro_f1', 'macro_f1')
    assert changed.base.weights == 'x'
    assert override(study(), dict(metric='auroc')).base == BASE
    assert parse([study()], 'frozen', '["early"]') == ['early']
    assert override(study(), dict(recipe='sgd')).base.finetune.norms == 'batch'


def test_an_option_is_the_base_with_its_overrides():
    assert option_finetune(check(study()), 'usual') == check(BASE)
    mixed = option_finetune(check(study()), 'mixup')
    assert mixed.variant.mixup == 0.2
    rates = study(options={'usual': {}, 'slow': {'variant.learning_rate': 1e-5}})
    assert option_finetune(check(rates), 'slow').variant.learning_rate == 1e-5
    recipes = study(options={'usual': {}, 'sgd': dict(recipe='sgd')})
    assert option_finetune(check(recipes), 'sgd').finetune.norms == 'batch'


def test_a_condition_overrides_the_base_of_all_options():
    tenth = check(study(conditions={'whole': {}, 'half': dict(train_share=0.5)}))
    assert override(tenth, tenth.conditions['half']).images.train_share == 0.5
    other = override(tenth, dict(dataset='digits'))
    assert list(other.conditions) == ['whole', 'half']


def test_only_fields_with_an_effect_are_in_the_configuration():
    content = as_dict(check(study()))
    assert 'learning_rates' not in content
    assert 'epochs' not in content
    assert content['base']['finetune']['epochs'] == 3
    assert not [path for path in field_paths(study()) if path.endswith(('explain', 'evidence'))]


def test_quick_shrinks_the_base_and_options_are_selected():
    shrunk = check(quick(study()))
    assert (shrunk.scale, shrunk.seeds, shrunk.base.finetune.epochs) == ('quick', 2, 1)
    assert shrunk.base.scale == 'full'
    assert list(select_options(study(options={**OPTIONS, 'b': {}}), ['b']).options) == [
        'usual',
        'b',
    ]


REFUSED = {
    'epochs of the study': (dict(epochs=5), 'set base.finetune.epochs'),
    'a variant': (dict(variant=Variant(width=8)), 'set base.variant'),
    'tuning': (dict(tuning_seeds=5), 'tuning_seeds=5: has no effect'),
    'probes': (dict(probes=('boundary',)), 'has no effect in an ablation of a fine-tuning'),
    'another base': (dict(base=Variant()), 'must be a FineTune'),
    'a base with evidence': (
        dict(base=override(BASE, dict(evidence=('runs/x',)))),
        'base.evidence',
    ),
    'Grad-CAM': (dict(base=override(BASE, dict(explain=2))), 'base.finetune.explain=2'),
    'no test images': (
        dict(base=override(BASE, dict(fractions=(0.8, 0.2, 0.0)))),
        'needs training, validation and test images',
    ),
    'one seed': (dict(seeds=1), 'must be at least 2'),
}
OPTIONS_REFUSED = {
    'an unknown field': (dict(mixupp=1), "option 'odd': unknown override 'mixupp'"),
    'a bad value': (dict(mixup=-1), "option 'odd': variant.mixup=-1"),
    'a field of the images': (dict(train_share=0.5), 'a condition may set it'),
    'a tracker': (dict(trackers=('wandb',)), 'set it in the base'),
    'no effect': (dict(explain=3), 'has no effect'),
    'label issues': (dict(label_folds=3), 'has no effect'),
    'training of a probe': (dict(stages=('probe',), mixup=0.1), 'no effect on a probe alone'),
    'the base itself': (dict(mixup=0.0), 'are the same fine-tuning'),
    'no dict': (3, 'must be a dict of overrides'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_fields_without_effect_are_refused_in_one_line(name):
    fields, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        check(study(**fields))
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', OPTIONS_REFUSED)
def test_bad_options_are_refused_in_one_line(name):
    overrides, message = OPTIONS_REFUSED[name]
    with pytest.raises(InputError) as caught:
        check(study(options={'usual': {}, 'odd': overrides}))
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['epoch', 'tuning_seeds', 'explain', 'conditions'])
def test_an_override_that_nothing_reads_is_unknown(name):
    with pytest.raises(InputError, match=f'unknown override {name!r}'):
        override(study(), {name: 3})
