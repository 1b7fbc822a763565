"""Result of the check of the data: missing, broken, duplicate and near-duplicate images."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl.report.ablation import reading
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import image_figures, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

ENDS = ('smallest', 'largest')
NAMED = 5  # examples of what was left out, guessed or renamed
CLEAN = 'No image is missing, broken or duplicated.'
IDENTICAL = 'Identical images in different splits make every option look better than it is.'
POSSIBLE = (
    'A possible near-duplicate is a pair with similar pixels. If both show one object at one '
    'moment, every option looks better than it is: compare the pairs in the figure.'
)
# python -m benchmarks.near_duplicates, 600 drawn images each, 2026-11-30
ALARMS = (
    'Of drawn images that are all different, 1.3 % (products on a plain background), 4.0 % '
    '(characters) and 0 % (scenes) are in such a pair.'
)
REMEDY = f'{markup.code("--set=split=grouped")} keeps each group of near-duplicates in one split.'
FIXED = 'The source fixes these splits.'
MISSED = (
    'Perceptual hashes compare light and dark areas; bursts from other angles are not detected.'
)
SIMPLE = (
    'More than half of the images have a possible near-duplicate. Simple images (drawn characters, '
    'aligned scans) look alike without being one burst.'
)


def blocks(study: AblationRun, condition: str, figure: str) -> list[Block]:
    """Splits and findings as tables, pairs of near-duplicates as a figure named `figure`."""
    findings = study.data[condition].findings
    path = study.folder(condition) / 'near_duplicates.npz'
    return finding_blocks(findings, path, figure) if findings else []


def finding_blocks(findings: Mapping[str, Any], path: pathlib.Path, figure: str) -> list[Block]:
    """`blocks` of the findings in a plan; `path` is the file of the pairs, which may be absent."""
    rows = _rows(findings)
    table = Table('Findings of the data check', ('Finding', 'Count', 'Examples'), rows, 'wrw')
    near = findings['near']
    text = [] if rows else [CLEAN]
    if not near['checked']:
        text.append(f'Near-duplicates were not searched: {_flat(near["why"])}.')
    parts: list[Block] = [_parts(findings), *([table] if rows else [])]
    return [
        *parts,
        *(Paragraph(line) for line in [*text, *_advice(findings)]),
        *_figure(near, path, figure),
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
    drawn = f', drawn {_flat(findings["split"])}' if findings['split'] else ''
    return Table(
        f'Splits{drawn}',
        ('Split', 'Images', 'Classes', 'Smallest class', 'Largest class'),
        rows,
        'lrrww',
    )


def _rows(findings: Mapping[str, Any]) -> list[list[str]]:
    """One row per kind of finding that occurs."""
    skipped, single, same, near = (
        findings[key] for key in ('skipped', 'single', 'identical', 'near')
    )
    broken = (f'{markup.name(name)} ({_flat(why)})' for name, why in skipped['examples'])
    rows = [
        ('Left out: cannot be decoded', skipped['count'], broken),
        ('Classes of a single image', single['count'], map(markup.name, single['examples'])),
    ]
    rows += [
        (
            _flat(note['finding']),
            note['count'],
            (markup.name(words.local(name)) for name in note['examples'][:NAMED]),
        )
        for note in findings.get('notes', ())
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
    for kind, pairs in (('Identical images', same), ('Possible near-duplicates', near)):
        if 'across' in pairs:
            rows += _pair_rows(kind, pairs)
    if same['files']:
        rows.append(('Identical images with the same bytes', same['files'], ()))
    return [
        [finding, words.exactly(count), '; '.join(examples) or words.DASH]
        for finding, count, examples in rows
        if count
    ]


def _pair_rows(kind: str, pairs: Mapping[str, Any]) -> list[tuple[str, int, Sequence[str]]]:
    between = {name: between for name, between in pairs['across'].items() if between['pairs']}
    inside = pairs['pairs'] - sum(counts['pairs'] for counts in between.values())
    rows: list[tuple[str, int, Sequence[str]]] = [(f'{kind} within a split, pairs', inside, ())]
    for name, counts in between.items():
        one, other = name.split('-')
        examples = [_pair(pair) for pair in pairs['examples'] if pair['parts'] == [one, other]][:3]
        rows.append(
            (
                f'{kind} of {one} in {other}, pairs',
                counts['pairs'],
                [f'{counts["images"]:,} of {other}', *examples],
            )
        )
    conflicts = pairs['conflicts']
    labelled = [_class_names(pair) for pair in conflicts['examples'][:5]]
    return [*rows, (f'{kind} of different classes, pairs', conflicts['count'], labelled)]


def _pair(pair: Mapping[str, Any]) -> str:
    sides = zip(pair['parts'], pair['ids'], strict=True)
    return ' and '.join(f'{part} {markup.name(words.local(name))}' for part, name in sides)


def _class_names(pair: Mapping[str, Any]) -> str:
    return ', '.join(
        f'{markup.name(words.local(name))} as {_flat(label)}'
        for name, label in zip(pair['ids'], pair['classes'], strict=True)
    )


def _advice(findings: Mapping[str, Any]) -> list[str]:
    near, same = findings['near'], findings['identical']
    across = [
        sum(counts['pairs'] for counts in pairs.get('across', {}).values())
        for pairs in (same, near)
    ]
    images = sum(part['images'] for part in findings['parts'].values())
    lines = []
    remedy = FIXED if 'as the source fixes' in findings['split'] else REMEDY
    if across[0]:
        lines.append(f'{IDENTICAL} {remedy}')
    if across[1]:
        lines.append(f'{POSSIBLE} {ALARMS} {remedy}')
    if near['checked'] and near['pairs']:
        lines.append(
            f'Possible near-duplicates form {words.count(near["clusters"], "group")} of '
            f'{near["clustered"]:,} images; the largest has {near["largest"]:,}. '
            f'{SIMPLE if 2 * near["clustered"] > images else MISSED}'
        )
    return lines


def _figure(near: Mapping[str, Any], path: pathlib.Path, name: str) -> list[Block]:
    images = reading.arrays(path)
    if not near.get('examples') or not {'first', 'second'} <= set(images):
        return []
    return [image_figures.pairs(name, near['examples'], images['first'], images['second'])]


def _class(extreme: Sequence[Any]) -> str:
    return f'{markup.name(extreme[0])} ({extreme[1]:,})'


def _flat(text: str) -> str:
    return markup.flat(words.local(text))
