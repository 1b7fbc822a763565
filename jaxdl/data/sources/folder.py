"""Folders of images: one folder per class, optionally in folders of splits or groups."""

import bisect
import collections
import pathlib
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from jaxdl.data.listing import Listing, note
from jaxdl.data.sources import files, layout
from jaxdl.data.sources.columns import listing, place, short
from jaxdl.data.sources.layout import Branch, Layout
from jaxdl.data.sources.layout_checks import PARTS, NoClassFolders
from jaxdl.errors import InputError

_FORM = 'folder:DIR'
# Patterns of file names with a class and a number, such as cat.0.jpg or 001_cat.jpg.
PATTERNS = (r'^(?P<label>.+?)[ ._(-]*\d+\)?\.\w+$', r'^\d+[ ._-]+(?P<label>\D+?)\.\w+$')


def check_label_pattern(value: str) -> str | None:
    """Rule of `data.label_pattern`."""
    try:
        return (
            None
            if not value or 'label' in re.compile(value).groupindex
            else 'must have a group named label, such as (?P<label>[a-z]+)'
        )
    except (re.error, RecursionError, OverflowError) as error:
        return f'must be a regular expression ({error})'


def folder(
    where: str, *, split_folders: str = '', label_pattern: str = '', on_several_labels: str = 'stop'
) -> Listing:
    """List the images of a folder.

    Args:
      where: a folder with one folder per class, or with folders of splits or groups of those.
      split_folders: the folders of the splits, as `layout.recognise` takes them.
      label_pattern: regular expression whose group `label` is the class in a file's name; or in
        its path below the folder, if the expression contains `/`.
      on_several_labels: as `columns.listing` takes it.

    Returns:
      A listing whose ids are paths relative to the folder.

    Raises:
      InputError: there is no such folder, or its layout is not clear.
    """
    root = place(where, _FORM)
    try:
        plan = layout.recognise(root, split_folders, labelled=bool(label_pattern))
    except NoClassFolders as error:
        raise InputError(f'{error}: {_ways(root)}') from None
    tree = files.walk(root, tuple(branch.prefix for branch in plan.branches))
    above = layout.files_above(root, plan)
    rows, loose = _label_images(tree.images, plan.branches, label_pattern)
    others = (*tree.others, *above.others)
    if not rows:
        first = next(iter([*loose, *above.images]), '')
        kind = 'file names that match label_pattern' if label_pattern else 'images in class folders'
        example = f'; the first image is {short(first)}' if first else ''
        raise InputError(f'{root} has no {kind}{example}{files.describe_others(others)}')
    rows.sort(key=lambda row: (PARTS.index(row[0]), *row[1:]))
    parts, kinds, ids, groups = zip(*rows, strict=True)
    if label_pattern:
        left_out = note('Left out: file names that do not match label_pattern', loose)
    else:
        empty = _empty_folders(root, plan, {(part, kind) for part, kind, _, _ in rows})
        left_out = (
            *note('Left out: images that are not in a class folder', loose),
            *note('Left out: class folders without an image', empty),
        )
    return listing(
        where,
        [root / name for name in ids],
        kinds,
        ids,
        parts=parts if len(set(parts)) > 1 else None,
        groups=groups if any(groups) else None,
        notes=(
            *plan.notes,
            *left_out,
            *note('Left out: images next to the folders of splits and groups', above.images),
            *files.passed_over(others, tree.side),
        ),
        on_several_labels=on_several_labels,
    )


def _label_images(
    images: Sequence[str], branches: Sequence[Branch], label_pattern: str
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Give every image its class.

    Returns:
      (split, class, path, group) of each image with a class; the paths of the others.
    """
    rows, loose = list[tuple[str, str, str, str]](), list[str]()
    for path, branch in _branches_of(images, {branch.prefix: branch for branch in branches}):
        kind = _label(path, branch, label_pattern)
        if kind:
            rows.append((branch.part, kind, path, branch.group))
        else:
            loose.append(path)
    return rows, loose


def _branches_of(paths: Sequence[str], branches: dict[str, Branch]) -> Iterator[tuple[str, Branch]]:
    """Each path with the branch that it is in."""
    prefixes = sorted(branches)
    for path in paths:
        yield path, branches[prefixes[bisect.bisect_right(prefixes, path) - 1]]


def _label(path: str, branch: Branch, label_pattern: str) -> str:
    """Class of an image; empty for none."""
    if label_pattern:
        match = re.search(label_pattern, path if '/' in label_pattern else posixpath.basename(path))
        return ((match and match['label']) or '').strip()
    kind, slash, _ = path[len(branch.prefix) :].partition('/')
    return branch.label or (kind if slash else '')


def _empty_folders(root: pathlib.Path, plan: Layout, filled: set[tuple[str, str]]) -> Iterator[str]:
    """Class folders without an image."""
    for branch in plan.branches:
        for kind in layout.class_folders(root, branch):
            if (branch.part, kind) not in filled:
                yield f'{branch.prefix}{kind}/'


def _ways(root: pathlib.Path) -> str:
    """Ways to name the classes of images without class folders, those that fit first."""
    ways = [f'the table ({shlex.quote(f"--dataset=csv:{table}")})' for table in _tables(root)[:1]]
    names = [posixpath.basename(path) for path in files.walk(root).images]
    ways += [
        f'the file names ({shlex.quote(f"--set=label_pattern={pattern}")})'
        for pattern in PATTERNS
        if _fits(pattern, names)
    ][:1]
    ways += [] if ways else ['a table (--dataset=csv:FILE)']
    return f'take the classes from {", from ".join(ways)}, or make one folder per class'


def _tables(root: pathlib.Path) -> list[pathlib.Path]:
    """Tables in a folder that name its images and at least two classes, no sample submissions."""
    from jaxdl.data.sources import csv_table

    tables = list[pathlib.Path]()
    for path in sorted(root.iterdir()):
        if path.is_file() and path.suffix.lower() in ('.csv', '.tsv'):
            try:
                classes = csv_table.csv(str(path), on_several_labels='class').class_names
            except InputError:
                continue
            if len(classes) > 1 and 'submission' not in path.name.lower():
                tables.append(path)
    return tables


def _fits(pattern: str, names: Sequence[str]) -> bool:
    """Whether most of the names have one of a few classes by a pattern."""
    matches = [match['label'] for name in names if (match := re.match(pattern, name))]
    counts = collections.Counter(matches)
    repeated = sum(count for count in counts.values() if count > 1)
    return len(counts) > 1 and 2 * repeated > len(names)
