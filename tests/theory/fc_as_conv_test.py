"""Dense layers as convolutions and back; claims that fail for wrong weights."""

import dataclasses

import numpy as np
import pytest

from jaxdl import errors
from jaxdl.models.conv import conv
from jaxdl.theory import fc_as_conv, shapes
from jaxdl.theory.fc_as_conv import (
    checks,
    connections,
    dense_of_kernel,
    kernel_of_dense,
    scores,
    sliding,
)
from jaxdl.train import train_step

CARRIED = [
    'outputs',
    'gradients w.r.t. input',
    'gradients w.r.t. weights',
]  # not the bias, which stays as it is


def columns_first(weights, size):
    """Wrong: as if the map had been flattened column by column."""
    turned = np.asarray(weights).reshape(size[1], size[0], -1, np.shape(weights)[1])
    return np.swapaxes(turned, 0, 1)


def channels_first(weights, size):
    """Wrong: as if the channels had been flattened first."""
    return np.moveaxis(np.asarray(weights).reshape(-1, *size, np.shape(weights)[1]), 0, 2)


def failing(claims):
    return [claim.claim for claim in claims if not claim.holds]


def test_dense_layers_are_convolutions():
    assert failing(checks.dense_as_convolution(1, kernel_of_dense)) == []
    assert failing(checks.dense_at_each_pixel(1, kernel_of_dense)) == []


@pytest.mark.parametrize('wrong', [columns_first, channels_first])
def test_claims_on_dense_layers_fail_for_a_wrong_order(wrong):
    failed = failing(checks.dense_as_convolution(0, wrong))
    assert [claim.split('difference of ')[1] for claim in failed] == CARRIED


def test_claims_at_each_pixel_fail_for_other_weights():
    failed = failing(
        checks.dense_at_each_pixel(0, lambda weights, size: 1.001 * kernel_of_dense(weights, size))
    )
    assert [claim.split('difference of ')[1] for claim in failed] == CARRIED


def test_convolutions_are_dense_layers():
    assert failing(checks.convolution_as_dense(1, dense_of_kernel, connections)) == []


def test_claims_on_convolutions_fail_for_a_filter_that_is_turned_over():
    turned = lambda kernel, *rest: dense_of_kernel(kernel[::-1, ::-1], *rest)
    failed = failing(checks.convolution_as_dense(0, turned, connections))
    assert len(failed) == 3
    assert all('difference' in claim for claim in failed)


def test_claims_on_entries_fail_for_counts_that_forget_the_padding():
    def forgetful(shape, size, stride, padding):
        rows, columns = shapes.conv_output_size(size, shape[:2], stride, padding)
        entries, _, distinct = connections(shape, size, stride, padding)
        return entries + 1, rows * columns * int(np.prod(shape)), distinct * rows

    failed = failing(checks.convolution_as_dense(0, dense_of_kernel, forgetful))
    assert len(failed) == 3
    assert all('Jacobians' in claim for claim in failed)


@pytest.mark.parametrize(('stride', 'padding'), [(1, 0), (2, 1), (1, 3), (3, 2)])
def test_dense_matrix_is_the_convolution_of_the_models(stride, padding):
    random = np.random.default_rng(stride)
    images, kernel = random.normal(size=(2, 6, 5, 3)), random.normal(size=(4, 2, 3, 2))
    matrix = dense_of_kernel(kernel, (6, 5), stride, padding)
    expected = conv(images.astype('float32'), kernel.astype('float32'), stride, padding, 'patches')
    np.testing.assert_allclose(
        images.reshape(2, -1) @ matrix, np.reshape(expected, (2, -1)), atol=1e-4
    )
    entries, connected, _ = connections(kernel.shape, (6, 5), stride, padding)
    assert (matrix.size, np.count_nonzero(matrix)) == (entries, connected)


def test_a_filter_as_large_as_the_map_is_the_dense_layer_itself():
    weights = np.random.default_rng(0).normal(size=(4 * 3 * 2, 5))
    np.testing.assert_array_equal(
        dense_of_kernel(kernel_of_dense(weights, (4, 3)), (4, 3)), weights
    )


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (
            lambda: kernel_of_dense(np.ones((7, 2)), (2, 2)),
            r'weights of shape \(7, 2\): must be \[2 \* 2',
        ),
        (lambda: kernel_of_dense(np.ones(8), (2, 2)), r'weights of shape \(8,\)'),
        (lambda: dense_of_kernel(np.ones((3, 3)), (4, 4)), r'kernel of shape \(3, 3\)'),
        (lambda: dense_of_kernel(np.ones((5, 5, 1, 1)), (4, 4)), r'window=\(5, 5\)'),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(errors.InputError, match=words):
        call()


@pytest.fixture(scope='module')
def slid():
    """Untrained classifier, a scene of noise in place of digits, and the result of sliding."""
    state = train_step.init_state(
        sliding.VARIANT, 0, train_step.module_of(sliding.VARIANT, 10), (8, 8, 1)
    )
    images = np.random.default_rng(0).normal(size=(20, 8, 8, 1))
    classifier = sliding.classifier_of(state.params, images, np.arange(20) % 10, 10)
    scene = sliding.scene_of(classifier, 6, 0)
    return classifier, scene, sliding.slide(classifier, scene, kernel_of_dense)


def sizes():
    return shapes.conv_output_size, shapes.pool_output_size


def test_sliding_is_cutting(slid):
    assert failing(scores.measure(*slid, *sizes())) == []


def test_no_digit_reaches_into_the_window_of_another(slid):
    classifier, scene, _ = slid
    windows = sliding.windows_of(scene.canvas).reshape(28, 28, 10, 10)
    for (row, column), which in zip(scene.places, scene.chosen, strict=True):
        framed = np.pad(classifier.images[which][..., 0], 1)
        np.testing.assert_array_equal(windows[row, column], framed)
    assert len(scene.places) == 6


def test_claims_on_scores_fail_for_a_wrong_order(slid):
    classifier, scene, _ = slid
    wrong = sliding.slide(classifier, scene, columns_first)
    failed = failing(scores.measure(classifier, scene, wrong, *sizes()))
    assert [claim.split()[0] for claim in failed][:2] == ['Classifier', 'Score']
    assert 'Digits' in failed[-1]


def test_claims_on_sizes_and_operations_fail_for_a_wrong_formula(slid):
    wrong = lambda *arguments: tuple(side + 1 for side in shapes.conv_output_size(*arguments))
    failed = failing(scores.measure(*slid, wrong, shapes.pool_output_size))
    assert [claim.split()[0] for claim in failed] == ['Rows', 'Columns', 'Operations', 'Operations']


def test_the_claim_on_digits_fails_for_other_positions(slid):
    classifier, scene, predicted = slid
    moved = dataclasses.replace(scene, places=(scene.places + 5) % 28)
    assert any(
        claim.startswith('Digits')
        for claim in failing(scores.measure(classifier, moved, predicted, *sizes()))
    )


def test_claim_on_time_can_fail():
    assert not failing(scores.speed_claims(dict(whole=1.0, one_by_one=2.5)))
    assert failing(scores.speed_claims(dict(whole=1.0, one_by_one=1.5)))


def test_settings_are_ruled():
    assert fc_as_conv.Settings().digits == 12
