"""Files of pretrained weights, and names on the Hugging Face hub, into arrays; no jax, and no code of the file runs."""

import json
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxdl.errors import InputError
from jaxdl.models import pickled

FILES = (
    'model.safetensors',
    'pytorch_model.bin',
)  # what a folder, or a repository of the hub, may hold; the first wins
ADVICE = 'give the path of a .safetensors, .npz, .pth or .th file, or a hub id such as timm/resnet50.a1_in1k'


@dataclass(frozen=True)
class Weights:
    """Tensors under the names and in the layout of the file, float32, and timm's config.json where there is one."""

    tensors: Mapping[str, np.ndarray]
    config: Mapping[str, Any] = field(default_factory=dict)
    source: str = ''


def read(source: str, revision: str | None = None) -> Weights:
    """The weights in a file, in a folder as the hub has it, or on the hub.

    Args:
      source: a path, or the id of a repository: `timm/resnet50.a1_in1k`, also with `hf-hub:` before it.
      revision: branch, tag or commit on the hub.

    Raises:
      InputError: no such file or repository, a form that is not known, a file that is damaged or would run code.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return Weights(_tensors(path), source=source)
    name = source.removeprefix('hf-hub:')
    if path.suffix in READERS or name.count('/') != 1 or name.startswith(('.', '/', '~')):
        raise InputError(f'weights {source}: no such file: {ADVICE}')
    return _hub(name, revision)


def _folder(path: pathlib.Path) -> Weights:
    found = [path / name for name in FILES if (path / name).is_file()]
    if not found:
        raise InputError(f'weights {path}: the folder holds neither {" nor ".join(FILES)}: {ADVICE}')
    return Weights(_tensors(found[0]), _config(path / 'config.json'), str(path))


def _hub(name: str, revision: str | None) -> Weights:
    """Downloaded, or taken from the cache of huggingface_hub (HF_HOME), which serves without a network."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    def fetched(wanted: str) -> pathlib.Path | None:
        try:
            return pathlib.Path(hf_hub_download(name, wanted, revision=revision))
        except RemoteEntryNotFoundError:
            return None
        except LocalEntryNotFoundError:
            where = 'no such file here, not in the cache of the hub, and the hub cannot be reached'
            raise InputError(f'weights {name}: {where}: {ADVICE}') from None
        except Exception as error:  # of the network, the hub and its client
            reason = ' '.join(str(error).split())[:120]
            raise InputError(f'weights {name}: the hub does not give {wanted} ({reason}): {ADVICE}') from None

    file = next((found for found in map(fetched, FILES) if found), None)
    if file is None:
        raise InputError(f'weights {name}: the repository holds neither {" nor ".join(FILES)}: {ADVICE}')
    config = fetched('config.json')
    return Weights(_tensors(file), _config(config) if config else {}, name)


def _config(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f'weights {path}: damaged ({error}): fetch it again') from None
    return content if isinstance(content, dict) else {}


def _tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The file's tensors, floating ones as float32."""
    if path.suffix not in READERS:
        raise InputError(f'weights {path}: the form {path.suffix or "without a suffix"} is not known: {ADVICE}')
    try:
        found = READERS[path.suffix](path)
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks its reader in ways that cannot be listed
        reason = ' '.join(str(error).split())[:100]
        raise InputError(f'weights {path}: damaged or cut short ({reason or type(error).__name__})') from None
    if not found:
        raise InputError(f'weights {path}: no tensor in it: {ADVICE}')
    if all(name.startswith('module.') for name in found):  # of torch.nn.DataParallel
        found = {name.removeprefix('module.'): value for name, value in found.items()}
    return {name: _float32(value) for name, value in found.items()}


def _float32(value: np.ndarray) -> np.ndarray:
    return value if value.dtype.kind in 'iub' else np.asarray(value, np.float32)


def _safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    from safetensors import numpy as safetensors

    return safetensors.load_file(path)


def _npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open('rb') as stream, np.load(stream, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def _torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open('rb') as stream:
        zipped = stream.read(4) == b'PK\x03\x04'  # also of a zip that is cut short
    return pickled.state_dict((pickled.load_zip if zipped else pickled.load_legacy)(path), path)


READERS: dict[str, Callable[[pathlib.Path], dict[str, np.ndarray]]] = {
    '.safetensors': _safetensors,
    '.npz': _npz,
    **dict.fromkeys(('.pth', '.th', '.pt', '.bin', '.tar'), _torch),
}
