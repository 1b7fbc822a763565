"""Bad files of weights: one line with file, place and remedy; no code of the file runs."""

import pathlib
import pickle
import re
import zipfile

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdl.errors import InputError
from jaxdl.models import ARCHITECTURES, load_pretrained
from jaxdl.models.families import make_network
from jaxdl.models.port import to_tensors
from jaxdl.workdir import zip_safety


def tensors_of(name, classes=10):
    """Zeros by the names of an architecture."""
    row = ARCHITECTURES[name]
    module = make_network(row, classes)
    shapes = jax.eval_shape(
        module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    )
    return to_tensors(jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes), row)


@pytest.fixture(scope='module')
def deep():
    return tensors_of('resnet32')


def refused(source, *arguments, **settings):
    """The line that `load_pretrained` refuses with."""
    with pytest.raises(InputError) as raised:
        load_pretrained(str(source), *arguments, **settings)
    line = str(raised.value)
    assert '\n' not in line
    assert line.startswith(f'weights {source}: ')
    return line


def test_missing():
    assert 'no such file: give the path of a .safetensors' in refused('weights/resnet50.pth')
    assert 'no such file' in refused('/nowhere/model.safetensors')


@pytest.mark.parametrize('share', [0.02, 0.5, 0.99])
def test_cut_short(tmp_path, deep, share):
    path = tmp_path / 'x.safetensors'
    save_file(deep, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert re.search(r'damaged or cut short \(.+\): fetch it again', refused(path))


def test_a_pointer_in_place_of_the_file(tmp_path):
    path = tmp_path / 'model.safetensors'
    path.write_text('version git-lfs/spec/v1\noid sha256:0\nsize 102469840\n')
    assert 'a pointer of Git LFS, not the file itself' in refused(path)


def test_of_another_architecture(tmp_path, deep):
    save_file(deep, tmp_path / 'x.safetensors')
    line = refused(tmp_path / 'x.safetensors', 'resnet20')
    assert 'do not fit resnet20: 60 unread: layer1.3' in line
    assert line.endswith('and 50 more; they look like resnet32: architecture=resnet32')
    line = refused(tmp_path / 'x.safetensors', 'resnet44')
    assert '60 unfilled: layer1.5' in line
    assert line.endswith('they look like resnet32: architecture=resnet32')
    line = refused(tmp_path / 'x.safetensors', 'resnet18')
    assert re.search(
        r'\d+ unfilled: .*; \d+ unread: .*; \d+ of another shape: bn1.running_mean \(16,\)', line
    )
    assert 'they look like resnet32' in line


def test_of_an_architecture_that_is_not_here(tmp_path, deep):
    more = deep | {'layer1.5.conv1.weight': np.zeros((16, 16, 3, 3), np.float32)}
    save_file(more, tmp_path / 'model.safetensors')
    (tmp_path / 'config.json').write_text('{"architecture": "seresnet33"}')
    line = refused(tmp_path)
    assert re.search(
        r'no architecture of jaxdl has these \d+ tensors, which config.json calls seresnet33 \(',
        line,
    )
    assert 'resnet32 comes nearest' in line
    assert '--set=architecture=NAME forces one of resnet18, resnet26' in line


def test_unknown_names_are_refused(tmp_path):
    np.savez(
        tmp_path / 'x.npz', **{f'encoder.{i:02}.w': np.zeros(2, np.float32) for i in range(25)}
    )
    line = refused(tmp_path / 'x.npz')
    assert 'these 25 tensors (encoder.00.w, ' in line
    assert 'encoder.09.w and 15 more); ' in line
    assert 'encoder.10.w' not in line
    assert re.search(r'resnet\w+ comes nearest', line)


def test_a_name_that_is_one_too_many_and_one_that_is_missing(tmp_path, deep):
    changed = {('head.weight' if k == 'linear.weight' else k): v for k, v in deep.items()}
    save_file(changed, tmp_path / 'x.safetensors')
    line = refused(tmp_path / 'x.safetensors')
    assert line.endswith('do not fit resnet32: 1 unfilled: linear.weight; 1 unread: head.weight')


def test_another_number_of_classes(tmp_path, deep):
    save_file(deep, tmp_path / 'x.safetensors')
    line = refused(tmp_path / 'x.safetensors', num_classes=81)
    assert line.endswith("allow_missing=('head',) makes a new head of 81 classes")


class Harm:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path('harm'),))


@pytest.mark.parametrize('zipped', [True, False])
def test_a_pickle_that_would_run_code(tmp_path, zipped):
    path, content = tmp_path / 'x.pth', pickle.dumps(dict(state_dict=Harm()))
    if zipped:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('x/data.pkl', content)
    else:
        path.write_bytes(content)
    line = refused(path)
    assert re.search(
        r'refused, since reading it would call .*: '
        r'save the plain state_dict, or better a \.safeten',
        line,
    )
    assert not pathlib.Path('harm').exists()


def test_a_tensor_of_more_numbers_than_are_stored(tmp_path):
    torch = pytest.importorskip('torch')
    torch.save(
        dict(state_dict={'fc.weight': torch.zeros(1).expand(10**11)}), tmp_path / 'x.pth'
    )  # 400 GB in 1 kB
    assert 'a tensor of more numbers than are there' in refused(tmp_path / 'x.pth')


def test_a_dictionary_in_very_many_places_is_read_once(tmp_path):
    content = {}
    for _ in range(60):
        content = dict(a=content, b=content)
    with zipfile.ZipFile(tmp_path / 'x.pth', 'w') as archive:
        archive.writestr('x/data.pkl', pickle.dumps(content))
    assert 'no tensor in it' in refused(tmp_path / 'x.pth')


@pytest.mark.parametrize('name', ['x.npz', 'x.pth'])
def test_an_archive_that_would_fill_the_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(zip_safety, 'LARGE', 2**20)
    with zipfile.ZipFile(tmp_path / name, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('x/data.pkl', bytes(2**22))
    assert re.search(
        r'would unpack from [\d,]+ to 4,194,304 bytes: save it without', refused(tmp_path / name)
    )


def test_a_file_among_the_arrays_of_an_archive_is_none_of_them(tmp_path, deep):
    np.savez(tmp_path / 'x.npz', **deep)
    with zipfile.ZipFile(tmp_path / 'x.npz', 'a') as archive:
        archive.writestr('README', 'of zeros')
    assert load_pretrained(str(tmp_path / 'x.npz'))[0].architecture.name == 'resnet32'


@pytest.mark.parametrize('name', ['resnet51', 'Resnet50'])
def test_an_unknown_architecture_is_named_before_anything_is_read(name):
    with pytest.raises(InputError, match=f"unknown architecture '{name}': did you mean resnet5"):
        load_pretrained('nothing.pth', name)
