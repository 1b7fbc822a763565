"""Files of weights: every format, unsafe and damaged files, recognition of architectures."""

import collections
import io
import json
import pathlib
import pickle
import re
import struct
import zipfile

import jax
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import recognise, torch_pickle, weights
from jaxdl.models.architectures import ARCHITECTURES
from jaxdl.models.families import make_network
from jaxdl.models.port import to_tensors
from jaxdl.models.weights import Weights

SHARED = pathlib.Path(__file__).parents[3] / 'shared' / 'weights'
RNG = np.random.default_rng(0)
TENSORS = {
    'a.weight': RNG.normal(size=(3, 2, 5)).astype(np.float32),
    'a.bias': RNG.normal(size=3).astype(np.float32),
    'steps': np.asarray(7, np.int64),
    'empty': np.zeros((0, 4), np.float32),
}


def same(loaded, tensors=TENSORS):
    assert list(loaded) == list(tensors)
    for name, value in tensors.items():
        assert loaded[name].dtype == (np.float32 if value.dtype.kind == 'f' else value.dtype)
        np.testing.assert_array_equal(loaded[name], value)


def save_safetensors(path, tensors):
    safetensors = pytest.importorskip('safetensors.numpy')
    safetensors.save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, path
    )


def save_npz(path, tensors):
    np.savez(path, **tensors)


def save_torch(path, tensors, legacy=False):
    torch = pytest.importorskip('torch')
    content = collections.OrderedDict(
        (name, torch.tensor(value)) for name, value in tensors.items()
    )
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


FORMS = {
    'x.safetensors': save_safetensors,
    'x.npz': save_npz,
    'x.pth': save_torch,
    'x.th': lambda path, tensors: save_torch(path, tensors, legacy=True),
}


@pytest.mark.parametrize('name', FORMS)
def test_every_form_gives_the_tensors_back(name, tmp_path):
    FORMS[name](tmp_path / name, TENSORS)
    same({key: weights.read(str(tmp_path / name)).tensors[key] for key in TENSORS})


@pytest.mark.parametrize('name', FORMS)
@pytest.mark.parametrize('share', [0.0, 0.3, 0.6, 0.97])
def test_a_truncated_file_is_reported(name, share, tmp_path):
    FORMS[name](tmp_path / name, TENSORS)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r'damaged or cut short|no tensor|no checkpoint'):
        weights.read(str(tmp_path / name))


@pytest.mark.parametrize('legacy', [False, True])
def test_views_half_numbers_and_what_training_puts_around_them(legacy, tmp_path):
    torch = pytest.importorskip('torch')
    whole = torch.arange(24.0).reshape(4, 6)
    state = {
        'module.view': whole[1:3, ::2],
        'module.turned': whole.T,
        'module.half': whole.to(torch.float16),
        'module.brain': whole.to(torch.bfloat16),
        'module.parameter': torch.nn.Parameter(whole),
        'module.scalar': torch.tensor(2.5),
    }
    content = dict(epoch=3, best=0.5, state_dict=state, optimizer=dict(lr=[0.1, None, (1, 2)]))
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=not legacy)
    loaded = weights.read(str(tmp_path / 'x.pth')).tensors
    same(
        loaded,
        {f'state_dict.{name}': value.detach().float().numpy() for name, value in state.items()},
    )


class Harm:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path('harm'),))


def harmful(form):
    """A checkpoint that makes a file called `harm` when it is unpickled."""
    if form == 'zip':
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, 'w') as archive:
            archive.writestr('x/data.pkl', pickle.dumps(dict(a=Harm())))
        return stream.getvalue()
    head = b''.join(pickle.dumps(part, 2) for part in (torch_pickle.MAGIC, 1001, {}))
    return pickle.dumps(Harm()) if form == 'first' else head + pickle.dumps(Harm(), 2)


@pytest.mark.parametrize('form', ['zip', 'first', 'legacy'])
def test_a_pickle_that_would_run_code_is_refused_and_runs_none(form, tmp_path):
    path = tmp_path / 'x.pth'
    path.write_bytes(harmful(form))
    with pytest.raises(InputError, match='refused, since reading it would call'):
        weights.read(str(path))
    assert not pathlib.Path('harm').exists()


@pytest.mark.parametrize(
    'called', [('builtins', 'eval'), ('os', 'system'), ('torch', 'load'), ('jaxdl', 'run')]
)
def test_the_unpickler_refuses_classes_other_than_tensors(called, tmp_path):
    with pytest.raises(InputError, match=r'\.'.join(called)):
        torch_pickle._Unpickler(io.BytesIO(), tmp_path).find_class(*called)


def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path):
    pytest.importorskip('torch')
    save_torch(tmp_path / 'x.th', dict(a=TENSORS['a.bias']), legacy=True)
    content = (tmp_path / 'x.th').read_bytes()
    at = content.rindex(struct.pack('<q', 3))
    (tmp_path / 'x.th').write_bytes(content[:at] + struct.pack('<q', 2) + content[at + 8 : -4])
    with pytest.raises(InputError, match='reaches beyond its numbers'):
        weights.read(str(tmp_path / 'x.th'))


def test_a_folder_as_the_hub_has_it(tmp_path):
    save_safetensors(tmp_path / 'model.safetensors', TENSORS)
    (tmp_path / 'config.json').write_text(json.dumps(dict(architecture='resnet34')))
    loaded = weights.read(str(tmp_path))
    assert (loaded.config, recognise.architecture_of(loaded)) == (
        dict(architecture='resnet34'),
        'resnet34',
    )
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(InputError, match=r'config\.json: damaged'):
        weights.read(str(tmp_path))


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('none.pth', 'no such file: give the path'),
        ('./some/where', 'no such file: give the path'),
        ('empty', 'holds neither model.safetensors nor pytorch_model.bin'),
        ('text.txt', r'\.txt is not a known file format'),
    ],
)
def test_unreadable_sources_are_reported_in_one_line(source, words, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.txt').write_text('text')
    with pytest.raises(InputError, match=words) as error:
        weights.read(source)
    assert '\n' not in str(error.value)


def test_a_hub_name_without_network_access_is_reported_in_one_line(monkeypatch):
    hub = pytest.importorskip('huggingface_hub')

    def unreachable(*_, **__):
        raise hub.errors.LocalEntryNotFoundError('offline')

    monkeypatch.setattr(hub, 'hf_hub_download', unreachable)
    with pytest.raises(
        InputError, match=r'not in the cache of the hub, and the hub cannot be reached'
    ):
        weights.read('timm/resnet50.a1_in1k')


TORCH = [name for name, row in ARCHITECTURES.items() if row.names != 'gluon']
# Row -> the row with the same tensors that comes first.
ALIKE = {
    name: f'tf_{name}' for name in TORCH if re.match(r'efficientnet_(lite|b)|mobilenetv3', name)
} | {name: name.replace('deit', 'vit') for name in TORCH if name.startswith('deit_')}


def shapes(name):
    """Zeros without memory by the names and shapes of an architecture."""
    row = ARCHITECTURES[name]
    side = max(32, 3 * row.multiple)
    module, images = make_network(row, 10), np.zeros((1, side, side, 3), np.float32)
    leaves = jax.eval_shape(module.init, jax.random.key(0), images)
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.int8(0), leaf.shape), leaves)
    return to_tensors(zeros, row)


@pytest.mark.parametrize('name', TORCH)
def test_an_architecture_is_known_by_its_tensors(name):
    tensors = shapes(name)
    network = recognise.find_network(Weights(tensors))
    first = ALIKE.get(name, name)
    others = [other for other in ALIKE if ALIKE[other] == first]
    assert network.architecture == first
    if not others:
        assert network.notes == ()
    else:
        assert network.notes == (
            f'the tensors fit {first}, {others[0]}; read as {first}: '
            f'--set=architecture={others[0]} chooses another',
        )
        for settings in (dict(architecture=name), dict(weights=dict(architecture=name))):
            read = Weights(tensors, settings.pop('weights', {}))
            network = recognise.find_network(read, **settings)
            assert (network.architecture, network.notes) == (name, ())


def test_an_architecture_that_config_json_names_is_guessed_with_a_line():
    guessed = recognise.find_network(Weights(shapes('resnet50'), dict(architecture='resnetblur50')))
    assert guessed.architecture == 'resnet50'
    assert guessed.notes == (
        'config.json calls it resnetblur50, which jaxdl lacks; read as resnet50: check the results',
    )


def test_an_unknown_architecture_names_the_nearest():
    tensors = shapes('resnet50')
    with pytest.raises(InputError, match=r'resnet50 comes nearest'):
        recognise.architecture_of(
            Weights({k: v for k, v in tensors.items() if not k.startswith('layer3.5')})
        )


@pytest.mark.skipif(not SHARED.exists(), reason='no shared weights')
@pytest.mark.parametrize(
    ('file', 'name', 'count'),
    [
        ('resnet20-12fca82f.th', 'resnet20', 97),
        ('resnet32-d509ac18.th', 'resnet32', 157),
        ('resnet50v2_gluon_stem_to_stage3.npz', 'resnet50_v2_stage3', 249),
    ],
)
def test_real_weights_are_read_and_recognised(file, name, count):
    loaded = weights.read(str(SHARED / file))
    assert (recognise.architecture_of(loaded), len(loaded.tensors)) == (name, count)
    assert all(np.isfinite(value).all() for value in loaded.tensors.values())
