"""What the check of the data found before training: missing, broken, there twice.

Or on two sides of a split.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import image_figures, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

ENDS = ('smallest', 'largest')
CLEAN = 'Nothing is missing, broken or duplicated.'
FLATTER = (
    'Images that resemble training images are easier than new ones: near-duplicates across the split flatter the '
    'accuracy of every option.'
)
REMEDY = f'{markup.code("--set=split=grouped")} keeps each cluster of them on one side.'
FIXED = 'The source fixes these parts, and no split of ours moves them.'
MISSED = 'A series from other angles escapes this check: it compares how light and dark are laid out, and no more.'
SIMPLE = (
    'More than half of the images have a near-duplicate: simple ones (drawn characters, aligned scans) look alike '
    'without being one series.'
)


def blocks(study: Study, condition: str, figure: str) -> list[Block]:
    """The parts and what was found in them as tables.

    And pairs of near-duplicates as a figure named `figure`.
    """
    findings = study.data[condition].get('findings')
    place = study.artifacts / str(study.conditions.index(condition)) / 'near_duplicates.npz'
    return found(findings, place, figure) if findings else []


def found(findings: Mapping[str, Any], place: pathlib.Path, figure: str) -> list[Block]:
    """`blocks` of the findings in a plan; place: the file of the pictures, which may be absent."""
    rows = _rows(findings)
    table = Table('What the check of the data found', ('What', 'How many', 'Which'), rows, 'wrw')
    near = findings['near']
    text = [] if rows else [CLEAN]
    if not near['checked']:
        text.append(f'Near-duplicates were not looked for: {_flat(near["why"])}.')
    parts: list[Block] = [_parts(findings), *([table] if rows else [])]
    return [
        *parts,
        *(Paragraph(line) for line in [*text, *_advice(findings)]),
        *_figure(near, place, figure),
    ]


def _parts(findings: Mapping[str, Any]) -> Table:
    rows = [
        [
            name,
            words.exactly(part['images']),
            words.exactly(part['classes']),
            *(_class(part[k]) for k in ENDS),
        ]
        for name, part in findings['parts'].items()
    ]
    how = f', drawn {_flat(findings["split"])}' if findings['split'] else ''
    return Table(
        f'The parts{how}',
        ('Part', 'Images', 'Classes', 'Smallest class', 'Largest class'),
        rows,
        'lrrww',
    )


def _rows(findings: Mapping[str, Any]) -> list[list[str]]:
    """A row for each kind of thing that was found at all."""
    skipped, single, same, near = (
        findings[key] for key in ('skipped', 'single', 'identical', 'near')
    )
    broken = (f'{markup.name(name)} ({_flat(why)})' for name, why in skipped['examples'])
    rows = [
        ('Left out, as they cannot be decoded', skipped['count'], broken),
        ('Classes of a single image', single['count'], map(markup.name, single['examples'])),
    ]
    for name, part in findings['parts'].items():
        absent = part['missing']
        rows.append(
            (
                f'Classes without an image in {name}',
                absent['count'],
                map(markup.name, absent['examples']),
            )
        )
    for kind, found in (('Identical images', same), ('Near-duplicates', near)):
        if 'across' in found:
            rows += _pair_rows(kind, found)
    if same['files']:
        rows.append(('Of the identical ones, the same file byte by byte', same['files'], ()))
    return [
        [what, words.exactly(count), '; '.join(which) or words.DASH]
        for what, count, which in rows
        if count
    ]


def _pair_rows(kind: str, found: Mapping[str, Any]) -> list[tuple[str, int, Sequence[str]]]:
    between = {name: between for name, between in found['across'].items() if between['pairs']}
    inside = found['pairs'] - sum(own['pairs'] for own in between.values())
    rows: list[tuple[str, int, Sequence[str]]] = [(f'{kind} within a part, pairs', inside, ())]
    for name, own in between.items():
        one, other = name.split('-')
        which = [_pair(pair) for pair in found['examples'] if pair['parts'] == [one, other]][:3]
        rows.append(
            (
                f'{kind} of {one} in {other}, pairs',
                own['pairs'],
                [f'{own["images"]:,} of {other}', *which],
            )
        )
    conflicts = found['conflicts']
    labelled = [_labelled(pair) for pair in conflicts['examples'][:5]]
    return [*rows, (f'{kind} of different classes, pairs', conflicts['count'], labelled)]


def _pair(pair: Mapping[str, Any]) -> str:
    sides = zip(pair['parts'], pair['ids'], strict=True)
    return ' and '.join(f'{part} {markup.name(words.local(name))}' for part, name in sides)


def _labelled(pair: Mapping[str, Any]) -> str:
    return ', '.join(
        f'{markup.name(words.local(name))} as {_flat(label)}'
        for name, label in zip(pair['ids'], pair['classes'], strict=True)
    )


def _advice(findings: Mapping[str, Any]) -> list[str]:
    near, same = findings['near'], findings['identical']
    apart = [
        sum(own['pairs'] for own in found['across'].values())
        for found in (same, near)
        if 'across' in found
    ]
    images = sum(part['images'] for part in findings['parts'].values())
    lines = []
    if sum(apart):
        lines.append(f'{FLATTER} {FIXED if "as the source fixes" in findings["split"] else REMEDY}')
    if near['checked'] and near['pairs']:
        lines.append(
            f'Near-duplicates form {words.count(near["clusters"], "cluster")} of {near["clustered"]:,} images, the '
            f'largest of {near["largest"]:,}. {SIMPLE if 2 * near["clustered"] > images else MISSED}'
        )
    return lines


def _figure(near: Mapping[str, Any], path: pathlib.Path, name: str) -> list[Block]:
    found = reading.arrays(path)
    if not near.get('examples') or not {'first', 'second'} <= set(found):
        return []
    return [image_figures.pairs(name, near['examples'], found['first'], found['second'])]


def _class(extreme: Sequence[Any]) -> str:
    return f'{markup.name(extreme[0])} ({extreme[1]:,})'


def _flat(text: str) -> str:
    return markup.flat(words.local(text))
