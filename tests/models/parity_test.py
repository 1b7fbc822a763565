"""Differences from PyTorch do not exceed the numbers of docs/port.md.

One row per family by default; `PARITY=all` measures every row, as long as `make parity`.
"""

import os

import pytest

torch = pytest.importorskip('torch')
import parity  # noqa: E402

from jaxdl.models import ARCHITECTURES  # noqa: E402

TABLE = parity.read_table(parity.PAGE.read_text(encoding='utf-8'))
SMALL = ('resnet20', 'mobilenetv3_small_100', 'convnextv2_atto', 'vit_tiny_patch16_224')
EVERY = os.environ.get('PARITY') == 'all'


@pytest.mark.skipif(not EVERY, reason='PARITY=all measures every row')
def test_the_table_has_every_architecture():
    assert list(TABLE) == list(ARCHITECTURES)
    assert {name for name, row in TABLE.items() if row.gradients} == {*parity.GRADIENTS}


def test_the_table_has_rows_of_every_family():
    assert [name for name in ARCHITECTURES if name in TABLE] == list(TABLE)
    families = {row.family for row in ARCHITECTURES.values()}
    for names in (SMALL, parity.GRADIENTS):
        assert {ARCHITECTURES[name].family for name in names} == families
    assert max(row.logits for row in TABLE.values()) <= 1e-4
    assert max(row.gradients for row in TABLE.values() if row.gradients) <= 1e-9


@pytest.mark.parametrize('name', ARCHITECTURES if EVERY else SMALL)
def test_logits(name):
    images, difference = parity.measure_logits(name)
    assert images == TABLE[name].images
    assert difference <= TABLE[name].logits


@pytest.mark.parametrize(
    'name', parity.GRADIENTS if EVERY else [name for name in SMALL if TABLE[name].gradients]
)
def test_gradients(name):
    assert parity.measure_gradients(name) <= TABLE[name].gradients


def test_a_written_table_is_read_again():
    names = list(ARCHITECTURES)[:2]
    rows = dict(
        zip(
            names,
            (parity.Bounds('1 x 7, 2 x 8', 5e-7, None), parity.Bounds('x', 1e-6, 2e-9)),
            strict=True,
        )
    )
    page = f'before{parity.BEGIN}{parity.END}after'
    text = parity.write_table(page, rows)
    assert (text[:6], text[-5:]) == ('before', 'after')
    assert parity.read_table(text) == rows
    bounds = [parity.bound(difference) for difference in (3e-7, 5e-7, 9e-7, 1.1e-6)]
    assert bounds == pytest.approx([2e-6, 5e-6, 5e-6, 1e-5])
