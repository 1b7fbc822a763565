"""Weights of the Hugging Face hub, from a cache in the layout of its client; no network."""

import json

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from jaxdl.errors import InputError
from jaxdl.models import load_pretrained, weights

OLD, NEW = '0' * 39 + '1', 'a' * 40
NAME = 'someone/resnet'


def tensors(value):
    """First tensor of a ResNet-20; no test here reads another."""
    return {'conv1.weight': np.full((16, 3, 3, 3), value, np.float32)}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Two commits of a repository: `main` is the second, the tag v1 the first."""
    folder = tmp_path / 'hub' / 'models--someone--resnet'
    for commit, value in ((OLD, 1), (NEW, 2)):
        snapshot = folder / 'snapshots' / commit
        snapshot.mkdir(parents=True)
        save_file(tensors(value), snapshot / 'model.safetensors')
        (snapshot / 'config.json').write_text(
            json.dumps(dict(architecture='resnet20', value=value))
        )
    (folder / 'refs').mkdir()
    (folder / 'refs' / 'main').write_text(NEW)
    (folder / 'refs' / 'v1').write_text(OLD)
    # HF_HOME and HF_HUB_OFFLINE, which the client reads when it is imported.
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    return folder


@pytest.mark.parametrize(
    ('revision', 'commit', 'value'),
    [(None, NEW, 2), ('', NEW, 2), ('main', NEW, 2), ('v1', OLD, 1), (OLD, OLD, 1), (NEW, NEW, 2)],
)
@pytest.mark.parametrize('source', [NAME, f'hf-hub:{NAME}'])
def test_the_commit_that_a_revision_stands_for(cache, source, revision, commit, value):
    result = weights.read(source, revision)
    assert (result.source, result.revision, result.config['value']) == (NAME, commit, value)
    np.testing.assert_array_equal(result.tensors['conv1.weight'], tensors(value)['conv1.weight'])
    assert weights.commit(source, revision) == commit


def test_a_commit_once_known_stays_though_the_branch_moves_on(cache):
    commit = weights.commit(NAME)
    (cache / 'refs' / 'main').write_text(OLD)
    assert weights.read(NAME).revision == OLD
    assert weights.read(NAME, commit).config['value'] == 2


def test_files_and_folders_have_no_commit(cache, tmp_path):
    save_file(tensors(3), tmp_path / 'model.safetensors')
    for source in (tmp_path, tmp_path / 'model.safetensors'):
        assert weights.read(str(source)).revision == weights.commit(str(source)) == ''
        with pytest.raises(InputError, match=r"no revisions: leave out revision='v1'"):
            weights.read(str(source), 'v1')


def test_a_name_here_comes_before_one_on_the_hub(cache, tmp_path):
    (tmp_path / NAME).mkdir(parents=True)
    save_file(tensors(3), tmp_path / NAME / 'model.safetensors')
    assert weights.read(NAME).revision == ''


@pytest.mark.parametrize(
    ('source', 'revision', 'words'),
    [
        (
            'someone/else',
            None,
            'weights someone/else: no such file here, model.safetensors or .* not in the cache',
        ),
        (NAME, 'v2', 'weights someone/resnet at revision v2: no such file here'),
        (NAME, 'b' * 40, 'at revision bbbb.*the hub cannot be reached'),
        ('a b/c', None, 'weights a b/c: cannot download'),
    ],
)
def test_missing_weights_are_reported_in_one_line(cache, source, revision, words):
    with pytest.raises(InputError, match=words) as raised:
        load_pretrained(source, revision=revision)
    assert 'give the path of a .safetensors' in str(raised.value)
    assert '\n' not in str(raised.value)
    with pytest.raises(InputError):
        weights.commit(source, revision)


def test_weights_without_their_config_are_refused_since_their_images_are_unknown(cache):
    (cache / 'snapshots' / NEW / 'config.json').unlink()
    with pytest.raises(InputError, match=r'config.json not in the cache'):
        weights.read(NAME)
    assert weights.commit(NAME) == NEW  # of the weights themselves


def test_older_files_serve_where_the_newer_form_is_not_in_the_cache(cache, monkeypatch):
    (cache / 'snapshots' / NEW / 'model.safetensors').rename(
        cache / 'snapshots' / NEW / 'pytorch_model.bin'
    )
    monkeypatch.setitem(weights.READERS, '.bin', weights.READERS['.safetensors'])
    assert weights.read(NAME).revision == NEW


def test_weights_that_were_read_are_not_read_again(cache):
    read = weights.read(NAME)
    with pytest.raises(
        InputError, match=r'weights someone/resnet: the tensors do not fit resnet20: 94 unfilled'
    ):
        load_pretrained(read)
