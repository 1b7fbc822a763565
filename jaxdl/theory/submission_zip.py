"""Zip of an assignment: code, report and answers."""

import pathlib
import zipfile
from collections.abc import Iterator, Sequence

from jaxdl import workdir
from jaxdl.config import catalogue

DATE = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same content gives the same bytes
CODE = (
    '*.py',
    '*.md',
    '*.jinja',
    '*.css',
    '*.js',
    '*.html',
    '*.txt',
    '*.cc',
    '*.h',
    '*.toml',
    'Makefile',
    'LICENSE',
)
SKIPPED = ('__pycache__', '.venv', 'runs', 'build', 'dist', 'tests', 'benchmarks')
ANSWERS = (
    'claims.csv',
    'summary.csv',
    'results.csv',
    'costs.csv',
    'config.json',
    'run.json',
    'report.md',
)


def pack(folder: pathlib.Path, roll_number: str, parts: Sequence[str]) -> pathlib.Path:
    """Write `folder`/`roll_number`.zip with code/, report/ and answers/NAME/.

    Args:
      folder: workdir of the assignment.
      roll_number: name of the zip and of its top folder.
      parts: names of the experiments.

    Returns:
      The path of the zip.
    """
    path = folder / f'{roll_number}.zip'
    with workdir.temporary_file(folder) as temporary:
        with zipfile.ZipFile(temporary, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, source in _entries(folder, parts):
                archive.writestr(
                    zipfile.ZipInfo(f'{roll_number}/{name}', DATE),
                    source.read_bytes(),
                    zipfile.ZIP_DEFLATED,
                )
        workdir.publish(temporary, path)
    return path


def _entries(folder: pathlib.Path, parts: Sequence[str]) -> Iterator[tuple[str, pathlib.Path]]:
    """Name in the zip and path of every file."""
    for path in (
        folder / 'report.html',
        folder / 'report.md',
        *sorted((folder / 'figures').glob('*.png')),
    ):
        yield f'report/{path.relative_to(folder).as_posix()}', path
    for part in parts:
        for name in ANSWERS:
            if (folder / 'parts' / part / name).exists():
                yield f'answers/{part}/{name}', folder / 'parts' / part / name
    package = pathlib.Path(__file__).parents[1]
    yield from _code(package, 'jaxdl')
    if (
        catalogue.folder().parent != package
    ):  # a checkout: the other files of the program are next to the package
        yield from _code(package.parent / 'experiments', 'experiments')
        for name in ('README.md', 'LICENSE', 'Makefile', 'pyproject.toml', 'constraints.txt'):
            yield f'code/{name}', package.parent / name


def _code(root: pathlib.Path, name: str) -> Iterator[tuple[str, pathlib.Path]]:
    for path in sorted(root.rglob('*')):
        inside = path.relative_to(root)
        if (
            path.is_file()
            and not set(inside.parts) & set(SKIPPED)
            and any(path.match(form) for form in CODE)
        ):
            yield f'code/{name}/{inside.as_posix()}', path
