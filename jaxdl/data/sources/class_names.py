"""Class names as people write them: one class in several spellings, several classes in one name."""

import collections
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from jaxdl.data.listing import Note, note

SPELLING = 'Class names in several spellings (Unicode form, spaces, 1 and 1.0), read as one class'
CASE = 'Class names that differ in case only, read as different classes'
SEVERAL = ('stop', 'skip', 'class')
_NUMBER = re.compile(r'-?[0-9]{1,18}(\.[0-9]{1,18})?')
_ANY = re.compile(r'\s+and\s+|[\s,;|+/&]+')  # between labels, where each is also a class by itself
_STRICT = re.compile(r'\s*[;|]\s*')  # between labels, whatever the other classes are


def canonical(name: str) -> str:
    """The spelling that equal names share: NFC, single spaces, whole numbers without `.0`.

    Examples:
      >>> canonical(' corn  boiled '), canonical('10.0'), canonical('1.5')
      ('corn boiled', '10', '1.5')
    """
    text = ' '.join(unicodedata.normalize('NFC', name).split())
    return re.sub(r'^(-?[0-9]+)\.0+$', r'\1', text)


def unify(classes: Sequence[str], order: Sequence[str]) -> tuple[dict[str, str], tuple[Note, ...]]:
    """Give every class one name: of several spellings the most frequent.

    Args:
      classes: class name of each image.
      order: further spellings, without images.

    Returns:
      Spelling -> name, and notes of the names that are equal or differ in case only.
    """
    counts = collections.Counter(dict.fromkeys(order, 0)) + collections.Counter()
    counts.update(classes)
    spellings: dict[str, list[str]] = collections.defaultdict(list)
    for name in sorted({*counts, *order}):
        spellings[canonical(name)].append(name)
    names = {
        spelling: max(forms, key=lambda form: (counts[form], form == key))
        for key, forms in spellings.items()
        for spelling in forms
    }
    cases: dict[str, list[str]] = collections.defaultdict(list)
    for name in sorted({names[spelling] for spelling in counts}):
        cases[canonical(name).casefold()].append(name)
    several = (
        f'{", ".join(map(ascii, forms))} as {names[forms[0]]!a}'
        for forms in spellings.values()
        if len([form for form in forms if counts[form]]) > 1
    )
    differing = (', '.join(forms) for forms in cases.values() if len(forms) > 1)
    return names, (*note(SPELLING, several), *note(CASE, differing))


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names; by size where all are numbers ('2' before '10', '2.0' before '10.0')."""
    names = list(names)
    numbers = all(_NUMBER.fullmatch(name) for name in names)
    return tuple(sorted(names, key=(lambda name: (Fraction(name), name)) if numbers else None))


def parse_list(name: str) -> tuple[str, ...] | None:
    """Elements of a name that is written as a list, such as `["scab", "rust"]`; else None.

    Examples:
      >>> parse_list("['scab', 'rust']"), parse_list('["corn"]'), parse_list('corn [boiled]')
      (('scab', 'rust'), ('corn',), None)
    """
    if not (name.startswith('[') and name.endswith(']')):
        return None
    try:
        values = json.loads(name)
    except ValueError:
        values = [item.strip().strip('\'"').strip() for item in name[1:-1].split(',')]
    return tuple(str(value) for value in values if str(value))


def join(labels: Sequence[str]) -> str:
    """The name of one label, or the list of several, as `parse_list` reads it.

    Examples:
      >>> join(['corn']), join(['scab', 'rust'])
      ('corn', '["scab", "rust"]')
    """
    return labels[0] if len(labels) == 1 else json.dumps(list(labels), ensure_ascii=False)


def label_sets(names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Names that are several labels of one image.

    Such a name is a list of several elements; or words each of which is a class by itself (`scab
    rust` next to `scab` and `rust`); or words between `|` or `;` that all occur in other names.

    Args:
      names: of all classes.

    Returns:
      Name -> its labels.
    """
    names = sorted(set(names))
    single = {canonical(name) for name in names}
    words = {name: tuple(filter(None, _STRICT.split(name))) for name in names}
    counts = collections.Counter(word for parts in words.values() for word in set(parts))
    sets = {}
    for name in names:
        listed = parse_list(name)
        parts = tuple(filter(None, _ANY.split(canonical(name))))
        if listed is not None:
            if len(set(listed)) > 1:
                sets[name] = listed
        elif len(set(parts)) > 1 and all(part in single for part in parts):
            sets[name] = parts
        elif len(set(words[name])) > 1 and all(counts[word] > 1 for word in words[name]):
            sets[name] = words[name]
    return sets
