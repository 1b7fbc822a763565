"""Convolution arithmetic: formulas against XLA and counts; claims that fail for wrong rules."""

import functools
import re

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jaxdl import errors
from jaxdl.theory import shapes
from jaxdl.theory.shapes import cases as shapes_cases
from jaxdl.theory.shapes import checks, conv_output_size, pool_output_size, same_padding
from jaxdl.theory.shapes.cases import Case

CASES = st.builds(
    Case,
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    window=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    stride=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    padding=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    dilation=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)


def shape(case, padding):
    """The shape of a convolution, by JAX."""
    images = jax.ShapeDtypeStruct((1, *case.size, 1), 'float32')
    kernel = jax.ShapeDtypeStruct((*case.window, 1, 1), 'float32')
    conv = functools.partial(
        lax.conv_general_dilated,
        window_strides=case.stride,
        padding=padding,
        rhs_dilation=case.dilation,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    return jax.eval_shape(conv, images, kernel).shape[1:3]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(CASES)
def test_convolution_has_the_size_of_the_formula(case):
    given_size = shape(case, [(p, p) for p in case.padding])
    assert given_size == checks.count_positions(case) or 0 in checks.count_positions(case)
    if checks.is_not_empty(given_size):
        size = conv_output_size(
            case.size, case.window, case.stride, case.padding, dilation=case.dilation
        )
        assert size == given_size
    else:
        with pytest.raises(ValueError, match=r'window=\('):
            conv_output_size(
                case.size, case.window, case.stride, case.padding, dilation=case.dilation
            )


@settings(derandomize=True, max_examples=100, deadline=None)
@given(CASES)
def test_same_padding_is_the_one_of_xla(case):
    pads = same_padding(case.size, case.window, case.stride, dilation=case.dilation)
    assert (
        shape(case, 'SAME')
        == shape(case, pads)
        == tuple(np.ceil(np.divide(case.size, case.stride)))
    )


@settings(derandomize=True, max_examples=100, deadline=None)
@given(CASES)
def test_a_larger_input_never_gives_a_smaller_map_and_a_stride_more_gives_one_pixel_more(case):
    shapely = functools.partial(conv_output_size, stride=case.stride, padding=case.padding)
    large = tuple(j + m for j, m in zip(case.size, case.window, strict=True))
    rows, columns = shapely(large, case.window)
    assert shapely((large[0] + case.stride[0], large[1]), case.window) == (rows + 1, columns)
    assert shapely((large[0], large[1] + 1), case.window)[1] in (columns, columns + 1)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(CASES)
def test_left_over_pixels_change_no_output_size(case):
    if 0 in checks.count_positions(case):
        return
    covered = tuple(j - r for j, r in zip(case.size, checks.unused_pixels(case), strict=True))
    if min(covered) < 1:
        return
    assert shape(case, [(p, p) for p in case.padding]) == conv_output_size(
        covered, case.window, case.stride, case.padding, dilation=case.dilation
    )


@pytest.mark.parametrize(
    ('size', 'window', 'stride', 'padding', 'expected'),
    [
        ((32, 30), (5, 3), 2, 1, (15, 15)),
        ((7, 7), (3, 3), 2, 0, (3, 3)),
        ((8, 5), (2, 2), (3, 1), (0, 1), (3, 6)),
    ],
)
def test_known_sizes(size, window, stride, padding, expected):
    assert conv_output_size(size, window, stride, padding) == expected
    integers = np.array(size), [np.int64(m) for m in window], np.array(stride), np.array(padding)
    actual = conv_output_size(*integers)
    assert actual == expected
    assert all(type(side) is int for side in actual)


def test_pooling_takes_what_a_convolution_leaves():
    assert pool_output_size((9, 8), 3, 2) == (4, 3)
    assert pool_output_size(conv_output_size((32, 32), (5, 5), 1, 0), 2, (2, 3)) == (14, 9)
    with pytest.raises(errors.InputError, match=r'window=.*must fit the padded input of 2 x 2'):
        pool_output_size((2, 2), 3, 1)


GOOD = dict(size=(4, 4), window=(3, 3), stride=1, padding=0)
BAD = [
    dict(window=(5, 5)),
    dict(window=(3, 5)),
    dict(dilation=2),
    dict(stride=0),
    dict(stride=(1, 0)),
    dict(padding=-1),
    dict(size=(4, 2.5)),
    dict(size=(0, 4)),
    dict(size=(4, True)),
    dict(size='44'),
    dict(size=4),
    dict(size=None),
    dict(padding=float('nan')),
    dict(padding='1'),
    dict(window=(3, 3, 3)),
    dict(window=[3]),
    dict(stride=(1, 1, 1)),
    dict(stride=True),
    dict(stride=np.float64(2)),
    dict(stride=np.ones((2, 2), int)),
    dict(dilation=0),
]


@pytest.mark.parametrize('wrong', BAD, ids=str)
def test_bad_input_is_named(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(errors.InputError) as raised:
        conv_output_size(**(GOOD | wrong))
    message = str(raised.value)
    blamed = (
        'window=(3, 3), dilated to 5 x 5' if name == 'dilation' and value else f'{name}={value!r}'
    )
    assert message.startswith(f'{" ".join(blamed.split())}: must ')
    assert '\n' not in message


@pytest.mark.parametrize('window', [0, (2, 2), 2.0, '2', None, True, np.True_])
def test_bad_pooling_window_is_named(window):
    with pytest.raises(
        errors.InputError,
        match=re.escape(f'window={window!r}: must be a whole number of at least 1'),
    ):
        pool_output_size((4, 4), window, 1)


@pytest.fixture(scope='module')
def observed():
    cases = shapes_cases.draw(0, 60)
    return cases, shapes_cases.observe(cases, 0)


def failing(observed, conv=conv_output_size, pool=pool_output_size, same=same_padding):
    """The claims that fail, by their first words."""
    claims = checks.measure(*observed, conv, pool, same)
    return [claim.claim for claim in claims if not claim.holds]


def test_every_claim_holds(observed):
    assert failing(observed) == []
    assert sum(not checks.is_not_empty(size) for size in observed[1].convolutions) > 5


def wrong(rounding):
    """The formula of a convolution with another rounding, and no check."""

    def rule(size, window, stride, padding, *, dilation=1):
        both = (stride, padding, dilation)
        pairs = ((value, value) if isinstance(value, int) else value for value in both)
        return checks.size_by_rounding(rounding, Case(size, window, *pairs))

    return rule


@pytest.mark.parametrize('name', [name for name in checks.ROUNDINGS if name != 'floor, plus 1'])
def test_claims_fail_for_a_wrong_rounding(observed, name):
    rule = wrong(checks.ROUNDINGS[name])
    failed = failing(observed, rule, lambda size, side, stride: rule(size, (side, side), stride, 0))
    assert any(claim.startswith('Convolutions without an output') for claim in failed)
    assert any(claim.startswith('Max poolings without an output') for claim in failed)
    if name != 'towards 0, plus 1':  # which is right wherever there is an output
        assert len([claim for claim in failed if 'with an output' in claim]) == 2
        assert any('compiled and run' in claim for claim in failed)
        assert any('one by one' in claim for claim in failed)
        assert any('SAME' in claim for claim in failed)


def test_claims_fail_for_a_rule_that_never_checks(observed):
    failed = failing(observed, wrong(checks.ROUNDINGS['floor, plus 1']))
    assert [claim.split(':')[0] for claim in failed] == ['Convolutions without an output']


def test_claim_on_same_fails_for_the_padding_of_a_stride_of_one(observed):
    failed = failing(
        observed,
        same=lambda size, window, stride, dilation: same_padding(
            size, window, 1, dilation=dilation
        ),
    )
    assert [claim[:14] for claim in failed] == ["Padding 'SAME'"]


@pytest.mark.parametrize(
    'name', ['ceiling, plus 1', 'nearest, plus 1', 'floor, without the 1', 'towards 0, plus 1']
)
def test_claims_on_wrong_roundings_fail_where_the_rounding_is_right(observed, monkeypatch, name):
    right = {name: checks.ROUNDINGS['floor, plus 1']}
    monkeypatch.setattr(checks, 'ROUNDINGS', checks.ROUNDINGS | right)
    assert [claim for claim in failing(observed) if f'"{name}"' in claim]


@pytest.mark.system
def test_formulas_import_no_jax():
    import subprocess
    import sys

    code = (
        'import sys; from jaxdl import theory; theory.shapes.conv_output_size; '
        'assert "jax" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_settings_are_ruled():
    assert shapes.Settings().cases == 2000
