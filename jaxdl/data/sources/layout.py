"""Layout of a folder of images: which folders are splits, groups or classes."""

import collections
import dataclasses
import itertools
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence

from jaxdl.data.listing import Note, note
from jaxdl.data.sources import files
from jaxdl.data.sources.columns import short
from jaxdl.data.sources.finder import inside
from jaxdl.data.sources.split_names import assign_parts, is_plain, part_of
from jaxdl.errors import InputError, nearest

DEPTH = 8  # folders around the class folders
PARTS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True)
class Branch:
    """A folder with class folders, or with the images of one class.

    Attributes:
      prefix: path of the folder below the root, empty or with `/` at the end.
      part: `train`, `val` or `test`.
      label: the class of all images below; empty where each folder in it is a class.
      group: a name shared by all images below that must stay in one split; empty for none.
    """

    prefix: str
    part: str = 'train'
    label: str = ''
    group: str = ''


@dataclasses.dataclass(frozen=True)
class Layout:
    """The branches of a folder of images, and notes of guesses and of folders left out."""

    branches: tuple[Branch, ...]
    notes: tuple[Note, ...] = ()


class NoClassFolders(InputError):
    """A folder that has images, but no folder per class."""


def check_split_folders(value: str) -> str | None:
    """Rule of `data.split_folders`."""
    pairs = _pairs(value)
    named = {part for part, _ in pairs}
    right = value in ('', 'classes', 'groups') or {'train'} <= named <= set(PARTS)
    return None if right else 'must be classes, groups, or train=FOLDER,val=FOLDER,test=FOLDER'


def recognise(root: pathlib.Path, split_folders: str = '', labelled: bool = False) -> Layout:
    """Recognise the layout of a folder of images.

    Args:
      root: the folder.
      split_folders: `classes` or `groups`: the nature of the top folders; or the folders of the
        splits, as `train=A,val=B,test=C`; empty to recognise them.
      labelled: whether classes come from file names, not from folders.

    Raises:
      NoClassFolders: there are images and no class folders.
      InputError: the folders can be splits or groups, and no name says which.
    """
    if split_folders == 'classes':
        return Layout((Branch(''),))
    if '=' in split_folders:
        return _named(root, split_folders, labelled)
    prefix, notes = _descend(root, '', labelled)
    if split_folders == 'groups':
        tops = files.folders(root / prefix)
        inner = {name: _descend(root, f'{prefix}{name}/', labelled)[0] for name in tops}
        return Layout(tuple(Branch(inner[name], group=name) for name in tops), notes)
    layout = (
        _splits(root, prefix, labelled)
        or (None if labelled else _splits_in_classes(root, prefix))
        or (None if labelled else _folds(root, prefix))
    )
    if layout:
        return dataclasses.replace(layout, notes=(*notes, *layout.notes))
    if not labelled:
        _check_classes(root, prefix)
    return Layout((Branch(prefix),), notes)


def class_folders(root: pathlib.Path, branch: Branch) -> list[str]:
    """Names of the class folders of a branch."""
    return [] if branch.label else files.folders(root / branch.prefix)


def files_above(root: pathlib.Path, layout: Layout) -> files.Files:
    """The files in the folders around the branches."""
    images, others = list[str](), list[files.Other]()
    steps = [branch.prefix.split('/')[:-1] for branch in layout.branches]
    above = {tuple(names[:i]) for names in steps for i in range(len(names))}
    for names in sorted(above):
        loose = files.loose_files(root, ''.join(f'{name}/' for name in names))
        images += loose.images
        others += loose.others
    return files.Files(images, others, [])


def _descend(
    root: pathlib.Path, prefix: str, labelled: bool = False, classes: Sequence[str] = ()
) -> tuple[str, tuple[Note, ...]]:
    """Enter folders that only wrap the class folders: `train/train/`, `archive/images/`.

    Args:
      root: the folder of images.
      prefix: where to begin.
      labelled: whether classes come from file names.
      classes: names that are classes, and not entered.
    """
    start, side = prefix, list[str]()
    for _ in range(DEPTH):
        names = files.folders(root / prefix)
        if len(names) != 1 or names[0] in classes or files.loose_files(root / prefix).images:
            break
        inner = f'{prefix}{names[0]}/'
        outer = pathlib.PurePosixPath(prefix).name
        again = is_plain(names[0]) and part_of(names[0]) == part_of(outer)
        wraps = labelled or again or names[0].lower() in files.IMAGE_FOLDERS
        if not wraps and not files.folders(root / inner):
            break
        side += [prefix + name for name in files.side_folders(root / prefix)]
        prefix = inner
    wrapped = note('Read from the only folder inside', [prefix] if prefix != start else [])
    return prefix, (*wrapped, *_left_out('', side))


def _splits(root: pathlib.Path, prefix: str, labelled: bool) -> Layout | None:
    """Folders with names of splits, where `train` has class folders, or file names have classes."""
    tops, side = files.folders(root / prefix), files.side_folders(root / prefix)
    names = assign_parts(tops)
    if 'train' not in names.values() or (len(names) == 1 and len(tops) > 1):
        return None
    first = [name for name, part in names.items() if part == 'train']
    inner = {name: _descend(root, f'{prefix}{name}/', labelled)[0] for name in first}
    train = set[str]().union(*(files.folders(root / inner[name]) for name in first))
    for name in names.keys() - inner.keys():
        inner[name] = _descend(root, f'{prefix}{name}/', labelled, sorted(train))[0]
    content = {name: files.folders(root / inner[name]) for name in names}
    names = {
        name: part
        for name, part in names.items()
        if is_plain(name) or part == 'train' or train & set(content[name])
    }
    if not (labelled or train):
        _refuse_loose(root, inner, names)
        return None
    for part in PARTS:
        twice = [name for name in names if names[name] == part]
        if len(twice) > 1:
            raise InputError(
                f'{root / prefix}: {twice[0]}/ and {twice[1]}/ are both the {part} split; name '
                f'them: {_advice(prefix, [(names[name], name) for name in names])}'
            )
    unlabelled = [name for name in names if not (labelled or content[name])]
    chosen = {name: part for name, part in names.items() if name not in unlabelled}
    by_part = sorted(chosen, key=lambda name: PARTS.index(chosen[name]))
    return Layout(
        tuple(Branch(inner[name], chosen[name]) for name in by_part),
        (
            *_guessed(chosen),
            *_left_out(prefix, [name for name in tops if name not in names] + side),
            *note(
                'Left out: folders of a split without class folders',
                [f'{prefix}{name}/' for name in unlabelled],
            ),
        ),
    )


def _guessed(names: Mapping[str, str]) -> tuple[Note, ...]:
    """Notes of the names that are not just `train`, `val` or `test`."""
    usual = ('train', 'training', 'val', 'valid', 'validation', 'test', 'testing')
    guesses = [f'{name}/ as {part}' for name, part in names.items() if name.lower() not in usual]
    return note('Folders recognised as splits', guesses)


def _splits_in_classes(root: pathlib.Path, prefix: str) -> Layout | None:
    """Class folders with folders of splits in each: `cat/train/`, `cat/test/`."""
    tops, side = files.folders(root / prefix), files.side_folders(root / prefix)
    content = {name: files.folders(root / prefix / name) for name in tops}
    if len(tops) < 2 or not all(content.values()):
        return None
    names = sorted({name for inner in content.values() for name in inner})
    parts = assign_parts(names)
    if set(parts) != set(names) or 'train' not in parts.values() or len(set(parts.values())) < 2:
        return None
    loose = [name for name in tops if files.loose_files(root / prefix / name).images]
    if loose:
        return None
    branches = [
        Branch(f'{prefix}{kind}/{name}/', parts[name], label=kind)
        for kind in tops
        for name in content[kind]
    ]
    guesses = note(
        'Folders recognised as splits', (f'CLASS/{name}/ as {parts[name]}' for name in names)
    )
    return Layout(tuple(branches), (*guesses, *_left_out(prefix, side)))


def _folds(root: pathlib.Path, prefix: str) -> Layout | None:
    """Numbered folders `fold1/`, `fold2/`, ... with the same classes: a group each."""
    tops, side = files.folders(root / prefix), files.side_folders(root / prefix)
    numbered = [re.fullmatch(r'(?i)(folds?|cv|kfold)[ _.-]*\d+', name) for name in tops]
    if len(tops) < 2 or not all(numbered) or not _shared(root, prefix, tops):
        return None
    inner = {name: _descend(root, f'{prefix}{name}/')[0] for name in tops}
    folds = note('Folds, each in one split as a whole', (f'{prefix}{name}/' for name in tops))
    branches = tuple(Branch(inner[name], group=name) for name in tops)
    return Layout(branches, (*folds, *_left_out(prefix, side)))


def _check_classes(root: pathlib.Path, prefix: str) -> None:
    """Check that the folders are classes.

    Raises:
      NoClassFolders: there are no folders, or only folders of splits, and images next to them.
      InputError: several folders hold the same folders, so they are splits or groups.
    """
    tops = files.folders(root / prefix)
    wraps = len(tops) == 1 and (is_plain(tops[0]) or tops[0].lower() in files.IMAGE_FOLDERS)
    if not tops or wraps:
        inner = f'{prefix}{tops[0]}/' if tops else prefix
        tree = files.walk(root, [inner])
        if not tree.images:
            raise InputError(f'{root} has no images{files.describe_others(tree.others)}')
        raise NoClassFolders(f'{root / inner} has images but no class folders')
    shared = _shared(root, prefix, tops)
    if not shared:
        return
    first = f'train={prefix}{tops[0]},test={prefix}{tops[1]}'
    names = ', '.join(f'{name}/' for name in tops[:3]) + ', ...' * (len(tops) > 3)
    inner = ', '.join(shared[:3]) + ', ...' * (len(shared) > 3)
    # Three splits need three groups.
    groups = '--set=split_folders=groups (each in one split as a whole), ' * (len(tops) > 2)
    raise InputError(
        f'{root / prefix}: {short(names, str)} all hold the folders {short(inner, str)}, so they '
        'are splits or groups, not classes: say which by '
        f'{_set("split_folders", first)} (splits), {groups}or --set=split_folders=classes'
    )


def _shared(root: pathlib.Path, prefix: str, tops: Sequence[str]) -> list[str]:
    """Folder names that occur in several of `tops`, if all that hold folders hold mostly such."""
    content = [
        {
            name
            for name in files.folders(root / prefix / top)
            if name.lower() not in files.IMAGE_FOLDERS
        }
        for top in tops
    ]
    counts = collections.Counter(itertools.chain(*content))
    shared = {name for name, count in counts.items() if count > 1}
    mostly = all(2 * len(names & shared) >= len(names) for names in content)
    return sorted(shared) if mostly and len(shared) > 1 else []


def _refuse_loose(root: pathlib.Path, inner: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Refuse folders of several splits that have images and no class folders."""
    loose = [
        name
        for name in sorted(names, key=lambda name: PARTS.index(names[name]))
        if files.loose_files(root / inner[name]).images
    ]
    if len({names[name] for name in loose}) > 1:
        tops = ' and '.join(f'{name}/' for name in loose[:2])
        raise NoClassFolders(f'{root}: {tops} have images but no class folders')


def _named(root: pathlib.Path, split_folders: str, labelled: bool) -> Layout:
    """The layout that `split_folders` names."""
    branches, tops = list[Branch](), set[str]()
    for part, name in _pairs(split_folders):
        where = f'data.split_folders={split_folders}'
        prefix = f'{inside(name, where)}/'
        if prefix == './' or not (root / prefix).is_dir():
            raise InputError(
                f'{where}: {root} has no folder {short(name)}: '
                f'{short(nearest(name, files.folders(root)), str)}'
            )
        inner = _descend(root, prefix, labelled)[0]
        if any(inner.startswith(b.prefix) or b.prefix.startswith(inner) for b in branches):
            raise InputError(f'{where}: {short(name)} is in two splits, or inside another folder')
        branches.append(Branch(inner, part))
        tops.add(prefix.split('/')[0])
    left_out = [name for name in files.folders(root) if name not in tops]
    branches.sort(key=lambda branch: PARTS.index(branch.part))
    return Layout(tuple(branches), _left_out('', left_out))


def _pairs(split_folders: str) -> list[tuple[str, str]]:
    """Split and folder of each `SPLIT=FOLDER`; the folders may contain commas."""
    texts = re.split(r',(?=\w+=)', split_folders)
    pairs = [text.partition('=') for text in texts]
    return [(part, name) for part, equals, name in pairs if equals and name]


def _left_out(prefix: str, names: Sequence[str]) -> tuple[Note, ...]:
    return note('Left out: folders', (f'{prefix}{name}/' for name in names))


def _advice(prefix: str, pairs: Sequence[tuple[str, str]]) -> str:
    ordered = sorted(pairs, key=lambda pair: PARTS.index(pair[0]))
    return _set('split_folders', ','.join(f'{part}={prefix}{name}' for part, name in ordered))


def _set(name: str, value: str) -> str:
    return shlex.quote(f'--set={name}={value}')
