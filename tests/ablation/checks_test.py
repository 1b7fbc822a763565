import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import studies
from PIL import Image

from jaxdl import augment
from jaxdl.ablation import checks
from jaxdl.ablation.checks import images, networks, ranges
from jaxdl.ablation.checks.gradients import gradient_errors
from jaxdl.ablation.checks.networks import Subject
from jaxdl.ablation.checks.rows import ALL, FAILS, LOOK, OK, Check, Row
from jaxdl.config.experiment import Ablation
from jaxdl.config.overrides import check
from jaxdl.data import Data, Dataset, load, read_listing, split
from jaxdl.ensemble import Member
from jaxdl.models import layers
from jaxdl.train.variant import Variant

MLP = Variant(model='mlp', width=16, depth=1, norm='none', optimizer='sgd')
OPTIONS = {
    'sound': {},
    'zeros': dict(init='zeros'),
    'loud': dict(init_scale=30.0),
    'far too fast': dict(learning_rate_scale=1e4),
    'standing still': dict(learning_rate_scale=1e-6),
    'turned': dict(rotation=15.0),
}


@pytest.fixture(scope='module')
def checked():
    """Checks of sound and broken options of one program, under two conditions with other splits."""
    study = Ablation(
        factor='fault',
        baseline='sound',
        options=OPTIONS,
        variant=MLP,
        learning_rates=(0.1,),
        name='faults',
        conditions={'whole': {}, 'a quarter': {'data.train_share': 0.25}},
    )
    return checks.checks(check(study))


def verdicts(checked, option):
    return {
        row.check: row.verdict
        for row in checked
        if (row.condition, row.option) == ('whole', option)
    }


def subject():
    data = studies.digits()
    order = np.random.default_rng(0).permutation(np.asarray(data.train[0]))
    return Subject(data, order, 10, 'auto')


def test_a_sound_option_passes_and_every_check_is_made(checked):
    sound = verdicts(checked, 'sound')
    assert set(sound.values()) == {OK}
    assert set(sound) == {
        'first loss',
        'no dead input',
        'no constant output',
        'gradients',
        'overfit 20 images',
        'update / weights',
        'rounding',
    }
    assert set(verdicts(checked, ALL)) == {
        'label order',
        'image order',
        'classes',
        'augmentation at 0',
    }
    assert set(verdicts(checked, ALL).values()) == {OK}


@pytest.mark.parametrize(
    ('option', 'fails'),
    [
        ('zeros', {'no dead input', 'no constant output', 'overfit 20 images', 'update / weights'}),
        ('loud', {'first loss', 'overfit 20 images'}),
        ('far too fast', {'overfit 20 images', 'update / weights'}),
        ('standing still', {'overfit 20 images', 'update / weights'}),
        ('turned', set()),
    ],
)
def test_a_planted_fault_fails_where_it_should(checked, option, fails):
    assert {
        name for name, verdict in verdicts(checked, option).items() if verdict == FAILS
    } == fails


def test_a_condition_with_the_same_networks_is_checked_for_its_data_only(checked):
    assert {row.option for row in checked if row.condition == 'a quarter'} == {ALL}


def test_the_table(checked):
    text = checks.table(checked)
    assert max(map(len, text.splitlines())) <= 120
    assert len(checks.failed(checked)) == sum(row.verdict == FAILS for row in checked) > 0
    assert f'{len(checked)} checks: ' in text.splitlines()[-1]
    assert all(
        line in text
        for line in ('whole:', 'a quarter:', 'FAILS  first loss (loud): the logits are too large')
    )


def test_the_table_merges_what_is_alike_and_cuts_long_names():
    alike = Row('gradients', 'differences', 'to 1e-05', OK, '')
    rows = [Check('', 'a', alike), Check('', 'b', alike)]
    assert [line.split()[:2] for line in checks.table(rows).splitlines()[2:3]] == [
        ['gradients', 'all']
    ]
    rows = [
        Check('', 'x' * 200, alike),
        Check('', 'b', alike._replace(measured='2', verdict=LOOK, hint='know why')),
    ]
    lines = checks.table(rows).splitlines()
    assert max(map(len, lines)) <= 120
    assert 'xxx...' in lines[2]
    assert 'look   gradients (b): know why' in lines
    rows.append(Check('', 'c', alike._replace(verdict=FAILS, hint='mend it')))
    assert checks.table(rows).splitlines()[-4:-2] == [
        'FAILS  gradients (c): mend it',
        'look   gradients (b): know why',
    ]


@pytest.mark.parametrize(
    ('loss', 'classes', 'value'),
    [
        ('softmax_cross_entropy', 10, math.log(10)),
        ('sigmoid_cross_entropy', 10, 10 * math.log(2)),
        ('softmax_squared_error', 4, 0.75),
        ('tanh_squared_error', 4, 4.0),
        ('double_softmax_cross_entropy', 3, math.log(3)),
    ],
)
def test_the_first_loss_is_that_of_equal_chances(loss, classes, value):
    variant = Variant(loss=loss)

    def verdict(measured):
        results = dict(loss=np.asarray(measured), spread=np.asarray(0.1))
        return ranges.check_first_loss(variant, classes, [results]).verdict

    assert ranges.check_first_loss(
        variant, classes, [dict(loss=value, spread=0.1)]
    ).expected.startswith(f'{value:.2f} ')
    assert verdict(1.001 * value) == OK
    assert verdict(0.5 * value) == verdict(3 * value) == verdict(np.nan) == FAILS


def test_the_first_loss_may_be_smoothed():
    smoothed = ranges.check_first_loss(
        Variant(label_smoothing=0.2), 10, [dict(loss=math.log(10), spread=0.1)]
    )
    assert smoothed.verdict == OK
    assert smoothed.expected.startswith('2.30')


@jax.custom_vjp
def crooked(x):
    return jnp.tanh(x)


crooked.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (0.98 * g * (1 - jnp.tanh(x) ** 2),))


def test_a_gradient_that_is_wrong_by_two_per_cent_fails_and_its_layer_is_named(monkeypatch):
    monkeypatch.setitem(layers.ACTIVATIONS, 'crooked', crooked)
    members = [
        Member(name, 0, dataclasses.replace(MLP, activation=name)) for name in ('tanh', 'crooked')
    ]
    right, wrong = gradient_errors(members, subject())
    assert ranges.check_gradients(right).verdict == OK
    row = ranges.check_gradients(wrong)
    assert row.verdict == FAILS
    assert 'layer_0/' in row.measured
    assert wrong['head/kernel'] < 1e-4
    assert wrong['layer_0/dense/kernel'] == pytest.approx(0.02, rel=0.01)


def test_one_wrong_gradient_element_is_detected(monkeypatch):
    def lacking(x):
        return jnp.tanh(x).at[..., 0].set(jax.lax.stop_gradient(jnp.tanh(x[..., 0])))

    monkeypatch.setitem(layers.ACTIVATIONS, 'lacking', lacking)
    errors = gradient_errors(
        [Member('', 0, dataclasses.replace(MLP, activation='lacking'))], subject()
    )[0]
    assert ranges.check_gradients(errors).verdict == FAILS


def test_the_gradient_of_the_convolutions_that_train_agrees_with_differences():
    variant = Variant(width=2, depth=1, pooling='max')
    errors = gradient_errors([Member('', 0, variant)], subject())[0]
    assert ranges.check_gradients(errors).verdict == OK
    assert {'stage_0/conv/kernel', 'stage_0/norm/scale', 'head/bias'} <= set(errors)


def test_a_gradient_that_is_not_a_number_fails():
    assert ranges.check_gradients(dict(a=0.0, b=math.nan)).verdict == FAILS


def test_equal_images_of_unequal_labels_are_not_learnt_and_give_one_output():
    case = subject()
    case = dataclasses.replace(
        case, data=case.data._replace(images=jnp.full_like(case.data.images, 7))
    )
    member = Member('', 0, dataclasses.replace(MLP, learning_rate=0.1))
    assert (
        ranges.check_overfitting({0.1: networks.measure_overfitting([member], case)[0]}, 20).verdict
        == FAILS
    )
    assert (
        ranges.check_outputs_differ(networks.measure_initial_outputs([member], case)[0]).verdict
        == FAILS
    )


def test_one_good_rate_is_enough_and_is_named():
    answers = {
        rate: dict(learnt=np.asarray(share), steps=np.asarray(9))
        for rate, share in ((0.1, 1.0), (9.0, 0.4))
    }
    row = ranges.check_overfitting(answers, 20)
    assert (row.verdict, row.measured) == (OK, '100 % at 0.1 after 9 steps')


def test_images_to_learn_are_of_all_classes_alike():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 2)
    first = labels[networks.balanced_order(labels)]
    assert sorted(first[:6].tolist()) == [0, 0, 1, 1, 2, 2]
    assert sorted(networks.balanced_order(labels)) == list(range(55))


@pytest.fixture
def folder(tmp_path):
    """Two classes of 12 images of noise, in files."""
    random = np.random.default_rng(0)
    for kind in ('oak', 'ash'):
        (tmp_path / 'trees' / kind).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'trees' / kind / f'{i:02}.png')
    return Data(dataset=f'folder:{tmp_path / "trees"}', image_size=8)


def test_names_and_images_survive_the_way_from_the_files(folder):
    dataset = load(folder)
    again = read_listing(folder)
    assert images.check_label_order(dataset, again).verdict == OK
    assert images.check_image_order(dataset, again, Data(image_size=8)).verdict == OK


@pytest.mark.parametrize(
    'fault',
    [
        lambda d: dataclasses.replace(d, class_names=d.class_names[::-1]),
        lambda d: dataclasses.replace(d, labels=np.roll(d.labels, 1)),
        lambda d: dataclasses.replace(d, class_names=('ash', 'ash')),
        lambda d: dataclasses.replace(d, ids=(*d.ids[:-1], 'oak/other.png')),
    ],
)
def test_labels_that_lost_their_names_fail(folder, fault):
    dataset: Dataset = fault(load(folder))
    assert images.check_label_order(dataset, read_listing(folder)).verdict == FAILS


def test_images_that_lost_their_labels_fail(folder):
    dataset = load(folder)
    rolled = dataclasses.replace(dataset, images=np.roll(dataset.images, 1, 0))
    assert (
        images.check_image_order(rolled, read_listing(folder), Data(image_size=8)).verdict == FAILS
    )


def test_a_missing_class_is_reported(folder):
    dataset = load(folder)
    splits = split(dataset, folder)
    assert images.check_classes(dataset, splits).verdict == OK
    without = {
        p: getattr(splits, p)[dataset.labels[getattr(splits, p)] == 0] for p in ('train', 'val')
    }
    assert (
        images.check_classes(dataset, dataclasses.replace(splits, val=without['val'])).verdict
        == LOOK
    )
    assert (
        images.check_classes(dataset, dataclasses.replace(splits, train=without['train'])).verdict
        == FAILS
    )


def some():
    data = studies.digits()
    return data.images[:16], jax.nn.one_hot(data.labels[:16], 10)


@pytest.mark.parametrize('name', ['flip', 'mixup', 'cutmix'])
def test_built_in_augmentations_pass_the_check(name):
    assert (
        images.check_augmentation(*some(), {name: augment.AUGMENTATIONS[name].displayed}).verdict
        != FAILS
    )


def plant(monkeypatch, change):
    row = augment.AUGMENTATIONS['flip']
    monkeypatch.setitem(augment.AUGMENTATIONS, 'flip', row._replace(apply=change))


def test_an_augmentation_that_acts_at_strength_0_fails_and_is_named(monkeypatch):
    assert images.check_identity(*some(), ['flip']).verdict == OK
    plant(
        monkeypatch, lambda sample, strength, draws: sample._replace(images=0.999 * sample.images)
    )
    row = images.check_identity(*some(), ['flip', 'mixup'])
    assert (row.verdict, row.measured) == (FAILS, 'changed by flip')


@pytest.mark.parametrize(
    'change',
    [
        lambda sample: sample._replace(images=2 * sample.images),
        lambda sample: sample._replace(images=sample.images / 0),
        lambda sample: sample._replace(images=0.1 * sample.images),
        lambda sample: sample._replace(images=sample.images[:, ::2]),
        lambda sample: sample._replace(images=1 - sample.images, targets=sample.targets[::-1]),
        lambda sample: sample,
    ],
    ids=['out of range', 'not finite', 'little left', 'shape', 'labels', 'nothing'],
)
def test_an_augmentation_that_leaves_too_little_fails(monkeypatch, change):
    plant(monkeypatch, lambda sample, strength, draws: change(sample))
    assert images.check_augmentation(*some(), dict(flip=1.0)).verdict == FAILS


def test_a_mixture_that_gives_the_label_away_fails(monkeypatch):
    row = augment.AUGMENTATIONS['mixup']
    swapped = lambda sample, strength, draws: sample._replace(
        images=sample.images[::-1], targets=sample.targets[::-1]
    )
    monkeypatch.setitem(augment.AUGMENTATIONS, 'mixup', row._replace(apply=swapped))
    assert images.check_augmentation(*some(), dict(mixup=1.0)).verdict == FAILS


def test_rounding_is_measured_by_full_trainings_of_one_seed():
    """A stable training ends within few images; a chaotic one does not."""
    small = dataclasses.replace(subject(), conv='auto')
    member = Member('sound', 0, dataclasses.replace(MLP, learning_rate=0.1))
    stable = networks.measure_rounding(member, small, epochs=3)
    assert len(stable) == networks.ROUNDING_RUNS
    assert np.ptp(stable) <= 0.01
    chaotic = dataclasses.replace(member.variant, learning_rate=2.5, norm='batch', depth=3)
    ends = networks.measure_rounding(dataclasses.replace(member, variant=chaotic), small, epochs=10)
    assert len(set(ends)) > 1


@pytest.mark.parametrize(
    ('accuracies', 'measured', 'verdict'),
    [
        ([0.9, 0.9], '0 points, 0 of 300 images', OK),
        ([0.9, 0.87], '3 points, 9 of 300 images', LOOK),
    ],
)
def test_the_row_of_rounding_counts_images(accuracies, measured, verdict):
    row = ranges.check_rounding(accuracies, 300)
    assert (row.measured, row.verdict) == (measured, verdict)
