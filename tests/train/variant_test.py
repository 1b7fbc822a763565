"""Groups of variants: fields that split a group, and fields that do not."""

import dataclasses

import jax
import pytest

from jaxdl import augment, models
from jaxdl.errors import InputError
from jaxdl.models import layers
from jaxdl.train import losses, optim, variant
from jaxdl.train.variant import Variant

FIELDS = {f.name: f for f in dataclasses.fields(Variant)}
LEAVES = [n for n, f in FIELDS.items() if f.metadata.get('pytree_node', True)]
INITIAL = [n for n, f in FIELDS.items() if f.metadata.get('initial')]
STATIC = [n for n in FIELDS if n not in LEAVES + INITIAL]


def another(name):
    """A value of the field that is not its default."""
    default = FIELDS[name].default
    if isinstance(default, str):
        rows = [row for row in ROWS[name] if row != default]
        return rows[0] if rows else None
    if isinstance(default, tuple):
        return ('head',)
    return default + 1 if isinstance(default, int) else default / 2 + 0.1


ROWS = dict(
    init=layers.INITS,
    model=models.MODELS,
    norm=layers.NORMS,
    activation=layers.ACTIVATIONS,
    skip=layers.SKIPS,
    pooling=layers.POOLINGS,
    global_pooling=layers.GLOBAL_POOLINGS,
    loss=losses.LOSSES,
    optimizer=optim.OPTIMIZERS,
    schedule=optim.SCHEDULES,
    augmentation=augment.OWN,
    init_from=('', 'weights.npz'),  # any file
)
NAMES = [n for n, f in FIELDS.items() if isinstance(f.default, str) and n != 'init_from']


@pytest.mark.parametrize('name', LEAVES + INITIAL)
def test_leaves_and_starting_values_share_a_program(name):
    other = variant.replace(Variant(), {name: another(name)})
    assert other != Variant()
    assert variant.program_key(other, ()) == variant.program_key(Variant(), ())


@pytest.mark.parametrize('name', STATIC)
def test_static_fields_need_another_program(name):
    if another(name) is None:
        pytest.skip('the table has one row')
    other = variant.replace(Variant(), {name: another(name)})
    assert variant.program_key(other, ()) != variant.program_key(Variant(), ())


def test_shapes_need_another_program():
    assert variant.program_key(Variant(), (8, 8)) != variant.program_key(Variant(), (9, 8))


@pytest.mark.parametrize('name', NAMES)
def test_only_table_rows_are_valid_values(name):
    for row in ROWS[name]:
        assert getattr(variant.replace(Variant(), {name: row}), name) == row
    with pytest.raises(InputError, match=r'did you mean|known'):
        variant.replace(Variant(), {name: 'no such row'})


def test_stack_gives_a_leaf_for_each_member():
    stacked = variant.stack([Variant(dropout=0.1), Variant(dropout=0.2), Variant(dropout=0.3)])
    assert [leaf.shape for leaf in jax.tree.leaves(stacked)] == [(3,)] * len(LEAVES)
    assert stacked.dropout.tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize('name', INITIAL)
def test_the_stacked_structure_does_not_depend_on_the_order(name):
    other = variant.replace(Variant(), {name: another(name)})
    forwards, backwards = variant.stack([Variant(), other]), variant.stack([other, Variant()])
    assert jax.tree.structure(forwards) == jax.tree.structure(backwards)


def test_variants_of_two_programs_cannot_be_stacked():
    with pytest.raises(ValueError, match='static fields differ'):
        variant.stack([Variant(depth=1), Variant(depth=2)])
