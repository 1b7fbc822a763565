"""Check a component on shapes or a few numbers when a study registers it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.errors import InputError, blamed, nearest
from jaxdl.statistics import metrics
from jaxdl.train import optim

BATCH, CLASSES = 8, 10
METRIC_FORMS = {  # over -> description of a right function
    metrics.IMAGE: 'a function (logits, labels) -> a value of each image, [batch], or '
    "over='split' with a number",
    metrics.SPLIT: 'a function (logits, labels) -> a finite number for all images together',
}
NAMES = dict(
    b1='momentum', momentum='momentum', b2='beta2', beta2='beta2'
)  # of a factory's parameters: ours


def check_shape(
    subject: str,
    form: str,
    arguments: tuple[Any, ...],
    right: tuple[int | None, ...],
    function: Callable[..., Any],
) -> None:
    """Check the shape of an array that a function returns.

    Args:
      subject: the function, as the message names it.
      form: description of a right function.
      arguments: arrays or their shapes; callables are passed as they are.
      right: the shape; None is any length.
      function: the function.

    Raises:
      InputError: the function fails, or its array has another shape.
    """
    arrays = [
        argument for argument in arguments if not callable(argument)
    ]  # a `param` is given as it is
    others = [argument for argument in arguments if callable(argument)]
    with blamed(subject, f'must be {form}'):
        shape = jnp.shape(
            jax.eval_shape(lambda *values: jnp.asarray(function(*values, *others)), *arrays)
        )
    if len(shape) != len(right) or any(
        side not in (None, length) for length, side in zip(shape, right, strict=True)
    ):
        raise InputError(f'{subject} gives shape {list(shape)}: must be {form}')


def check_optimizer(subject: str, candidate: Any) -> optim.Optimizer:
    """Make a row of OPTIMIZERS.

    Args:
      subject: the function, as the message names it.
      candidate: such a row, or a factory like those of optax.

    Returns:
      The row.

    Raises:
      InputError: the function is neither.
    """
    with blamed(
        subject, 'must be (momentum, beta2, decay) -> a transformation, or a factory of optax'
    ):
        parameters = inspect.signature(candidate).parameters
        row = _of_factory(candidate, parameters) if 'learning_rate' in parameters else candidate
        params = dict(head=dict(kernel=floats(3, 2), bias=floats(2)))

        def step(momentum: Any, beta2: Any, params: Any) -> Any:
            tx = row(momentum, beta2, optax.add_decayed_weights(momentum, mask=optim.decay_mask))
            return tx.update(params, tx.init(params), params)[0]

        updates = jax.eval_shape(step, floats(), floats(), params)
        if jax.tree.map(jnp.shape, updates) != jax.tree.map(jnp.shape, params):
            raise InputError(
                f'{subject} gives updates of other shapes than the parameters: '
                'must be one update per parameter, of the same shape'
            )
    return row


def check_augmentation(subject: str, function: Callable[..., Any]) -> None:
    """Check that an augmentation keeps the shape of images, and every bit of them at strength 0.

    Args:
      subject: the augmentation, as the message names it.
      function: (key, images [n, height, width, channel], strength) -> images.

    Raises:
      InputError: the function fails, or changes the shape or the images.
    """
    form = 'a function (key, images [n, height, width, channel], strength) -> images'
    images = jnp.asarray(np.random.default_rng(0).random((BATCH, 16, 16, 3)), jnp.float32)
    with blamed(subject, f'must be {form}'):
        augmented = jax.jit(function)(jax.random.key(0), images, jnp.zeros(()))
    if jnp.shape(augmented) != images.shape:
        raise InputError(f'{subject} gives shape {list(jnp.shape(augmented))}: must be {form}')
    if not bool(jnp.all(augmented == images)):
        raise InputError(
            f'{subject} changes images at strength 0: must return them unchanged at strength 0'
        )


def check_metric(
    subject: str, function: Callable[..., Any], over: str, lower_is_better: bool
) -> None:
    """Check the values of a metric on random logits, and its direction.

    Args:
      subject: the metric, as the message names it.
      function: (logits [n, classes], labels [n]) -> [n] over images, a number over the split.
      over: `image` or `split`.
      lower_is_better: direction of the metric.

    Raises:
      InputError: the function fails, returns another shape or no finite number, has another
        direction, or the value of an image depends on the other images.
    """
    if over not in METRIC_FORMS:
        raise InputError(f'{subject}: over={over!r}: {nearest(over, METRIC_FORMS)}')
    form = METRIC_FORMS[over]
    try:
        logits, labels = _check_values(subject, function, over, form, CLASSES)
    except InputError as error:  # a metric may be one of two classes only
        try:
            logits, labels = _check_values(subject, function, over, form, 2)
        except InputError:
            raise error from None
    if over == metrics.IMAGE:
        _check_independence(subject, function, logits, labels)
    classes = logits.shape[1]
    right, wrong = (
        float(np.mean(function(10 * np.eye(classes, dtype=np.float32)[chosen], labels)))
        for chosen in (labels, (labels + 1) % classes)
    )
    if (right < wrong) if not lower_is_better else (right > wrong):
        word, other = ('lower', True) if not lower_is_better else ('higher', False)
        raise InputError(
            f'{subject} is {word} where all predictions are correct ({right:.4g}) than where all '
            f'are wrong ({wrong:.4g}): register it with lower_is_better={other}'
        )


def _check_values(
    subject: str, function: Callable[..., Any], over: str, form: str, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels for which the function returns what it should."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(4 * classes, dtype=np.int32) % classes)
    logits = rng.normal(size=(len(labels), classes)).astype(np.float32)
    with blamed(subject, f'must be {form}'):
        values = np.asarray(function(logits, labels), np.float64)
    if values.shape != (labels.shape if over == metrics.IMAGE else ()):
        raise InputError(f'{subject} gives shape {list(values.shape)}: must be {form}')
    if not np.isfinite(values).all():
        raise InputError(f'{subject} gives a value that is not finite: must be {form}')
    return logits, labels


def _check_independence(
    subject: str, function: Callable[..., Any], logits: np.ndarray, labels: np.ndarray
) -> None:
    """Check on a permuted and on a cut batch that the value of an image is its own."""
    of_batch, order = np.asarray(function(logits, labels), np.float64), np.arange(len(labels))
    for part in (np.random.default_rng(1).permutation(order), order[: len(order) // 3], order[:1]):
        try:
            values = np.asarray(function(logits[part], labels[part]), np.float64)
            same = np.allclose(values, of_batch[part], rtol=1e-4, atol=1e-6)
        except Exception:  # such as a function that needs every class
            same = False
        if not same:
            raise InputError(
                f'{subject} gives an image another value among other images: must depend on the '
                "image alone; register a metric of all images together with over='split'"
            )


def floats(*shape: int) -> jax.ShapeDtypeStruct:
    """The shape of an array of float32."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def param(name: str, start: Callable[..., jax.Array], *arguments: Any) -> jax.Array:
    """Stand-in for flax's `self.param`, for a pooling that is tried outside a module."""
    return start(jax.random.key(0), *arguments)


def _of_factory(factory: Callable[..., Any], parameters: Mapping[str, Any]) -> optim.Optimizer:
    def row(
        momentum: Any, beta2: Any, decay: optax.GradientTransformation
    ) -> optax.GradientTransformation:
        values = dict(momentum=momentum, beta2=beta2)
        taken = {
            parameter: values[ours] for parameter, ours in NAMES.items() if parameter in parameters
        }
        none = dict(weight_decay=0.0) if 'weight_decay' in parameters else {}
        return optax.chain(
            factory(learning_rate=-1.0, **taken, **none), decay
        )  # the direction: no rate and no sign

    return row
