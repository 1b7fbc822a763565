"""Check that images belong to their labels, and that augmentation keeps images and labels."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ablation.checks.rows import FAILS, LOOK, OK, Row
from jaxdl.augment import augment
from jaxdl.data import Data, Dataset, Listing, Splits, decode
from jaxdl.data.preprocess import to_float
from jaxdl.train import losses, train_step
from jaxdl.train.variant import Variant

AGAIN = 20  # images that are read again
MIXING = ('mixup', 'cutmix')  # rows of AUGMENTATIONS that change targets
CONTRAST = dict(look=0.7, fails=0.3)  # of what it was, after augmentation


def check_label_order(dataset: Dataset, again: Listing) -> Row:
    """Check the way of each label: name in the source, number, one-hot target, and back."""
    classes = len(dataset.class_names)
    names = dict(zip(again.ids, (again.class_names[label] for label in again.labels), strict=True))
    numbers = {name: number for number, name in enumerate(dataset.class_names)}
    right = 0
    for start in range(0, len(dataset.labels), 4096):
        labels = dataset.labels[start : start + 4096]
        back = np.asarray(losses.targets(jnp.asarray(labels), classes)).argmax(-1)
        ids = dataset.ids[start : start + 4096]
        right += sum(
            numbers.get(names.get(image_id, '')) == i
            for image_id, i in zip(ids, back.tolist(), strict=True)
        )
    total = len(dataset.labels)
    alone = len(numbers) == classes and right == total
    hint = (
        'labels and class names do not agree: sort the classes once, and store them with the labels'
    )
    measured = (
        f'{right:,} of {total:,}'
        if len(numbers) == classes
        else f'{len(numbers)} names of {classes} classes'
    )
    return Row(
        'label order', 'names as the source has them', measured, OK if alone else FAILS, hint
    )


def check_image_order(dataset: Dataset, again: Listing, data: Data) -> Row:
    """Read a few images, evenly over the data set, again by their ids, and compare."""
    places = {name: place for place, name in enumerate(again.ids)}
    chosen = np.linspace(0, len(dataset.ids) - 1, min(AGAIN, len(dataset.ids))).astype(int)
    same = sum(_same(dataset.images[i], again, places.get(dataset.ids[i]), data) for i in chosen)
    verdict = OK if same == len(chosen) else FAILS
    hint = 'an image does not belong to its label: were files changed, or sorted without labels?'
    return Row(
        'image order', 'images as the source has them', f'{same} of {len(chosen)}', verdict, hint
    )


def check_classes(dataset: Dataset, splits: Splits) -> Row:
    """Check that every class is in every split."""
    classes = len(dataset.class_names)
    parts = dict(train=splits.train, val=splits.val, test=splits.test)
    counts = {name: len(np.unique(dataset.labels[part])) for name, part in parts.items()}
    verdict = FAILS if counts['train'] < classes else LOOK if min(counts.values()) < classes else OK
    measured = ', '.join(f'{count} {name}' for name, count in counts.items())
    hint = 'a split lacks a class: add images, or use fewer classes'
    return Row('classes', f'{classes} in every split', measured, verdict, hint)


def check_identity(images: jax.Array, targets: jax.Array, names: Sequence[str]) -> Row:
    """Check that every augmentation of the study changes no bit at strength 0."""
    pixels = to_float(images)

    def unchanged(name: str) -> bool:
        output, labels = augment(jax.random.key(0), pixels, targets, {name: 0.0})
        return bool((output == pixels).all()) and bool((labels == targets).all())

    wrong = [name for name in names if not unchanged(name)]
    measured = f'changed by {", ".join(wrong)}' if wrong else 'no bit changes'
    hint = 'at strength 0 an augmentation must return the image: it changes the baseline too'
    return Row('augmentation at 0', 'no bit changes', measured, FAILS if wrong else OK, hint)


def check_augmentation(
    images: jax.Array, targets: jax.Array, strengths: Mapping[str, float]
) -> Row:
    """Check augmentation at the strengths of an option: range, targets, remaining contrast."""
    pixels = to_float(images)
    output, labels = augment(jax.random.key(0), pixels, targets, strengths)
    low, high = (0.0, 1.0) if images.dtype == jnp.uint8 else (-np.inf, np.inf)
    within = bool((jnp.isfinite(output) & (output >= low - 1e-5) & (output <= high + 1e-5)).all())
    contrast = float(output.std() / jnp.maximum(pixels.std(), 1e-12))
    wrong = _find_problem(pixels, targets, output, labels, bool(set(strengths) & set(MIXING)))
    if not within:
        wrong = 'pixels out of range'
    broken = wrong or contrast < CONTRAST['fails']
    verdict = FAILS if broken else LOOK if contrast < CONTRAST['look'] else OK
    problem = wrong or 'little of the image is left'
    hint = f'{problem}: look at the contact sheet (pictures=contact_sheet)'
    return Row(
        'augmentation',
        'images and labels remain',
        wrong or f'{100 * contrast:.0f} % of contrast',
        verdict,
        hint,
    )


def strengths_of(variant: Variant) -> dict[str, float]:
    """The augmentations of a variant, by strength."""
    strengths = train_step.strengths_of(variant, train_step.parts_of([variant]))
    return {name: float(strength) for name, strength in strengths.items()}


def _find_problem(
    pixels: jax.Array, targets: jax.Array, output: jax.Array, labels: jax.Array, mixes: bool
) -> str:
    """Problem of shapes or targets; empty where there is none."""
    if output.shape != pixels.shape or labels.shape != targets.shape:
        return 'another shape'
    if bool((output == pixels).all()):
        return 'no image changes'
    if not mixes:
        return '' if bool((labels == targets).all()) else 'labels change'
    original = float((labels * targets).sum(-1).mean())
    sums = bool((jnp.abs(labels.sum(-1) - 1) < 1e-4).all()) and bool((labels >= 0).all())
    return '' if sums and original > 0.5 else 'targets are no shares, or not the own class first'


def _same(image: np.ndarray, again: Listing, place: int | None, data: Data) -> bool:
    if place is None:
        return False
    source = again.images[place]
    if not isinstance(source, np.ndarray):
        source = decode.decode(source, data.image_size, fit=data.fit)
    return np.array_equal(image, source)
