"""Read pretrained weights from files and the Hugging Face hub without running their code.

Imports no jax.
"""

import difflib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.models import embedded, torch_pickle
from jaxdl.models.embedded import EMBEDDED
from jaxdl.workdir import zip_safety

FILES = ('model.safetensors', 'pytorch_model.bin')  # of a folder or repository; the first wins
ADVICE = (
    'give the path of a .safetensors, .npz, .pth, .pt, .bin, .ckpt or .th file, '
    f'a hub id such as timm/resnet50.a1_in1k, or {", ".join(EMBEDDED)}'
)


@dataclass(frozen=True)
class Weights:
    """Tensors under the names and in the layout of the file, as float32.

    The names lead through the dictionaries of a training checkpoint: `state_dict.fc.weight`.

    Attributes:
      tensors: name -> array.
      config: timm's config.json; empty without one.
      source: path or hub id.
      revision: commit on the hub, also for a branch or tag; '' for files.
      licence: of the weights; '' where it is unknown.
    """

    tensors: Mapping[str, np.ndarray]
    config: Mapping[str, Any] = field(default_factory=dict)
    source: str = ''
    revision: str = ''
    licence: str = ''


def read(source: str, revision: str | None = None) -> Weights:
    """Read the weights of a file or folder, of a package, or of the hub.

    Args:
      source: a path, also of a folder laid out like a hub repository; a row of
        `embedded.EMBEDDED`; or the id of a repository: `timm/resnet50.a1_in1k`, also with
        `hf-hub:` before it.
      revision: branch, tag or commit on the hub; None or '' for its newest.

    Returns:
      Tensors, configuration and source.

    Raises:
      InputError: no such file or repository, a form that is not known, a file that is damaged or
        would run code.
    """
    path, name = pathlib.Path(source), _on_hub(source)
    if name:
        return _hub(name, revision or None)
    if revision:
        raise InputError(
            f'weights {source}: a local file has no revisions: leave out revision={revision!r}'
        )
    if embedded.is_embedded(source):
        row, file = EMBEDDED[source], embedded.find_file(source)
        config = dict(architecture=row.architecture)
        return Weights(_tensors(file), config, source, licence=row.licence)
    return _folder(path) if path.is_dir() else Weights(_tensors(path), source=source)


def commit(source: str, revision: str | None = None) -> str:
    """Resolve a hub id to its present commit, which as `revision` always gives the same weights.

    Args:
      source: a path or the id of a repository.
      revision: branch, tag or commit on the hub; None or '' for its newest.

    Returns:
      The commit; '' for a path.

    Raises:
      InputError: no such file or repository, or one that can be neither reached nor found in the
        cache.
    """
    name = _on_hub(source)
    file = _fetch(name, ('config.json', *FILES), revision or None) if name else None
    return _commit(file) if file else ''


def _on_hub(source: str) -> str:
    """Id of a repository; '' for a file or folder that exists, and for embedded weights.

    Raises:
      InputError: neither.
    """
    path, name = pathlib.Path(source), source.removeprefix('hf-hub:')
    if path.exists() or embedded.is_embedded(source):
        return ''
    if path.suffix in READERS or name.count('/') != 1 or name.startswith(('.', '/', '~')):
        close = difflib.get_close_matches(source.lower(), EMBEDDED, n=1)
        meant = f'did you mean {close[0]}? or ' if close else ''
        raise InputError(f'weights {source}: no such file: {meant}{ADVICE}')
    return name


def _folder(path: pathlib.Path) -> Weights:
    paths = [path / name for name in FILES if (path / name).is_file()]
    if not paths:
        raise InputError(
            f'weights {path}: the folder holds neither {" nor ".join(FILES)}: {ADVICE}'
        )
    return Weights(_tensors(paths[0]), _config(path / 'config.json'), str(path))


def _hub(name: str, revision: str | None) -> Weights:
    file = _fetch(name, FILES, revision)
    if file is None:
        raise InputError(
            f'weights {name}: the repository holds neither {" nor ".join(FILES)}: {ADVICE}'
        )
    resolved = _commit(file)
    config = _fetch(
        name, ('config.json',), resolved or revision
    )  # of the same commit, whatever has come since
    return Weights(_tensors(file), _config(config) if config else {}, name, resolved)


def _fetch(name: str, files: Sequence[str], revision: str | None) -> pathlib.Path | None:
    """First of the files that the repository has, downloaded or from the cache (HF_HOME).

    The cache also works without a network. None: the repository has none of the files.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    unreachable, at = False, f' at revision {revision}' if revision else ''
    for wanted in files:
        try:
            return pathlib.Path(hf_hub_download(name, wanted, revision=revision))
        except RemoteEntryNotFoundError:
            continue
        except LocalEntryNotFoundError:
            unreachable = True
        except Exception as error:  # of the network, the hub and its client
            reason = ' '.join(str(error).split())[:120]
            raise InputError(
                f'weights {name}{at}: cannot download {wanted} from the hub ({reason}): {ADVICE}'
            ) from None
    if unreachable:
        where = (
            f'no such file here, {" or ".join(files)} not in the cache of the hub, '
            'and the hub cannot be reached'
        )
        raise InputError(f'weights {name}{at}: {where}: {ADVICE}')
    return None


def _commit(path: pathlib.Path) -> str:
    """Commit of a file .../snapshots/COMMIT/model.safetensors in the hub's cache; '' for others."""
    return path.parent.name if path.parent.parent.name == 'snapshots' else ''


def _config(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = workdir.parse(path.read_text(encoding='utf-8')) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise InputError(f'weights {path}: damaged ({error}): fetch it again') from None
    return content if isinstance(content, dict) else {}


def _tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The file's tensors, floating ones as float32."""
    if path.suffix not in READERS:
        raise InputError(
            f'weights {path}: {path.suffix or "no suffix"} is not a known file format: {ADVICE}'
        )
    try:
        tensors = READERS[path.suffix](path)
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks its reader in ways that cannot be listed
        reason = ' '.join(str(error).split())[:100]
        kind = (
            'a pointer of Git LFS, not the file itself'
            if _is_pointer(path)
            else 'damaged or cut short'
        )
        raise InputError(
            f'weights {path}: {kind} ({reason or type(error).__name__}): fetch it again'
        ) from None
    if not tensors:
        raise InputError(f'weights {path}: no tensor in it: {ADVICE}')
    return {name: _float32(value) for name, value in tensors.items()}


def _is_pointer(path: pathlib.Path) -> bool:
    """Whether Git left a few lines of text in place of a large file."""
    with path.open('rb') as stream:
        return b'git-lfs' in stream.readline(100)


def _float32(value: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):  # of a float64 beyond float32: infinite
        return value if value.dtype.kind in 'iub' else np.asarray(value, np.float32)


def _safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401  (makes bfloat16 known to NumPy)
    from safetensors import numpy as safetensors

    return safetensors.load_file(path)


def _npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    zip_safety.check(path, 'weights ')
    with path.open('rb') as stream, np.load(stream, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    return {
        name: value for name, value in arrays.items() if isinstance(value, np.ndarray)
    }  # else a file beside them


def _torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open('rb') as stream:
        zipped = stream.read(4) == b'PK\x03\x04'  # also of a zip that is cut short
    load = torch_pickle.load_zip if zipped else torch_pickle.load_legacy
    return torch_pickle.flatten(load(path), path)


READERS: dict[str, Callable[[pathlib.Path], dict[str, np.ndarray]]] = {
    '.safetensors': _safetensors,
    '.npz': _npz,
    **dict.fromkeys(('.pth', '.th', '.pt', '.bin', '.ckpt', '.tar'), _torch),
}
