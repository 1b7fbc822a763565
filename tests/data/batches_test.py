"""Batches of a fine-tuning: order as a function of the step, on any number of processes."""

import numpy as np
import pytest

from jaxdl.data import batches as pipeline
from jaxdl.data.batches import Feed

COUNT, USED, SIZE = 50, 40, 8


def feed(**settings):
    images = np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    labels = (np.arange(COUNT) % 7).astype(np.int32)
    return Feed(images, labels, np.arange(USED), SIZE, **dict(dict(seed=1), **settings))


def images_of(source):
    """The images of every batch, whose pixels say which they are."""
    result = []
    for images, labels in source:
        numbers = images[:, 0, 0, 0]
        np.testing.assert_array_equal(labels, numbers % 7)
        result.append(numbers.tolist())
    return result


def flat(batches):
    return [number for batch in batches for number in batch]


def test_an_epoch_has_every_image_once_and_the_next_another_order():
    batches = images_of(pipeline.batches(feed(), 0, 10))
    first, second = flat(batches[:5]), flat(batches[5:])
    assert sorted(first) == sorted(second) == list(range(USED))
    assert first != second


@pytest.mark.parametrize('start', [0, 3, 9])
def test_a_resumed_run_gets_the_same_batches(start):
    assert (
        images_of(pipeline.batches(feed(), start, 12))
        == images_of(pipeline.batches(feed(), 0, 12))[start:]
    )


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_together_see_what_one_sees(processes):
    parts = [
        images_of(pipeline.batches(feed(), 2, 12, (number, processes)))
        for number in range(processes)
    ]
    assert [flat(rows) for rows in zip(*parts, strict=True)] == images_of(
        pipeline.batches(feed(), 2, 12)
    )


def test_a_batch_may_hold_the_end_of_an_epoch_and_the_beginning_of_the_next():
    source = feed()._replace(batch_size=12)
    result = flat(images_of(pipeline.batches(source, 0, 10)))
    assert sorted(result[:USED]) == sorted(result[USED : 2 * USED]) == list(range(USED))


def test_seeds_have_orders_of_their_own():
    assert images_of(pipeline.batches(feed(seed=1), 0, 5)) != images_of(
        pipeline.batches(feed(seed=2), 0, 5)
    )


def test_balanced_epochs_have_all_classes_alike():
    labels = np.repeat(np.arange(4), [30, 6, 3, 1]).astype(np.int32)
    source = Feed(np.zeros((40, 1, 1, 3), np.uint8), labels, np.arange(40), SIZE, 0, balanced=True)
    drawn = pipeline.order(source, 0)
    assert np.bincount(labels[drawn]).tolist() == [10, 10, 10, 10]
    assert len(np.unique(drawn[labels[drawn] == 0])) == 10  # none twice while others wait
    assert pipeline.order(source, 1).tolist() != drawn.tolist()
