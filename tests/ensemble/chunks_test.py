"""Chunks of members: every member trained, one shape, within the memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.ensemble import chunks


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_chunks_hold_every_member_and_fit(rows, columns, devices, limit):
    members = np.arange(rows * columns).reshape(rows, columns)
    sides = chunks.tile(members.shape, devices, limit)
    cut = chunks.cut_chunks(members, sides, devices)
    assert sides[0] * sides[1] <= limit
    assert {chunk.shape for chunk in cut} == {(devices * sides[0], sides[1])}
    assert set(np.concatenate([chunk.ravel() for chunk in cut])) == set(range(rows * columns))
    seeds = np.arange(rows).repeat(columns)
    for chunk in cut:
        assert all(len(set(seeds[row])) == 1 for row in chunk)


def test_no_core_waits_longer_than_it_must():
    seeds = [0, 1, 2] * 5
    assert chunks.layout(seeds, 1, 15, 2)[1] == (3, 5)  # all at once: 8 turns of 2 cores
    members, sides = chunks.layout(seeds, 1, 4, 2)
    assert (members.shape, sides) == (
        (15, 1),
        (4, 1),
    )  # 4 chunks of 2 turns; in rows of 5 it would be 9 of 1
    assert chunks.layout(seeds, 1, 4, 1)[0].shape == (3, 5)


def test_cpu_chunks_fit_the_cache(monkeypatch):
    monkeypatch.setattr(chunks, '_cache_bytes', lambda: 100)
    monkeypatch.setattr(chunks, 'cores_of_a_device', lambda: 4)
    monkeypatch.setattr(chunks, 'memory_limit', lambda: 1000)
    assert [chunks.most_members(size) for size in (1, 9, 12, 60, 400)] == [100, 8, 8, 4, 2]


@given(st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_one_device_with_room_takes_all_at_once(rows, columns):
    assert chunks.tile((rows, columns), 1, rows * columns) == (rows, columns)


def test_rows_share_a_seed():
    assert chunks.rectangle([0, 1, 0, 1]).tolist() == [[0, 2], [1, 3]]
    assert chunks.rectangle([0, 1, 0]).tolist() == [[0], [1], [2]]


@pytest.mark.parametrize(('devices', 'sides'), [(2, (1, 5)), (3, (1, 5)), (5, (3, 1))])
def test_devices_share_the_work_with_the_least_padding(devices, sides):
    rows, columns = chunks.tile((3, 5), devices, 100)
    blocks = -(-3 // rows) * -(-5 // columns)
    assert -(-blocks // devices) * rows * columns * devices <= 18
    if devices != 2:
        assert (rows, columns) == sides
