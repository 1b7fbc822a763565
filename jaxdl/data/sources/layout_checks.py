"""Refuse layouts of a folder of images that are not clear."""

import collections
import itertools
import pathlib
import shlex
from collections.abc import Mapping, Sequence

from jaxdl.data.sources import files
from jaxdl.data.sources.columns import short
from jaxdl.data.sources.split_names import is_plain
from jaxdl.errors import InputError

PARTS = ('train', 'val', 'test')


class NoClassFolders(InputError):
    """A folder that has images, but no folder per class."""


def check_classes(root: pathlib.Path, prefix: str) -> None:
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
        f'{quote_set("split_folders", first)} (splits), {groups}or --set=split_folders=classes'
    )


def check_only_train(root: pathlib.Path, prefix: str, tops: Sequence[str], train: str) -> None:
    """Refuse a folder `train/` with class folders next to folders that are no splits.

    It can be the training split, or a class such as a vehicle.
    """
    if len(files.folders(root / prefix / train)) > 1:
        other = next(name for name in tops if name != train)
        only = quote_set('split_folders', f'train={prefix}{train}')
        raise InputError(
            f'{root / prefix}: {short(train, str)}/ holds class folders, and {short(other, str)}/ '
            f'is no split; {only} reads only {short(train, str)}/, '
            '--set=split_folders=classes takes both as classes'
        )


def refuse_loose(root: pathlib.Path, inner: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Refuse folders of several splits that have images and no class folders."""
    loose = [
        name
        for name in sorted(names, key=lambda name: PARTS.index(names[name]))
        if files.loose_files(root / inner[name]).images
    ]
    if len({names[name] for name in loose}) > 1:
        tops = ' and '.join(f'{name}/' for name in loose[:2])
        raise NoClassFolders(f'{root}: {tops} have images but no class folders')


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


def quote_set(name: str, value: str) -> str:
    """The flag that sets a field, for a shell."""
    return shlex.quote(f'--set={name}={value}')
