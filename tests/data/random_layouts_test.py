"""A hundred random folders and tables: each is loaded as it was constructed, or refused."""

import collections
import contextlib
import io
import os
import pathlib
import shutil
import tempfile
import unicodedata

import pytest
import random_layouts
from hypothesis import HealthCheck, given, settings

from jaxdl.data import Data, load
from jaxdl.errors import InputError

EXAMPLES = int(os.environ.get('LAYOUTS', '100'))  # thousands find rarer kinds


def check(made, outcomes):
    """Load a construction in an empty folder."""
    top = pathlib.Path(tempfile.mkdtemp())
    try:
        os.chdir(top)
        made.write(top)
        with contextlib.redirect_stderr(io.StringIO()):  # thousands of notes
            outcomes[_load(made)] += 1
    finally:
        os.chdir(top.parent)
        shutil.rmtree(top)


def _load(made):
    expected, untrained = made.expected()
    lines = []
    try:
        dataset = load(Data(dataset=made.dataset, image_size=4, on_bad_image='skip'))
    except InputError as error:
        lines = str(error).splitlines()
    if lines:
        assert len(lines) == 1
        return 'refused'
    parts = dataset.parts or ['train'] * len(dataset.ids)
    loaded = collections.Counter(
        (part, random_layouts.spelling(dataset.class_names[label]), place(made, name))
        for part, label, name in zip(parts, dataset.labels, dataset.ids, strict=True)
    )
    assert loaded == collections.Counter(expected)
    notes = ' | '.join(f'{n.finding}: {n.count}: {"; ".join(n.examples)}' for n in dataset.notes)
    notes = unicodedata.normalize('NFC', notes)
    skipped = {place(made, name) for name, _ in dataset.skipped}
    kinds = {random_layouts.spelling(name) for name in dataset.class_names}
    for path, (_, kind) in made.broken.items():
        left_out = random_layouts.spelling(kind) not in kinds
        assert path in skipped or (left_out and id_of(made, path) in notes), path
    for name in (*made.named, *untrained):
        assert name in notes
    passed = sum(note.count for note in dataset.notes if note.finding.startswith('Passed over'))
    if made.dataset.startswith('folder'):
        assert passed == len(made.others)
    return 'loaded'


def place(made, name):
    """The file that an id names."""
    if not made.table:
        return f'f/{name}'
    return made.ids.get(name) or made.ids[name.replace(str(pathlib.Path.cwd()), random_layouts.TOP)]


def id_of(made, path):
    """The id of a file, without the folder of the test."""
    ids = {place: name for name, place in made.ids.items()}
    name = ids[path].replace(random_layouts.TOP, '') if made.table else path[2:]
    return unicodedata.normalize('NFC', name)


@pytest.mark.parametrize('strategy', ['trees', 'tables'])
def test_random_layouts(strategy):
    outcomes = collections.Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(getattr(random_layouts, strategy)())
    def run(made):
        check(made, outcomes)

    run()
    assert outcomes['loaded'] > 3 * outcomes['refused']
