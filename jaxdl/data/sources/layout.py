"""Layout of a folder of images: which folders are splits, groups or classes."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from jaxdl.data.listing import Note, note
from jaxdl.data.sources import files
from jaxdl.data.sources.columns import short
from jaxdl.data.sources.finder import inside
from jaxdl.data.sources.layout_checks import (
    PARTS,
    NoClassFolders,
    check_classes,
    check_only_train,
    quote_set,
    refuse_loose,
)
from jaxdl.data.sources.split_names import assign_parts, is_plain
from jaxdl.data.sources.wrappers import Inner, descend, describe, guessed, left_out
from jaxdl.errors import InputError, nearest


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
    outer = descend(root, '', labelled)
    prefix, notes = outer.prefix, describe(filter(None, [outer.prefix]), [outer])
    if split_folders == 'groups':
        tops = files.folders(root / prefix)
        branches, inner_notes = _groups(root, prefix, tops, labelled)
        return Layout(branches, (*notes, *inner_notes))
    layout = (
        _splits(root, prefix, labelled)
        or (None if labelled else _splits_in_classes(root, prefix))
        or (None if labelled else _folds(root, prefix))
    )
    if layout:
        return dataclasses.replace(layout, notes=(*notes, *layout.notes))
    if not labelled:
        check_classes(root, prefix)
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


def _splits(root: pathlib.Path, prefix: str, labelled: bool) -> Layout | None:
    """Folders with names of splits, where `train` has class folders, or file names have classes."""
    tops, side = files.folders(root / prefix), files.side_folders(root / prefix)
    names = assign_parts(tops)
    if 'train' not in names.values():
        return None
    if len(names) == 1 < len(tops):
        if not labelled:
            check_only_train(root, prefix, tops, next(iter(names)))
        return None
    first = [name for name, part in names.items() if part == 'train']
    entered = {name: descend(root, f'{prefix}{name}/', labelled) for name in first}
    train = set[str]().union(*(files.folders(root / entered[name].prefix) for name in first))
    for name in names.keys() - entered.keys():
        entered[name] = descend(root, f'{prefix}{name}/', labelled, train)
    inner = {name: one.prefix for name, one in entered.items()}
    content = {name: files.folders(root / inner[name]) for name in names}
    names = {
        name: part
        for name, part in names.items()
        if is_plain(name) or part == 'train' or train & set(content[name])
    }
    if not (labelled or train):
        refuse_loose(root, inner, names)
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
            *describe(guessed(entered[name] for name in by_part), entered.values()),
            *left_out(prefix, [name for name in tops if name not in names] + side),
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
    names = sorted({name for inner in content.values() for name in inner})
    parts = assign_parts(names)
    if len(tops) < 2 or set(parts) != set(names) or not {'train'} < set(parts.values()):
        return None
    bare = [name for name in tops if not content[name]]
    for name in bare:
        if files.loose_files(root / prefix / name).images:
            holders = [top for top in tops if content[top]]
            raise InputError(
                f'{root / prefix}: {holders[0]}/ holds the folders {short(", ".join(names), str)}, '
                f'and {short(name, str)}/ has images without such folders; move them, or '
                '--set=split_folders=classes takes all images of a folder as one class'
            )
    branches = [
        Branch(f'{prefix}{kind}/{name}/', parts[name], label=kind)
        for kind in tops
        for name in content[kind]
    ]
    guesses = note(
        'Folders recognised as splits', (f'CLASS/{name}/ as {parts[name]}' for name in names)
    )
    empty = note('Left out: class folders without an image', (f'{prefix}{name}/' for name in bare))
    return Layout(tuple(branches), (*guesses, *empty, *left_out(prefix, side)))


def _folds(root: pathlib.Path, prefix: str) -> Layout | None:
    """Numbered folders `fold1/`, `fold2/`, ... with class folders: a group each."""
    tops, side = files.folders(root / prefix), files.side_folders(root / prefix)
    numbered = [re.fullmatch(r'(?i)(folds?|cv|kfold)[ _.-]*\d+', name) for name in tops]
    if len(tops) < 2 or not all(numbered):
        return None
    if not any(files.folders(root / prefix / name) for name in tops):
        raise NoClassFolders(f'{root / prefix}: {tops[0]}/ and {tops[1]}/ have no class folders')
    branches, notes = _groups(root, prefix, tops)
    folds = note('Folds, each in one split as a whole', (f'{prefix}{name}/' for name in tops))
    return Layout(branches, (*folds, *notes, *left_out(prefix, side)))


def _groups(
    root: pathlib.Path, prefix: str, tops: Sequence[str], labelled: bool = False
) -> tuple[tuple[Branch, ...], tuple[Note, ...]]:
    """Branches of folders that are a group each; a folder that all of them have alone is no class.

    A group may have a single class, so its only folder is entered only then, or by its name.
    """
    inner = {folder for top in tops for folder in files.folders(root / prefix / top)}
    classes = {name for name in inner if name.lower() not in files.IMAGE_FOLDERS} - {*tops}
    classes = classes if len(inner) > 1 else set()
    entered = [descend(root, f'{prefix}{top}/', labelled, classes) for top in tops]
    branches = tuple(Branch(one.prefix, group=top) for one, top in zip(entered, tops, strict=True))
    return branches, describe(guessed(entered), entered)


def _named(root: pathlib.Path, split_folders: str, labelled: bool) -> Layout:
    """The layout that `split_folders` names."""
    branches, tops, entered = list[Branch](), set[str](), list[Inner]()
    for part, name in _pairs(split_folders):
        where = f'data.split_folders={split_folders}'
        prefix = f'{inside(name, where)}/'
        if prefix == './' or not (root / prefix).is_dir():
            raise InputError(
                f'{where}: {root} has no folder {short(name)}: '
                f'{short(nearest(name, files.folders(root)), str)}'
            )
        entered.append(descend(root, prefix, labelled))
        inner = entered[-1].prefix
        if any(inner.startswith(b.prefix) or b.prefix.startswith(inner) for b in branches):
            raise InputError(f'{where}: {short(name)} is in two splits, or inside another folder')
        branches.append(Branch(inner, part))
        tops.add(prefix.split('/')[0])
    others = [name for name in files.folders(root) if name not in tops]
    branches.sort(key=lambda branch: PARTS.index(branch.part))
    notes = describe(guessed(entered), entered)
    return Layout(tuple(branches), (*notes, *left_out('', others)))


def _pairs(split_folders: str) -> list[tuple[str, str]]:
    """Split and folder of each `SPLIT=FOLDER`; the folders may contain commas."""
    texts = re.split(r',(?=\w+=)', split_folders)
    pairs = [text.partition('=') for text in texts]
    return [(part, name) for part, equals, name in pairs if equals and name]


def _advice(prefix: str, pairs: Sequence[tuple[str, str]]) -> str:
    ordered = sorted(pairs, key=lambda pair: PARTS.index(pair[0]))
    return quote_set('split_folders', ','.join(f'{part}={prefix}{name}' for part, name in ordered))
