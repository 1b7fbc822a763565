"""Check a component on shapes or a few numbers when a study registers it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.errors import InputError, blamed
from jaxdl.train import optim

BATCH, CLASSES = 8, 10
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
