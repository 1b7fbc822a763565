"""Limits of a report: the sentence on the split follows how the split was drawn."""

import types

import pytest

from jaxdl.report.ablation import limits


@pytest.mark.parametrize(
    ('drawn', 'words'),
    [
        ('at random', 'a random split'),
        ('', 'a random split'),
        ('in whole groups that the source names', 'every group that the source names'),
        ('in whole clusters of near-duplicates', 'groups of near-duplicates'),
        ('test as the source fixes them, the rest at random', 'was not checked'),
    ],
)
def test_a_split_left_to_the_data_set_is_described_as_it_was_drawn(drawn, words):
    study = types.SimpleNamespace(
        data={'': types.SimpleNamespace(findings=dict(split=drawn))},
        design=lambda condition: dict(data=dict(split=None)),
        conditions=[''],
        base=None,
    )
    (sentence,) = limits._splits(study)
    assert words in sentence
