"""Folders of empty files, and the content of a listing as sets that read at a glance."""

import pathlib


def touch(*names):
    for name in names:
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def content(listing):
    """`split class id` of each image; without the split where the source fixes none."""
    parts = listing.parts or [''] * len(listing.ids)
    classes = (listing.class_names[label] for label in listing.labels)
    return {
        f'{part} {name} {i}'.strip()
        for part, name, i in zip(parts, classes, listing.ids, strict=True)
    }


def notes(listing):
    """The examples by finding."""
    return {note.finding: note.examples for note in listing.notes}
