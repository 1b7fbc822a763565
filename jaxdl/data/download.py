"""Download files with resumption, and unpack zip archives safely."""

import contextlib
import hashlib
import http.client
import json
import pathlib
import posixpath
import shutil
import stat
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.runtime.progress import show_progress

CHUNK = 2**18  # bytes
TIMEOUT = 30.0  # seconds without a byte
MOST_RATIO = 100  # bytes unpacked per byte of the archive: photographs do not shrink
SLACK = 2**20  # bytes that any archive may unpack to
LOOPBACK = ('127.0.0.1', '::1', 'localhost')


def fetch(url: str, path: pathlib.Path) -> dict[str, Any]:
    """Download a file, from where an earlier call stopped.

    The unfinished file is `<path>.part`. A complete file is not fetched again.

    Args:
      url: https, or http of this machine.
      path: where to write.

    Returns:
      `url`, `bytes` and `sha256`, which are also written to stderr.

    Raises:
      InputError: the server, the network or the disk fails; the next call resumes.
    """
    part = path.with_name(path.name + '.part')
    try:
        if not path.exists():
            _download(url, part)
            part.replace(path)
            _state(part).unlink(missing_ok=True)
        with path.open('rb') as file:
            digest = hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:  # errors of the network are InputErrors already
        raise InputError(
            f'cannot write {path}: {error.strerror}; {part.name} stays, and the next call resumes'
        ) from None
    size = path.stat().st_size
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    console.print(f'{path.name}: {size:,} bytes, SHA-256 {digest}')
    return dict(url=url, bytes=size, sha256=digest)


def unpack(archive: pathlib.Path, folder: pathlib.Path) -> int:
    """Unpack a zip archive, without the folders that all its files share.

    Files that are there in full are skipped.

    Args:
      archive: the zip file.
      folder: where to unpack.

    Returns:
      The number of files in the archive.

    Raises:
      InputError: the zip is damaged, encrypted or a bomb, a name leaves the folder, an entry is a
        link, or the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _entries(archive, file)
            folder.mkdir(parents=True, exist_ok=True)
            with show_progress(f'unpacking {archive.name}', len(entries), 'files') as more:
                for name, entry in entries.items():
                    _unpack_entry(file, entry, folder / name)
                    more(1)
            return len(entries)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        UnicodeError,
        RuntimeError,
    ) as error:
        raise InputError(
            f'{archive} is a broken zip ({error}); delete it, and fetch it again'
        ) from None
    except OSError as error:
        raise InputError(
            f'cannot unpack {archive} into {folder}: {error.strerror}; the same command resumes'
        ) from None


def read_record(path: pathlib.Path) -> dict[str, Any]:
    """Read the object in a JSON file; empty where there is none, or it is damaged."""
    try:
        content = workdir.parse(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _download(url: str, part: pathlib.Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    start = part.stat().st_size if part.exists() else 0
    record = read_record(_state(part))
    validator = record.get('validator') if record.get('url') == url else None
    headers = {'Range': f'bytes={start}-', 'If-Range': validator} if start and validator else {}
    with _open(url, headers, part) as response:
        if response.status == 206 and _range(response)[0] != start:
            raise InputError(
                f'{url}: the server sent another range than was requested; '
                f'delete {part} and start again'
            )
        start = start if response.status == 206 else 0
        total = _range(response)[1] if start else response.length or 0
        with part.open('ab' if start else 'wb') as file:
            if not start:  # after the old bytes are gone, before the new ones come
                _state(part).write_text(json.dumps(dict(url=url, validator=_validator(response))))
            for chunk in _chunks(response, url, part, start, total):
                file.write(chunk)


def _open(url: str, headers: dict[str, str], part: pathlib.Path) -> Any:
    _check_url(url)
    local = urllib.parse.urlsplit(url).hostname in LOOPBACK
    handlers = [_Redirects(), *([urllib.request.ProxyHandler({})] if local else [])]
    request = urllib.request.Request(url, headers={'User-Agent': 'jaxdl', **headers})
    try:
        return urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and headers:  # the part is at least as long as the file
            part.unlink()
            return _open(url, {}, part)
        raise InputError(
            f'cannot fetch {url}: the server returned {error.code} {error.reason}; '
            'try later, or fetch it by hand'
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, 'reason', None) or error
        raise InputError(f'cannot fetch {url}: {reason}; the same command resumes') from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        _check_url(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_url(url: str, by: str = '') -> None:
    """Refuse all but https, and http of this machine, to which no other may redirect."""
    parts = urllib.parse.urlsplit(url)
    from_here = urllib.parse.urlsplit(by or url).hostname in LOOPBACK
    if parts.scheme != 'https' and not (
        from_here and parts.scheme == 'http' and parts.hostname in LOOPBACK
    ):
        raise InputError(f'cannot fetch {url}: only https is allowed: use an https address')


def _chunks(
    response: Any, url: str, part: pathlib.Path, received: int, total: int
) -> Iterator[bytes]:
    name = part.name.removesuffix('.part')
    with (
        show_progress(f'fetching {name}', total - received, 'bytes')
        if total
        else contextlib.nullcontext(int) as more
    ):
        while True:
            problem = 'the connection ended' if received < total else ''
            try:
                chunk = response.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                chunk, problem = b'', str(error) or type(error).__name__
            if not chunk:
                break
            received += len(chunk)
            more(len(chunk))
            yield chunk
    if problem:
        of = f' of {total:,}' if total else ''
        raise InputError(f'{url}: {problem} after {received:,}{of} bytes; the same command resumes')


def _range(response: Any) -> tuple[int, int]:
    """(FIRST, LENGTH) of `Content-Range: bytes FIRST-LAST/LENGTH`; (-1, 0) without one."""
    words = response.headers.get('Content-Range', '').removeprefix('bytes ').split('/')
    first, length = words[0].split('-')[0], words[-1]
    return int(first) if first.isdigit() else -1, int(length) if length.isdigit() else 0


def _validator(response: Any) -> str | None:
    """Validator of a file's version: a strong ETag, else the date."""
    tag = response.headers.get('ETag')
    return tag if tag and not tag.startswith('W/') else response.headers.get('Last-Modified')


def _state(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(part.name + '.json')


def _entries(archive: pathlib.Path, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Target path -> entry of the files of a zip, before any of them is read."""
    entries = {}
    for entry in file.infolist():
        name = entry.filename.replace('\\', '/')
        words = [word for word in name.split('/') if word not in ('', '.')]
        if '..' in words or name.startswith('/') or ':' in name.split('/')[0]:
            raise InputError(
                f'{archive}: {entry.filename!r} leads out of the folder; nothing was unpacked: '
                'fetch the archive from its publisher'
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(
                f'{archive}: {entry.filename!r} is a link; nothing was unpacked: '
                'fetch the archive from its publisher'
            )
        if not (entry.is_dir() or not words or words[0] == '__MACOSX' or words[-1].startswith('.')):
            entries['/'.join(words)] = entry
    size, total = archive.stat().st_size, sum(entry.file_size for entry in entries.values())
    if total > MOST_RATIO * size + SLACK:
        raise InputError(
            f'{archive}: {size:,} bytes would unpack to {total:,}: a decompression bomb; '
            'nothing was unpacked: fetch the archive from its publisher'
        )
    if total > (free := shutil.disk_usage(archive.parent).free):
        raise InputError(
            f'{archive} unpacks to {total:,} bytes, but the disk has {free:,} left: free disk space'
        )
    shared = posixpath.commonpath([posixpath.dirname(name) for name in entries]) if entries else ''
    return {name[len(shared) :].lstrip('/'): entry for name, entry in entries.items()}


def _unpack_entry(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: pathlib.Path) -> None:
    if path.is_file() and path.stat().st_size == entry.file_size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, path.open('wb') as target:
        shutil.copyfileobj(source, target)
