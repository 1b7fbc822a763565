"""Parameter masks: complete for every residual network, and true to their names."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import ARCHITECTURES
from jaxdl.models.families import make_network
from jaxdl.train import masks, optim

BLOCKS = dict(resnet18=8, resnet50d=16, resnet20=9, resnet50_v2_stage3=13)
LAST_NORM = dict(
    resnet18=('layer4_1', 'bn2'),
    resnet50d=('layer4_2', 'bn3'),
    resnet20=('layer3_2', 'bn2'),
    resnet50_v2_stage3=('norm',),
)


@functools.cache
def _shapes(name):
    module = make_network(ARCHITECTURES[name], 5)
    image = jnp.zeros((1, 32, 32, 3))
    return jax.eval_shape(module.init, jax.random.key(0), image)['params']


def _leaves(tree):
    """(keys of the path, value) of every leaf."""
    return [
        (tuple(k.key for k in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


@pytest.fixture(params=BLOCKS)
def name(request):
    return request.param


@pytest.fixture
def params(name):
    return _shapes(name)


def test_every_leaf_has_exactly_one_value(params):
    for tree in (
        masks.rate_scales(params, 0.7),
        masks.mask_frozen(params, ['stem', 'layer2']),
        masks.mask_last_phase(params),
        masks.mask_unfrozen(params, 3.0, 1.0),
        optim.decay_mask(params),
    ):
        assert jax.tree.structure(tree) == jax.tree.structure(params)
        assert all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(tree))


def test_depths_rise_from_the_stem_to_the_head(name, params):
    depths = masks.parts(params)
    assert set(depths) == set(params)
    assert list(depths.values()) == sorted(depths.values())
    assert depths['head'] == BLOCKS[name] + 1
    blocks = [key for key in depths if key.startswith('layer')]
    assert [depths[key] for key in blocks] == list(range(1, BLOCKS[name] + 1))
    assert all(depths[key] == 0 for key in depths if masks.stage_of(key) == 'stem')
    assert depths.get('norm', BLOCKS[name]) == BLOCKS[name]


def test_blocks_from_the_tenth_on_come_after_the_ninth():
    keys = ['conv1', 'bn1', *(f'layer1_{i}' for i in (10, 2, 1, 0, 9))]
    assert list(masks.parts(dict.fromkeys(keys)))[2:] == [f'layer1_{i}' for i in (0, 1, 2, 9, 10)]


def test_rates_shrink_by_one_factor_a_block(name, params):
    scales = masks.rate_scales(params, 0.5)
    assert {leaf for path, leaf in _leaves(scales) if path[0] == 'head'} == {1.0}
    last = max(key for key in params if key.startswith('layer'))
    assert {leaf for path, leaf in _leaves(scales) if path[0] in (last, 'norm')} == {0.5}
    assert {leaf for path, leaf in _leaves(scales) if path[0] == 'bn1'} == {
        0.5 ** (BLOCKS[name] + 1)
    }
    assert set(jax.tree.leaves(masks.rate_scales(params, 1.0))) == {1.0}
    headless = {key: value for key, value in params.items() if key != 'head'}
    assert masks.rate_scales(headless, 0.5) == {
        key: value for key, value in scales.items() if key != 'head'
    }


def test_frozen_are_those_that_are_named(params):
    for names, expected in (
        (['stem'], lambda key: key.startswith(('conv', 'bn'))),
        (['layer1', 'layer2_0'], lambda key: key.startswith('layer1_') or key == 'layer2_0'),
        ([], lambda key: False),
        (['head'], lambda key: key == 'head'),
    ):
        masked = _leaves(masks.mask_frozen(params, names))
        assert [leaf for _, leaf in masked] == [expected(path[0]) for path, _ in masked]


def test_head_and_last_norm_alone(name, params):
    learning = {
        path for path, leaf in _leaves(masks.mask_last_phase(params, ['head', 'norm'])) if leaf
    }
    norm = LAST_NORM[name]
    assert learning == {(*norm, 'scale'), (*norm, 'bias'), ('head', 'kernel'), ('head', 'bias')}


def test_stages_unfreeze_from_the_head_down(params):
    stages = [
        'head',
        *sorted({masks.stage_of(k) for k in params if k.startswith('layer')}, reverse=True),
        'stem',
    ]
    masked = jax.jit(lambda now: masks.mask_unfrozen(params, now, 1.5))
    for turn in range(len(stages) + 1):
        for now, awake in (
            (1.5 * turn, stages[: turn + 1]),
            (1.5 * turn + 1.4, stages[: turn + 1]),
        ):
            learning = {masks.stage_of(path[0]) for path, leaf in _leaves(masked(now)) if leaf == 1}
            asleep = {masks.stage_of(path[0]) for path, leaf in _leaves(masked(now)) if leaf == 0}
            assert learning - {'norm'} == set(awake)
            assert not learning & asleep
            assert ('norm' in learning) == ('norm' in params and turn > 0)


def test_without_unfreezing_all_learn_from_the_start(params):
    assert all(leaf == 1 for leaf in jax.tree.leaves(masks.mask_unfrozen(params, 0.0, 0.0)))


def test_norms_and_biases_are_not_decayed(params):
    for path, decayed in _leaves(optim.decay_mask(params)):
        shape = functools.reduce(lambda tree, key: tree[key], path, params).shape
        assert decayed == (len(shape) > 1)


@pytest.mark.parametrize(
    ('names', 'words'), [(['layer5'], 'layer4'), (['haed'], 'head'), (['layer1_7'], 'layer1_1')]
)
def test_an_unknown_part_is_refused_with_the_nearest_names(names, words):
    for function in (masks.mask_frozen, masks.mask_last_phase):
        with pytest.raises(InputError, match=rf'unknown part of the network.*{words}'):
            function(_shapes('resnet18'), names)


def test_other_networks_are_refused():
    with pytest.raises(InputError, match='dense_0'):
        masks.parts(dict(dense_0=0))


def test_early_are_all_stages_before_the_last_one(params):
    stages = [f'layer{i}' for i in range(1, 5)]
    present = [stage for stage in stages if any(part.startswith(stage) for part in params)]
    before = masks.mask_frozen(params, ['stem', *present[:-1]])
    assert masks.mask_frozen(params, ['early']) == before
    assert not all(jax.tree.leaves(before))
