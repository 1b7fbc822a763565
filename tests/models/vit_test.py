"""Vision transformers: timm's values, positions of other sizes, original files, Grad-CAM."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch')
import torch_references as references  # noqa: E402
from network_pairs import load, module_of, shapes_of, to_torch  # noqa: E402
from tensors import fill  # noqa: E402

from jaxdl.errors import InputError  # noqa: E402
from jaxdl.inference import export, gradcam  # noqa: E402
from jaxdl.inference.model_file import SavedModel  # noqa: E402
from jaxdl.models import ARCHITECTURES, load_pretrained, recognise  # noqa: E402
from jaxdl.models.architectures import Preprocessing  # noqa: E402
from jaxdl.models.families import make_network  # noqa: E402
from jaxdl.models.folded import fold  # noqa: E402
from jaxdl.models.port import to_tensors, to_variables  # noqa: E402
from jaxdl.models.vit_rows import ROWS, ViTRow  # noqa: E402
from jaxdl.models.weights import Weights  # noqa: E402
from jaxdl.train import masks  # noqa: E402
from jaxdl.workdir.records import ModelCard  # noqa: E402

TINY = ViTRow('tiny', 8, 16, 2, Preprocessing(size=32, crop=1.0), depth=5)
KINDS = {  # row -> arguments of timm's class
    'plain': (TINY, {}),
    'layer scale': (dataclasses.replace(TINY, layer_scale=True), dict(init_values=1e-5)),
    'registers': (
        dataclasses.replace(TINY, layer_scale=True, registers=2, embeds_class=False),
        dict(init_values=1e-5, reg_tokens=2, no_embed_class=True),
    ),
    'map': (dataclasses.replace(TINY, pooling='map'), dict(class_token=False, global_pool='map')),
}
DINO = ARCHITECTURES['vit_small_patch14_reg4_dinov2']
quick = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


@functools.cache
def pair(kind):
    """Row, timm's network of 3 classes, our module, and variables of the same values."""
    row, options = KINDS[kind]
    sizes = dict(embed_dim=row.width, depth=row.depth, num_heads=row.heads, num_classes=3)
    timm = references.timm()
    network = timm.models.vision_transformer.VisionTransformer(
        32, row.patch, dynamic_img_size=True, **sizes, **options
    ).eval()
    tensors = fill({k: tuple(v.shape) for k, v in network.state_dict().items()})
    return row, load(network, tensors), make_network(row, 3), to_variables(tensors, row)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def squares(side, count=2, channels=3):
    pixels = np.random.default_rng(side).normal(size=(count, side, side, channels))
    return pixels.astype(np.float32)


def close(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    assert np.abs(np.asarray(actual) - expected).max() < tolerance * np.ptp(expected)


@pytest.mark.parametrize('side', [32, 48, 16])
def test_logits_and_features_are_those_of_timm(kind, side):
    _, network, module, variables = pair(kind)
    images = squares(side)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
        features = network.forward_head(
            network.forward_features(to_torch(images)), pre_logits=True
        ).numpy()
    close(quick(module.apply)(variables, images), expected)
    actual = quick(functools.partial(module.apply, method='features'))(variables, images)
    close(actual, features)
    params = {name: value for name, value in variables['params'].items() if name != 'head'}
    headless = quick(module.clone(num_classes=0).apply)({'params': params}, images)
    np.testing.assert_array_equal(headless, actual)


def test_the_statistics_of_a_batch_are_not_used():
    _, _, module, variables = pair('plain')
    images = squares(32)
    expected = quick(module.apply)(variables, images)
    for norms in (True, ('stem', 'layer1')):
        apply = functools.partial(module.apply, train=True, norms=norms)
        np.testing.assert_array_equal(quick(apply)(variables, images), expected)


def test_gradients_are_those_of_timm(kind):
    row, network, module, variables = pair(kind)
    images = squares(32, 3).astype(np.float64)
    network.double().zero_grad()
    torch.nn.functional.cross_entropy(network(to_torch(images)), torch.arange(3)).backward()
    wanted = {name: value.grad.numpy() for name, value in network.named_parameters()}
    network.float()
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables['params'])

        def loss(params):
            logits = module.apply({'params': params}, images, True)
            return -jax.nn.log_softmax(logits)[jnp.arange(3), jnp.arange(3)].mean()

        actual = to_tensors({'params': quick(jax.grad(loss))(params)}, row)
    assert actual.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(actual[name], value, atol=1e-9 * np.abs(value).max() + 1e-14)


def test_gradients_reach_the_interpolated_positions():
    _, network, module, variables = pair('plain')
    images = squares(48)
    network.zero_grad()
    network(to_torch(images))[:, 0].sum().backward()
    expected = network.pos_embed.grad.numpy()
    loss = lambda params: module.apply({'params': params}, images)[:, 0].sum()
    actual = quick(jax.grad(loss))(variables['params'])['embed']['position']
    close(actual, expected)


def empty_tensors(row):
    """Tensors of a row without memory."""
    shapes = shapes_of(row.name, 0)
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.name)
def test_rows_are_recognised(row):
    prefixed = {f'model.module.{name}': value for name, value in empty_tensors(row).items()}
    network = recognise.find_network(Weights(prefixed))
    alike = [network.architecture]
    if 'the tensors fit' in network.notes[-1]:  # the preprocessing alone differs
        alike += network.notes[-1].split('--set=architecture=')[1].split()[:1]
    assert row.name in alike
    assert network.tensors.keys() == {name.removeprefix('model.module.') for name in prefixed}


def dinov2_file(registers):
    """Tensors as in a file of DINOv2: a position of the class token, a token for masks."""
    row = dataclasses.replace(DINO, registers=4 * registers, embeds_class=not registers)
    name = DINO.name if registers else 'vit_small_patch14_dinov2'
    tensors = fill(
        {k: v for k, v in shapes_of(name, 0).items() if 'blocks.' not in k or '.0.' in k}
    )
    blocks = {k: v for k, v in tensors.items() if k.startswith('blocks.')}
    for number in range(1, row.depth):
        tensors |= {k.replace('.0.', f'.{number}.'): v for k, v in blocks.items()}
    original = dict(tensors, mask_token=np.ones((1, row.width), np.float32))
    if registers:
        original['register_tokens'] = original.pop('reg_token')
        first = np.full((1, 1, row.width), 0.5, np.float32)
        original['cls_token'] = tensors['cls_token'] - first
        original['pos_embed'] = np.concatenate([first, tensors['pos_embed']], 1)
    return name, tensors, original


@pytest.mark.parametrize('registers', [False, True])
def test_original_files_of_dinov2(registers):
    name, tensors, original = dinov2_file(registers)
    network = recognise.find_network(Weights(original))
    assert network.architecture == name
    assert network.tensors.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_allclose(network.tensors[key], value, atol=1e-6)


@pytest.mark.parametrize(('name', 'side'), [('vit_tiny_patch16_224', 16), (DINO.name, 16)])
def test_positions_of_another_size_are_interpolated_as_in_timm(name, side):
    row, timm = ARCHITECTURES[name], references.timm()
    before = row.positions - row.grid**2
    positions = fill({'pos': (1, before + side**2, row.width)})['pos']
    network = recognise.find_network(Weights(empty_tensors(row) | {'pos_embed': positions}))
    assert network.architecture == name
    shapes = list(positions.shape), [1, row.positions, row.width]
    assert network.notes[-1] == 'pos_embed {} is read as {}'.format(*shapes)
    expected = timm.layers.resample_abs_pos_embed(
        torch.tensor(positions), [row.grid, row.grid], num_prefix_tokens=before
    )
    close(network.tensors['pos_embed'], expected.numpy(), 1e-6)
    module = module_of(name, 0)
    assert jax.eval_shape(lambda: module.init(jax.random.key(0), squares(2 * row.patch)))


def test_sizes_that_the_patch_does_not_divide():
    row = ARCHITECTURES['vit_small_patch14_dinov2']
    images = jax.ShapeDtypeStruct((1, 225, 225, 3), np.float32)
    words = r'image size 225: .* multiple of the patch size 14: use 224 or 238'
    with pytest.raises(InputError, match=words):
        jax.eval_shape(make_network(row, 0).init, jax.random.key(0), images)
    with pytest.raises(InputError, match='multiple of the patch size 8: use 8'):
        make_network(TINY, 0).init(jax.random.key(0), squares(7))


@pytest.mark.parametrize('name', [row.name for row in ROWS if row.name.endswith('_224')])
def test_a_quarter_of_the_blocks_is_a_stage(name):
    row = ARCHITECTURES[name]
    assert row.stages == (3, 3, 3, 3)
    assert row.stage_names == ('stem', 'layer1', 'layer2', 'layer3', 'layer4', 'norm')


@pytest.mark.parametrize('depth', [1, 2, 5, 12, 13])
def test_stages_hold_every_block_once(depth):
    row = dataclasses.replace(TINY, depth=depth)
    assert sum(row.stages) == depth
    assert min(row.stages) >= 1
    assert max(row.stages) - min(row.stages) <= 1


def test_groups_of_parameters():
    params = pair('map')[3]['params']
    depths = masks.parts(params)
    assert depths['conv1'] == depths['embed'] == 0
    blocks = [name for name in depths if name.startswith('layer')]
    assert [depths[name] for name in blocks] == [1, 2, 3, 4, 5]
    assert depths['norm'] == depths['global_pool'] == 5
    assert depths['head'] == 6
    frozen = masks.mask_frozen(params, ('stem', 'layer1'))
    assert {name for name, values in frozen.items() if all(jax.tree.leaves(values))} == {
        'conv1',
        'embed',
        'layer1_0',
    }
    awake = masks.mask_unfrozen(params, 1.0, 1.0)
    assert {name for name, values in awake.items() if all(jax.tree.leaves(values))} == {
        *('layer4_0', 'layer4_1', 'norm', 'global_pool', 'head')
    }
    last = masks.mask_last_phase(params)
    learning = {name for name, values in last.items() if all(jax.tree.leaves(values))}
    assert learning == {'norm', 'head'}


def test_gradcam_is_that_of_the_patches_before_the_last_block(kind):
    row, network, module, variables = pair(kind)
    images, tokens = np.abs(squares(32, 3)) % 1, []
    network.blocks[-1].register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
    mean, std = (
        np.float32(v)[None, None, None] for v in (TINY.preprocessing.mean, TINY.preprocessing.std)
    )
    logits = network(to_torch((images - mean) / std))
    network.blocks[-1]._forward_pre_hooks.clear()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), tokens)
    before = len(tokens[0][0]) - row.grid**2
    patches, slopes = (value[:, before:].detach().numpy() for value in (tokens[0], gradient))
    maps = np.maximum((patches * slopes.mean(1, keepdims=True)).sum(-1), 0)
    side = math.isqrt(maps.shape[1])
    maps = maps.reshape(-1, side, side)
    folded = fold(module, variables)
    actual = gradcam._map(folded, jnp.asarray(images), jnp.asarray([1, 1, 1]), size=32)
    close(actual, maps, 1e-4)
    drawn = gradcam.gradcam([folded], 32, images, [1, 1, 1])
    assert drawn.shape == (3, 32, 32)
    assert np.all((drawn >= 0) & (drawn <= 1))


def test_scalable_rows_are_those_whose_last_norm_scales_the_features(kind):
    row, _, module, variables = pair(kind)
    images, params = squares(32), variables['params']
    features = quick(functools.partial(module.apply, method='features'))
    larger = dict(params, norm=jax.tree.map(lambda leaf: 4 * leaf, params['norm']))
    expected = 4 * features(variables, images)
    scales = np.allclose(features({'params': larger}, images), expected, rtol=1e-5)
    assert scales == row.scalable


def test_half_precision_and_computing_blocks_again():
    _, _, module, variables = pair('registers')
    images = jnp.asarray(squares(32))
    exact = quick(module.apply)(variables, images)
    halves = images.astype(jnp.bfloat16)
    tokens = jax.eval_shape(lambda: module.apply(variables, halves, method='feature_map'))
    assert {leaf.dtype for leaf in tokens} == {np.dtype(jnp.bfloat16)}
    logits = quick(module.apply)(variables, halves)
    assert logits.dtype == np.float32
    assert 0 < np.abs(logits - exact).max() < 0.1 * np.ptp(exact)
    loss = lambda module, params: module.apply({'params': params}, images)[:, 0].sum()
    gradients = [
        quick(jax.grad(functools.partial(loss, network)))(variables['params'])
        for network in (module, module.clone(remat=True))
    ]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), *gradients)


def test_timm_loads_an_export_at_its_size(tmp_path):
    name, size = 'vit_tiny_patch16_224', 48
    tensors = fill(shapes_of(name, 3))
    row = ARCHITECTURES[name]
    variables, module = to_variables(tensors, row), module_of(name, 3)
    card = ModelCard(name, 3, ('a', 'b', 'c'), row.preprocessing, size, 'none', 1.0, ())
    export.export(SavedModel(module, (variables,), card), tmp_path, size)
    config = json.loads((tmp_path / 'config.json').read_text())
    assert config['global_pool'] == 'token'
    network = references.timm().create_model(f'local-dir:{tmp_path}', pretrained=True).eval()
    images = squares(size)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    close(quick(module.apply)(variables, images), expected)
    again, loaded = load_pretrained(str(tmp_path))
    assert again.architecture == row
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    program = jax.export.deserialize(bytearray((tmp_path / 'model.stablehlo').read_bytes()))
    mean, std = (
        np.float32(v)[None, None, None] for v in (row.preprocessing.mean, row.preprocessing.std)
    )
    close(np.asarray(program.call(images * std + mean)), expected)
