"""Registered components: trained in a group like built-in options, checked at registration."""

import dataclasses
import functools
import importlib
import json
import math
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import studies
from flax import linen as nn
from flax import traverse_util
from sklearn import metrics as scikit

import jaxdl
from jaxdl import augment, models, register
from jaxdl import main as command
from jaxdl.ablation import checks, planning
from jaxdl.config import load as config
from jaxdl.config import registry, search_space
from jaxdl.config.experiment import option_variant
from jaxdl.config.overrides import check, override, select_options
from jaxdl.data import Data, load
from jaxdl.data import split as split_data
from jaxdl.ensemble import chunks
from jaxdl.errors import InputError
from jaxdl.models import layers
from jaxdl.train import losses, optim, train_step
from jaxdl.train.variant import Variant, program_key, variant_class
from jaxdl.workdir import tables

pytestmark = pytest.mark.usefixtures('restored_registries')
BASE = Variant(width=4, depth=1, dropout=0.2)


def function(images, num_classes, width, conv, train, dropout):
    """Everything that a network may ask for."""
    images = layers.Conv(width, lowering=conv, name='conv')(images)
    images = nn.BatchNorm(use_running_average=not train, momentum=0.9, name='norm')(images)
    features = nn.Dropout(0.1, deterministic=not train)(nn.relu(images).mean((1, 2)))
    return nn.Dense(num_classes, name='head')(features + 0 * jnp.asarray(dropout))


class Plain(nn.Module):
    """Neither train nor dropout, and a parameter that is no kernel and starts at random."""

    num_classes: int
    units: int = 8

    @nn.compact
    def __call__(self, images):
        features = images.reshape(len(images), -1)
        scale = self.param('scale', nn.initializers.normal(1.0), (features.shape[-1],))
        return nn.Dense(self.num_classes, name='head')(
            nn.relu(nn.Dense(self.units)(features * scale[None]))
        )


def start(key, images, num_classes):
    return dict(kernel=jnp.zeros((images[0].size, num_classes)), bias=jnp.ones(num_classes))


def applied(params, images):
    return images.reshape(len(images), -1) @ params['kernel'] + params['bias'][None]


NETWORKS = dict(function=function, plain=Plain, pair=(start, applied))


@pytest.mark.parametrize('form', NETWORKS)
def test_a_registered_network_alone_equals_its_group_member(form):
    register.model('own')(NETWORKS[form])
    variants = [dataclasses.replace(BASE, model='own', learning_rate=rate) for rate in (0.05, 0.01)]
    result = studies.members(variants, [0, 1])
    square = chunks.rectangle([m.stream for m in result])
    group, programs, _ = studies.train(result, square)
    row, column = np.argwhere(square == 3)[0]
    single, _, _ = studies.train_alone(result[3])
    for name in ('train_loss', 'val_loss'):
        assert group.history[name][0, row, column] == pytest.approx(
            single.history[name][0, 0, 0], abs=1e-5
        )
    assert programs.traces == 1
    assert len(np.unique(group.history['train_loss'].round(6))) == 4


def test_a_registered_copy_of_a_built_in_class_trains_equally():
    register.model('again')(models.CNN)
    (one, _, _), (other, _, _) = (
        studies.train_alone(studies.members([BASE.replace(model=m)], [0])[0])
        for m in ('cnn', 'again')
    )
    np.testing.assert_array_equal(one.history['train_loss'], other.history['train_loss'])


def test_parameters_other_than_kernels_are_initialised_by_the_seed():
    register.model('own')(Plain)
    variant = BASE.replace(model='own')
    module = train_step.module_of(variant, 10)
    first, again, other = (
        train_step.init_state(variant, s, module, (2, 2, 1)).params for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first['scale'], again['scale'])
    assert np.any(np.asarray(first['scale']) != np.asarray(other['scale']))


OURS = dict(
    loss=(losses.LOSSES, 'softmax_cross_entropy', lambda row: row.loss),
    optimizer=(optim.OPTIMIZERS, 'momentum', lambda row: row),
    schedule=(optim.SCHEDULES, 'cosine', lambda row: row),
    pooling=(layers.POOLINGS, 'avg', lambda row: row),
    global_pooling=(layers.GLOBAL_POOLINGS, 'avg', lambda row: row),
    norm=(layers.NORMS, 'batch', lambda row: row),
    activation=(layers.ACTIVATIONS, 'tanh', lambda row: row),
    init=(layers.INITS, 'he_normal', lambda row: row),
)


@pytest.mark.parametrize('kind', OURS)
def test_a_registered_copy_of_a_built_in_function_trains_equally(kind):
    table, name, function = OURS[kind]
    getattr(register, kind)('again')(function(table[name]))
    both = [
        studies.members([BASE.replace(**{kind: registered})], [0])[0]
        for registered in (name, 'again')
    ]
    one, other = (studies.train_alone(member)[0].history for member in both)
    # Norm, activation and pooling are one native operation where all three are ours: the same but
    # for rounding.
    close = 1e-5 if kind in ('pooling', 'norm', 'activation') else 0.0
    np.testing.assert_allclose(one['train_loss'], other['train_loss'], rtol=close, atol=0)


def test_a_factory_of_optax_is_the_direction_of_its_rule():
    register.optimizer('factory')(optax.adamw)
    params = dict(head=dict(kernel=jnp.arange(6.0).reshape(3, 2), bias=jnp.ones(2)))

    def stepped(name):
        tx = optim.make_optimizer(name, 0.1, 0.8, 0.95, 0.3)
        return tx.update(params, tx.init(params), params)[0]

    jax.tree.map(np.testing.assert_array_equal, stepped('factory'), stepped('adamw'))


def test_an_augmentation_at_strength_0_is_none():
    @register.augmentation('noise')
    def noise(key, images, strength):
        return images + strength * jax.random.normal(key, images.shape)

    calm, noisy = BASE.replace(dropout=0.0), BASE.replace(dropout=0.0, augmentation='noise')
    loud = noisy.replace(strength=0.5)
    group, programs, _ = studies.train(studies.members([noisy, loud], [0]), [[0, 1]])
    single, _, _ = studies.train_alone(studies.members([calm], [0])[0])
    one, other = group.history['train_loss'][0, 0]
    assert one == pytest.approx(single.history['train_loss'][0, 0, 0], abs=1e-5)
    assert abs(other - one) > 1e-3
    assert programs.traces == 1
    images = jnp.asarray(np.random.default_rng(0).random((4, 5, 6, 1)), jnp.float32)
    targets = jnp.eye(4)
    augmented, labels = augment.augment(
        jax.random.key(0), images, targets, dict(noise=0.5, flip=0.0)
    )
    assert float(jnp.abs(augmented - images).max()) > 0.1
    np.testing.assert_array_equal(labels, targets)


def brighter(key, images, strength):
    return images + strength * jax.random.uniform(key, (len(images), 1, 1, 1))


def darker(key, images, strength):
    return images * (1 - strength * jax.random.uniform(key, (len(images), 1, 1, 1)))


@pytest.fixture
def two_augmentations():
    register.augmentation('brighter')(brighter)
    register.augmentation('darker')(darker)


@pytest.mark.usefixtures('two_augmentations')
def test_two_augmentations_at_once_equal_one_after_the_other():
    images = jnp.asarray(np.random.default_rng(0).random((4, 5, 6, 1)), jnp.float32)
    key, targets = jax.random.key(0), jnp.eye(4)
    both, _ = augment.augment(key, images, targets, dict(darker=0.5, brighter=0.2))
    first = darker(jax.random.fold_in(key, 1), images, 0.5)
    expected = brighter(jax.random.fold_in(key, 2), first, 0.2)
    np.testing.assert_allclose(both, expected, rtol=1e-6)
    other, _ = augment.augment(key, images, targets, dict(brighter=0.2, darker=0.5))
    assert not np.allclose(other, expected)


@pytest.mark.usefixtures('two_augmentations')
def test_members_with_two_augmentations_share_a_program():
    base = BASE.replace(dropout=0.0, augmentation=('brighter', 'darker'))
    calm, one, two = (base.replace(strength=s) for s in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5)))
    group, programs, _ = studies.train(studies.members([calm, one, two], [0]), [[0, 1, 2]])
    losses = [
        studies.train_alone(studies.members([variant], [0])[0])[0].history['train_loss'][0, 0, 0]
        for variant in (
            BASE.replace(dropout=0.0),
            BASE.replace(dropout=0.0, augmentation='brighter', strength=0.5),
            two,  # its strengths are equal in all members: computed once per row
        )
    ]
    assert group.history['train_loss'][0, 0] == pytest.approx(losses, abs=1e-5)
    assert len({round(float(loss), 4) for loss in losses}) == 3
    assert programs.traces == 1


@pytest.mark.usefixtures('two_augmentations')
def test_lists_of_augmentations_are_checked_and_recorded():
    study = studies.small()
    names = {'augmentation': ['brighter', 'darker']}
    for strength in (0.1, [0.1, 0.2]):
        result = jaxdl.override(study, names | {'strength': strength})
        recorded = config.as_dict(check(result))
        assert recorded['variant']['augmentation'] == ('brighter', 'darker')
        assert ('augmentation', 'darker') in config.component_names(result)
    for overrides, words in [
        (names | {'strength': [0.1]}, r'strength=\[0.1\]: must be a number, or a list with one'),
        ({'augmentation': ['darker', 'darker']}, 'all different'),
        ({'augmentation': ['darker', 'brigter']}, 'did you mean brighter'),
        (names | {'strength': [0.1, -1]}, 'at least 0'),
        ({'augmentation': 3}, 'must be a word or a list of words'),
    ]:
        with pytest.raises(InputError, match=words):
            check(jaxdl.override(study, overrides))


def right(logits, labels):
    return logits.argmax(-1) == labels


def test_a_metric_that_is_the_accuracy_is_the_accuracy(tmp_path):
    register.metric('right')(right)
    study = studies.small(metrics=['right'], learning_rates=[0.1], epochs=1)
    jaxdl.run(study, tmp_path / 'run')
    rows = tables.read_table(tmp_path / 'run' / 'results.csv', tables.RESULTS)
    for split in ('val', 'test'):
        registered, accuracy = (
            {
                (r['option'], r['seed']): r['value']
                for r in rows
                if (r['split'], r['metric']) == (split, name)
            }
            for name in ('right', 'accuracy')
        )
        assert len(registered) == 4
        assert registered == accuracy
    assert 'right' not in {r['metric'] for r in rows if r['split'] == 'train'}
    report = (tmp_path / 'run' / 'report.md').read_text()
    assert 'Other metrics' in report
    summary = tables.read_table(tmp_path / 'run' / 'summary.csv', tables.SUMMARY)
    assert {row['metric'] for row in summary} == {'accuracy'}


REFUSED = {
    'a count of the batch': (
        lambda logits, labels: jnp.full(len(labels), float(len(labels))),
        {},
        "gives an image another value among other images.*over='split'",
    ),
    'relative to the batch': (
        lambda logits, labels: logits.max(1) - logits.max(),
        {},
        "register a metric of all images together with over='split'",
    ),
    'by the place in the batch': (
        lambda logits, labels: np.arange(len(labels)),
        {},
        'must depend on the image alone',
    ),
    'every class is needed': (
        lambda logits, labels: np.full(len(labels), scikit.roc_auc_score(labels, logits[:, 1])),
        {},
        'must depend on the image alone',
    ),
    'a value per image': (
        lambda logits, labels: logits.argmax(1) == labels,
        dict(over='split'),
        r'gives shape \[40\]: must be a function .* a finite number for all images',
    ),
    'a number': (
        lambda logits, labels: (logits.argmax(1) == labels).mean(),
        {},
        r"gives shape \[\]: must be a function .*or over='split' with a number",
    ),
    'no number': (lambda logits, labels: math.nan, dict(over='split'), 'is not finite'),
    'fails': (lambda logits, labels: labels.nothing, dict(over='split'), 'AttributeError.*line'),
    'another level': (right, dict(over='batch'), 'known: image, split'),
    'a typo': (right, dict(over='spilt'), 'did you mean split'),
    'falls': (
        lambda logits, labels: -np.log(np.exp(logits)[np.arange(len(labels)), labels]),
        {},
        'is lower where all predictions are correct .*lower_is_better=True',
    ),
    'rises': (right, dict(lower_is_better=True), 'is higher .*lower_is_better=False'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_a_metric_of_another_form_is_refused(case):
    function, arguments, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as caught:
        register.metric('own', **arguments)(function)
    assert '\n' not in str(caught.value)
    assert 'own' not in register.TABLES['metric']


def test_metrics_of_all_libraries_are_taken():
    register.metric('numpy')(lambda logits, labels: logits.argmax(1) == labels)
    register.metric('jax')(lambda logits, labels: jnp.argmax(logits, 1) == jnp.asarray(labels))
    register.metric('scikit', over='split')(
        lambda logits, labels: scikit.balanced_accuracy_score(labels, logits.argmax(1))
    )
    register.metric('of_two', over='split')(
        lambda logits, labels: scikit.roc_auc_score(labels, logits[:, 1])
    )
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 2)).astype(np.float32), rng.integers(0, 2, 50)
    table = register.TABLES['metric']
    expected = table['accuracy'].value(logits, labels)
    assert table['numpy'].value(logits, labels) == table['jax'].value(logits, labels) == expected
    assert table['scikit'].value(logits, labels) == table['balanced_accuracy'].value(logits, labels)


def test_the_value_of_a_diverged_run_can_be_named():
    register.metric('own', chance=0.25)(right)
    register.metric('equal')(lambda logits, labels: logits.max(1))
    table, labels = register.TABLES['metric'], np.arange(6) % 3
    assert table['own'].guess(labels, 3) == 0.25
    assert table['equal'].guess(labels, 3) == 0.0


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        (dict(metric='macro_f2'), "metric='macro_f2': did you mean macro_f1"),
        (dict(metric='error'), "metric='error': "),
        (dict(metric=3), 'metric=3: must be a word'),
        (dict(metrics=['acuracy']), 'did you mean accuracy'),
        (dict(metric='auroc', margin=2), r'margin=2.0: must be from 1e-06 to 1'),
        (dict(margin=1.5), 'must be from 1e-06 to 1'),
        (dict(margin=0), 'margin=0.0: must be'),
    ],
)
def test_invalid_metrics_of_a_study_are_refused(overrides, words):
    with pytest.raises(InputError, match=words):
        studies.small(**overrides)


def test_a_metric_without_a_largest_value_may_have_any_margin():
    assert studies.small(metric='log_loss', margin=2.5).margin == 2.5


def test_conditions_are_compared_by_one_metric():
    study = dataclasses.replace(studies.small(), conditions={'a': {}, 'b': dict(metric='auroc')})
    with pytest.raises(InputError, match="condition 'b' sets metric='auroc'"):
        check(study)


def test_a_derivation_has_no_metric(capsys):
    assert command.main(['--experiment=backprop', '--set=metric=auroc', '--mode=plan']) == 2
    error = capsys.readouterr().err
    assert "unknown override 'metric'" in error
    assert error.count('\n') == 1
    assert command.main(['--experiment=pooling', '--set=metric=acurracy', '--mode=plan']) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxdl: error: metric='acurracy': did you mean accuracy or ")
    assert error.count('\n') == 1


def test_a_registered_data_set_is_loaded():
    @register.dataset('drawn')
    def drawn(image_size):
        images = np.random.default_rng(0).integers(
            0, 256, (30, image_size, image_size, 3), np.uint8
        )
        return images, np.arange(30) % 3, ('a', 'b', 'c')

    dataset = load(Data(dataset='drawn', image_size=5))
    assert dataset.images.shape == (30, 5, 5, 3)
    assert dataset.class_names == ('a', 'b', 'c')
    np.testing.assert_array_equal(dataset.labels, np.arange(30) % 3)
    with pytest.raises(InputError, match='nothing follows the name'):
        load(Data(dataset='drawn:there'))


def test_a_registered_data_set_may_fix_its_split_and_groups():
    images = np.random.default_rng(0).integers(0, 256, (60, 5, 5, 1), np.uint8)
    labels, names = np.arange(60) % 2, ('a', 'b')
    words = np.array(['training'] * 40 + ['test'] * 20)

    def give(*more):
        register.dataset('fixed')(lambda: (images, labels, names, *more))
        data = Data(dataset='fixed')
        dataset = load(data)
        return dataset, split_data(dataset, data)

    dataset, splits = give(words)
    assert sorted(splits.test) == list(range(40, 60))
    assert sorted([*splits.train, *splits.val]) == list(range(40))
    assert len(splits.val) > 0
    moved, _ = give(np.roll(words, 1))
    assert dataset.checksum() != moved.checksum() != give()[0].checksum()
    dataset, splits = give(['val'] * 10 + ['train'] * 30 + ['test'] * 20)
    assert list(splits.val) == list(range(10))
    dataset, splits = give(None, np.arange(60) // 4)
    assert dataset.groups is not None
    for part in (splits.train, splits.val, splits.test):
        assert len(part) % 4 == 0
    for more, message in [
        ((words[:3],), 'splits are <U8 .3.: must be 60 words'),
        ((['train'] * 59 + ['other'],), "splits has 'other': must be train, val or test"),
        ((words, np.zeros(60)), 'groups are float64 .60.: must be 60 words'),
        ((words, words, words), 'must return'),
    ]:
        with pytest.raises(InputError, match=message):
            give(*more)


def test_a_changed_data_function_reloads_its_data_set():
    def give(size):
        def drawn():
            return np.zeros((6, size, size, 1), np.uint8), np.arange(6) % 2, ('a', 'b')

        register.dataset('drawn')(drawn)
        return load(Data(dataset='drawn')).images.shape[1]

    assert [give(2), give(3)] == [2, 3]


def another(logits, targets):
    return targets.sum(-1)


@pytest.mark.parametrize(
    ('kind', 'name', 'component', 'words'),
    [
        ('model', 'cnn', function, "model 'cnn' is jaxdl's own"),
        ('model', 'a:b', function, 'must be a name of letters'),
        ('model', '', function, 'must be a name of letters'),
        ('model', 'own', 3, 'is int: must be a Linen class'),
        ('model', 'own', lambda images, classes: images, "needs 'classes', which is no setting"),
        ('loss', 'none', another, "is jaxdl's own"),
        ('loss', 'own', lambda logits: logits, 'must be a function \\(logits, targets\\)'),
        ('loss', 'own', lambda logits, targets: logits, 'gives shape \\[8, 10\\]'),
        ('optimizer', 'own', lambda rate: optax.sgd(rate), 'must be \\(momentum, beta2, decay\\)'),
        ('schedule', 'own', lambda progress: [progress, 1.0], 'gives shape \\[2\\]'),
        (
            'augmentation',
            'own',
            lambda key, images, strength: images + 1e-6,
            'unchanged at strength 0',
        ),
        (
            'augmentation',
            'own',
            lambda key, images, strength: images if strength else 0,
            'TracerBool',
        ),
        ('metric', 'accuracy', right, "is jaxdl's own"),
        ('metric', 'own', lambda logits, labels: logits.mean(), 'gives shape \\[\\]'),
        ('dataset', 'own', 3, 'must be a function'),
        ('pooling', 'own', lambda elements, param: elements, 'gives shape \\[4, 2, 3, 3, 5\\]'),
        ('init', 'own', lambda key, shape: jnp.zeros(3), 'gives shape \\[3\\]'),
    ],
)
def test_invalid_registrations_are_refused_at_once(kind, name, component, words):
    with pytest.raises(InputError, match=words) as caught:
        getattr(register, kind)(name)(component)
    assert '\n' not in str(caught.value)
    assert name not in register.TABLES[kind] or name in ('cnn', 'none', 'accuracy')


def test_the_same_function_replaces_itself_and_another_does_not():
    register.loss('own')(another)
    register.loss('own')(another)
    with pytest.raises(InputError, match=r"loss 'own' is .*another.* already"):
        register.loss('own')(losses.softmax_cross_entropy)


def test_a_typo_has_its_near_match():
    register.loss('focal')(another)
    with pytest.raises(InputError, match='did you mean focal'):
        override(studies.small(), {'variant.loss': 'fokal'})


def test_a_failing_network_is_reported_in_one_line(tmp_path):
    register.model('own')(lambda images, num_classes: nn.Dense(num_classes)(images.reshape(3, -1)))
    with pytest.raises(
        InputError, match=r"model 'own' on images \[32, 8, 8, 1\]: .*register_test.py line \d+"
    ):
        jaxdl.run(studies.initialisations(**{'variant.model': 'own'}), tmp_path / 'run')
    register.model('wide')(lambda images, num_classes: images)
    with pytest.raises(InputError, match='must be logits'):
        jaxdl.run(studies.initialisations(**{'variant.model': 'wide'}), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


STUDY = """\"\"\"Does my loss learn?\"\"\"
import jaxdl

@jaxdl.register.loss('mine')
def mine(logits, targets):
    return -(targets * logits).sum(-1) + {more}

EXPERIMENT = jaxdl.Ablation(
    factor='loss', baseline='ours', options=dict(ours={{}}, mine=dict(loss='mine')),
    variant=jaxdl.Variant(width=2, depth=1), learning_rates=(0.01,), seeds=2, epochs=1,
)
"""


def test_a_run_records_the_file_that_its_config_needs(tmp_path, capsys):
    (tmp_path / 'mine.py').write_text(STUDY.format(more='1.0'))
    assert command.main(['--experiment=mine.py', '--workdir=run']) == 0
    config_file, plan = (
        tmp_path / 'run' / 'config.json',
        json.loads((tmp_path / 'run' / 'plan.json').read_text()),
    )
    assert json.loads(config_file.read_text())['registered'] == {'loss mine': 'mine.py'}
    sha = json.loads((tmp_path / 'run' / 'run.json').read_text())['file']['sha256']
    assert plan['registered'] == {'mine.py': sha}
    assert config.load_config(config_file).options['mine'] == dict(
        loss='mine'
    )  # it is registered in this process
    losses.LOSSES.pop('mine')
    registry.ORIGINS.clear()
    capsys.readouterr()
    assert command.main([f'--config={config_file}', '--workdir=again']) == 2
    err = capsys.readouterr().err
    assert 'give --experiment=mine.py next to --config' in err
    assert err.count('\n') == 1
    assert command.main(['--experiment=mine.py', f'--config={config_file}', '--mode=plan']) == 0
    capsys.readouterr()
    (tmp_path / 'mine.py').write_text(STUDY.format(more='2.0'))
    assert command.main(['--experiment=mine.py', '--workdir=run']) == 0  # it has come to its end
    assert 'mine.py is not the file with which the run' in capsys.readouterr().err
    run = json.loads((tmp_path / 'run' / 'run.json').read_text())
    (tmp_path / 'run' / 'run.json').write_text(json.dumps(run | dict(finished=False)))
    assert command.main(['--experiment=mine.py', '--workdir=run']) == 2
    assert '--overwrite starts the run again' in capsys.readouterr().err


def own_network():
    """A class with fields of its own: one of the study, one with a clashing default, one traced."""

    class Own(nn.Module):
        num_classes: int
        width: int
        hidden: int = 12
        gate: bool = False
        keep: float = jaxdl.traced(1.0)

        @nn.compact
        def __call__(self, images, train):
            features = nn.Dense(self.width, name='first')(images.reshape(len(images), -1))
            features = nn.relu(nn.Dense(self.hidden, name='second')(features))
            if self.gate:
                features = features * nn.sigmoid(nn.Dense(self.hidden, name='gate')(features))
            if train:
                key = self.make_rng('dropout')
                features = features * jax.random.bernoulli(key, self.keep, features.shape)
            return nn.Dense(self.num_classes, name='head')(features)

    return Own


def own_study(options, **fields):
    return check(
        dataclasses.replace(
            studies.small(),
            factor='network',
            options={'plain': {}} | options,
            baseline='plain',
            variant=Variant(model='mine', width=4),
            **fields,
        )
    )


def shapes_of(study, option):
    variant = option_variant(study, option)
    state = train_step.init_state(variant, 0, train_step.module_of(variant, 10), (8, 8, 1))
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(state.params).items()}


def test_fields_of_a_network_are_settings_of_the_study(capsys):
    register.model('mine')(own_network())
    register.model('wide')(functools.partial(own_network(), width=64))
    assert "model 'mine': hidden=12 is its own default" in capsys.readouterr().err
    study = own_study(
        {
            'gate': dict(gate=True),
            'keep': dict(keep=0.5),
            'wide': dict(model='wide'),
            'hidden': dict(hidden=3),
        }
    )
    kernels = {option: shapes_of(study, option) for option in study.options}
    assert kernels['plain'] == kernels['keep']
    assert kernels['plain']['first', 'kernel'] == (64, 4)
    assert kernels['plain']['second', 'kernel'] == (4, 12)
    assert kernels['wide']['first', 'kernel'] == (64, 64)
    assert kernels['hidden']['second', 'kernel'] == (4, 3)
    assert ('gate', 'kernel') in kernels['gate']
    variants = [option_variant(study, option) for option in ('plain', 'keep', 'gate')]
    keys = [program_key(variant, ()) for variant in variants]
    assert keys[0] == keys[1] != keys[2]
    assert override(study, {'variant.keep': 0.25}).variant.keep == 0.25
    assert override(study, {'hidden': 0}).variant.hidden == 0


@pytest.mark.engine
def test_a_traced_field_reaches_the_network_and_its_default_is_the_network_alone(tmp_path):
    register.model('mine')(own_network())
    study = own_study({'keep': dict(keep=0.5), 'gate': dict(gate=True)}, learning_rates=(0.1,))
    results = jaxdl.run(study, tmp_path / 'run')
    accuracy = {row['option']: row['mean'] for row in results.summary}
    assert accuracy['keep'] != accuracy['plain']
    groups = json.loads((tmp_path / 'run' / 'run.json').read_text())['groups']
    assert [group['options'] for group in groups] == [['plain', 'keep'], ['gate']]
    text = (tmp_path / 'run' / 'report.md').read_text()
    assert 'mine, which the study defines, with width 4 and hidden 12.' in text
    assert 'pooling' not in text.partition('Methods')[2].partition('Options of')[0]
    assert config.load_config(tmp_path / 'run' / 'config.json') == study
    assert not checks.failed(checks.checks(select_options(study, ['gate']), lambda _: None))


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'pool': dict(pooling='avg')}, "sets pooling, which the network 'mine' does not take"),
        ({'same': dict(hidden=12)}, "options 'plain' and 'same' are the same network"),
        ({'typo': dict(gat=True)}, "unknown field 'gat' in option 'typo': did you mean gate"),
        ({'text': dict(gate='yes')}, "variant.gate='yes': must be"),
    ],
)
def test_options_of_an_own_network_are_checked(options, words):
    register.model('mine')(own_network())
    with pytest.raises(InputError, match=re.escape(words)):
        own_study(options)


def test_a_field_with_the_name_of_a_training_setting_is_refused():
    class Named(nn.Module):
        num_classes: int
        momentum: float = 0.5

    with pytest.raises(InputError, match='which is a setting of the training: rename the field'):
        register.model('named')(Named)
    assert 'named' not in register.TABLES['model']


def attention():
    class Attention(nn.Module):
        num_classes: int
        drop_path: float = jaxdl.traced(0.1, low=0, high=0.9)
        free: float = jaxdl.traced(0.5)

        @nn.compact
        def __call__(self, images, train):
            tokens = nn.Dense(8, name='embed')(images.reshape(len(images), -1, 8))
            tokens = nn.MultiHeadDotProductAttention(num_heads=4, name='attention')(tokens, tokens)
            if train:
                key = self.make_rng('drop_path')
                tokens = tokens * jax.random.bernoulli(
                    key, 1 - self.drop_path, (*tokens.shape[:1], 1, 1)
                )
            return nn.Dense(self.num_classes, name='head')(tokens.mean(1) * self.free)

    return Attention


def test_kernels_of_attention_start_as_matrices():
    """The standard deviation is that of 8 inputs, not of 8 times the heads."""
    register.model('mine')(attention())
    variant = variant_class('mine')(model='mine', init='he_normal')
    module = train_step.module_of(variant, 10)
    state = train_step.init_state(variant, 0, module, (8, 8, 1))
    kernels = {
        path[-2]: leaf
        for path, leaf in traverse_util.flatten_dict(state.params).items()
        if path[0] == 'attention' and path[-1] == 'kernel'
    }
    assert {name: leaf.shape for name, leaf in kernels.items()} == {
        'query': (8, 4, 2),
        'key': (8, 4, 2),
        'value': (8, 4, 2),
        'out': (4, 2, 8),
    }
    spread = np.concatenate([np.ravel(leaf) for leaf in kernels.values()]).std()
    assert spread == pytest.approx(math.sqrt(2 / 8), rel=0.15)


def test_limits_of_a_traced_field_are_a_rule_and_bound_the_search():
    register.model('mine')(attention())
    search = {name: jaxdl.uniform(0, 0.5) for name in ('drop_path', 'free')} | dict(
        learning_rate=jaxdl.log_uniform(0.01, 1)
    )
    study = check(
        dataclasses.replace(
            studies.small(),
            options={'plain': {}, 'off': dict(drop_path=0.0)},
            baseline='plain',
            variant=Variant(model='mine'),
            search=search,
        )
    )
    ends = {
        name: planning._search_range(study.variant, name, limits)
        for name, limits in search_space.ranges(study, 'plain').items()
    }
    assert ends['drop_path'].lowest == 0
    assert 0.5 < ends['drop_path'].highest <= 0.9
    assert (ends['free'].lowest, ends['free'].highest) == (0, 0.5)  # it has no limits
    for value, words in {1.5: 'must be from 0 to 0.9', math.nan: 'must be from 0 to 0.9'}.items():
        with pytest.raises(InputError, match=words):
            override(dataclasses.replace(study, search={}), {'variant.drop_path': value})
    with pytest.raises(InputError, match='must be a finite number'):
        override(dataclasses.replace(study, search={}), {'variant.free': math.inf})
    with pytest.raises(InputError, match='must have a default from low to high'):
        jaxdl.traced(2, low=0, high=1)


def test_overrides_reach_own_fields_of_a_study_made_in_python():
    register.model('mine')(attention())
    study = dataclasses.replace(studies.small(), variant=Variant(model='mine'))
    assert override(study, {'variant.drop_path': 0.3}).variant.drop_path == 0.3


@pytest.mark.engine
def test_any_random_stream_of_a_network_works(tmp_path):
    register.model('mine')(attention())
    study = own_study({}, learning_rates=(0.1,))
    study = dataclasses.replace(study, variant=variant_class('mine')(model='mine'))
    results = jaxdl.run(check(study), tmp_path / 'run')
    assert results.summary[0]['mean'] > 0


def test_a_network_that_needs_the_value_of_a_traced_field_is_refused_before_training():
    class Plain(nn.Module):
        num_classes: int
        rate: float = jaxdl.traced(0.1)

        @nn.compact
        def __call__(self, images, train):
            features = nn.Dropout(self.rate)(
                images.reshape(len(images), -1), deterministic=not train
            )
            return nn.Dense(self.num_classes, name='head')(features)

    register.model('mine')(Plain)
    variant = variant_class('mine')(model='mine')
    with pytest.raises(InputError, match=r'rate are traced numbers.*layers\.dropout') as caught:
        train_step.init_state(variant, 0, train_step.module_of(variant, 10), (8, 8, 1))
    assert '\n' not in str(caught.value)


def test_a_file_may_be_imported_and_run_as_an_experiment(tmp_path, monkeypatch):
    (tmp_path / 'neighbour.py').write_text('WIDTH = 3\n')
    (tmp_path / 'my_nets.py').write_text(
        'import jaxdl\nfrom flax import linen as nn\nfrom neighbour import WIDTH\n\n\n'
        "@jaxdl.register.model('mine')\nclass Mine(nn.Module):\n    num_classes: int\n"
        '    units: int = WIDTH\n\n    @nn.compact\n    def __call__(self, images):\n'
        "        return nn.Dense(self.num_classes, name='head')(images.reshape(len(images), -1))\n"
        "\n\nEXPERIMENT = jaxdl.Ablation(factor='units', baseline='a', options={'a': {}},"
        " variant=jaxdl.Variant(model='mine'))\n"
    )
    monkeypatch.setattr('sys.path', [*sys.path])
    first = config.load_experiment(str(tmp_path / 'my_nets.py'))
    monkeypatch.syspath_prepend(str(tmp_path))
    imported = importlib.import_module('my_nets')
    assert imported.EXPERIMENT.variant.model == first.variant.model == 'mine'
    again = config.load_experiment(str(tmp_path / 'my_nets.py'))
    assert (again.name, again.variant.units) == (first.name, 3)
    sys.modules.pop('my_nets')
    sys.modules.pop('neighbour')


def test_a_field_of_another_network_is_named_with_its_network():
    register.model('mine')(own_network())
    study = dataclasses.replace(studies.small(), options={'max': {}, 'gate': dict(gate=True)})
    with pytest.raises(
        InputError, match="'gate' in option 'gate': is a field of the network 'mine'"
    ):
        check(study)
