"""Expected ranges of the measurements of each option, and hints for values outside of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.ablation.checks import networks
from jaxdl.ablation.checks.rows import FAILS, LOOK, OK, Row
from jaxdl.ensemble import Result
from jaxdl.train import losses
from jaxdl.train.variant import Variant

# The first loss should be that of logits of 0, and is more by as much as the logits differ. He's
# start gives them a standard deviation of 1 to 2 (measured over the studies that ship with jaxdl,
# 2026-11-24); beyond 3 the network is confident before it is trained.
LOGITS = dict(look=2.0, fails=3.0)
# of that loss: where several seeds start lower on average, the inputs contain the label
LOWEST = 0.7
OUTPUT_SPREAD = dict(
    look=1e-3, fails=1e-6
)  # of the mean output: by how much the outputs for the images differ
GRADIENT = 1e-3  # float32 errs by about 1e-5, a mistake by 1e-2 and more
# About 1e-3 in the middle of a long run (Karpathy, lecture notes of CS231n). First steps are
# longer: those at the rates that did best in the studies that ship with jaxdl 0.01 to 0.1. A step
# of 1 leaves nothing of the weights.
# Range of the validation accuracy of trainings that differ by rounding alone.
ROUNDING = 0.02
UPDATE_SIZE = dict(look=(1e-4, 1e-1), fails=(1e-5, 1.0))


def check_first_loss(variant: Variant, num_classes: int, results: Sequence[Result]) -> Row:
    """Check the first loss, over several seeds: that of equal chances, or little more.

    Weights of a file may have been trained: their loss must be finite.
    """
    at, high, most = (
        _loss_at(scale, variant, num_classes) for scale in (0.0, LOGITS['look'], LOGITS['fails'])
    )
    loss, spread = (float(np.mean([one[name] for one in results])) for name in ('loss', 'spread'))
    verdict = FAILS if not LOWEST * at <= loss <= most else LOOK if loss > high else OK
    hint = 'the logits are too large: use a smaller init_scale, or a norm'
    if loss < LOWEST * at:
        hint = 'too low without training: is the label in the input, or does the loss lack a sum?'
    if not np.isfinite(loss):
        hint = (
            'not finite: look for a division by 0, a root or logarithm of 0, large initial weights'
        )
    expected = f'{at:.2f} to {high:.2f}'
    if variant.init_from:
        expected, verdict = 'finite', OK if np.isfinite(loss) else FAILS
    return Row('first loss', expected, f'{loss:.3g}, logits \u00b1 {spread:.2g}', verdict, hint)


def check_dead_inputs(result: Result) -> Row:
    """Check that every input changes the loss of some image."""
    dead = float(result['dead'])
    verdict = FAILS if dead > 0.5 else LOOK if dead > 0 else OK
    hint = 'no loss depends on some inputs: a dead activation, initial zeros, or pixels cut off'
    return Row('no dead input', '0 % without gradient', f'{100 * dead:.3g} %', verdict, hint)


def check_outputs_differ(result: Result) -> Row:
    """Check that the output depends on the image."""
    outputs = np.asarray(result['outputs'], np.float64)
    differ = float(outputs.std(0).mean() / max(float(np.abs(outputs).mean()), 1e-30))
    verdict = (
        FAILS
        if not differ >= OUTPUT_SPREAD['fails']
        else LOOK
        if differ < OUTPUT_SPREAD['look']
        else OK
    )
    hint = 'the output hardly depends on the image: try another init, a norm or a skip'
    return Row(
        'no constant output',
        f'differ by {OUTPUT_SPREAD["look"]:g} of the mean',
        f'by {differ:.2g}',
        verdict,
        hint,
    )


def check_overfitting(results: Mapping[float, Result], images: int) -> Row:
    """Check that a small batch is learnt to 100 % at one of the learning rates."""
    best = max(results, key=lambda rate: (results[rate]['learnt'], -results[rate]['steps']))
    learnt, steps = float(results[best]['learnt']), int(results[best]['steps'])
    after = f' after {steps} step{"s" * (steps != 1)}' if steps < networks.OVERFIT_STEPS else ''
    expected = f'100 % in {networks.OVERFIT_STEPS} steps'
    hint = 'cannot overfit a small batch: check labels, loss, dead units and learning rates'
    verdict = OK if learnt == 1 else FAILS
    return Row(
        f'overfit {images} images',
        expected,
        f'{100 * learnt:.3g} % at {best:g}{after}',
        verdict,
        hint,
    )


def check_gradients(errors: Mapping[str, float]) -> Row:
    """Check the worst gradient of all parameters."""
    name = max(errors, key=lambda name: np.inf if np.isnan(errors[name]) else errors[name])
    verdict = OK if errors[name] <= GRADIENT else FAILS
    measured = (
        f'to {10 ** np.ceil(np.log10(max(errors[name], 1e-6))):g}'
        if verdict == OK
        else f'{errors[name]:.2g} off, {name}'
    )
    hint = (
        'a derivative is wrong (a custom_vjp, a lowering, a stop_gradient), or the loss overflows'
    )
    return Row('gradients', f'differences to {GRADIENT:g}', measured, verdict, hint)


def check_update_size(rate: float, result: Result) -> Row:
    """Check the relative size of an update: the median over the kernels that move.

    The longest of the first steps counts.
    """
    update, weights = (np.asarray(result[name], np.float64) for name in ('update', 'weights'))
    moving = update.max(0) > 0
    expected = f'0.0001 to 0.1 at {rate:g}'
    if not np.isfinite(update).all():
        hint = f'diverges within {networks.UPDATE_STEPS} steps: use lower learning rates'
        return Row('update / weights', expected, 'not finite', FAILS, hint)
    if moving.sum() * 2 < len(moving):
        hint = 'kernels without a gradient: look for initial zeros and dead units'
        return Row(
            'update / weights',
            expected,
            f'{moving.sum()} of {len(moving)} kernels move',
            FAILS,
            hint,
        )
    ratio = float(np.median(update[:, moving] / np.maximum(weights[:, moving], 1e-30), 1).max())
    verdict = (
        FAILS
        if not _within(ratio, UPDATE_SIZE['fails'])
        else OK
        if _within(ratio, UPDATE_SIZE['look'])
        else LOOK
    )
    change = 'long steps: lower' if ratio > 1e-3 else 'short steps: raise'
    hint = f'{change} the learning rates'
    return Row('update / weights', expected, f'{ratio:.2g}', verdict, hint)


def check_rounding(accuracies: Sequence[float], images: int) -> Row:
    """Check how far trainings that differ by rounding alone end apart.

    Args:
      accuracies: validation accuracy of each training.
      images: number of validation images.
    """
    spread = float(np.ptp(accuracies))
    measured = f'{100 * spread:.2g} points, {round(spread * images)} of {images:,} images'
    hint = (
        'rounding alone moves one run by as much, as on another machine: compare no single runs; '
        'intervals over seeds include it'
    )
    verdict = OK if spread <= ROUNDING else LOOK
    return Row('rounding', f'at most {100 * ROUNDING:g} points', measured, verdict, hint)


def _loss_at(scale: float, variant: Variant, num_classes: int) -> float:
    """The mean loss of random logits of a standard deviation, with the targets of the variant."""
    logits = scale * np.random.default_rng(0).normal(size=(4096, num_classes)).astype(np.float32)
    targets = losses.targets(
        jnp.arange(len(logits)) % num_classes, num_classes, variant.label_smoothing
    )
    return float(losses.LOSSES[variant.loss](jnp.asarray(logits), targets).mean())


def _within(value: float, bounds: Any) -> bool:
    return bounds[0] <= value <= bounds[1]
