"""What a study registers is tried once, on shapes or a few numbers.

Before it becomes a row of a table.
"""

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


def shaped(
    subject: str,
    form: str,
    arguments: tuple[Any, ...],
    right: tuple[int | None, ...],
    function: Callable[..., Any],
) -> None:
    """InputError unless `function` gives an array of shape `right` (None.

    Any side) for arguments like these.
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


def optimizer(subject: str, candidate: Any) -> optim.Optimizer:
    """A row of OPTIMIZERS, of a function that is one or of a factory like optax's.

    InputError where it is neither.
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
            raise InputError(f'{subject} gives updates of other shapes than the parameters have')
    return row


def augmentation(subject: str, function: Callable[..., Any]) -> None:
    """InputError unless `function` keeps the shape of images.

    And every bit of them at strength 0.
    """
    form = 'a function (key, images [n, height, width, channel], strength) -> images'
    images = jnp.asarray(np.random.default_rng(0).random((BATCH, 16, 16, 3)), jnp.float32)
    with blamed(subject, f'must be {form}'):
        augmented = jax.jit(function)(jax.random.key(0), images, jnp.zeros(()))
    if jnp.shape(augmented) != images.shape:
        raise InputError(f'{subject} gives shape {list(jnp.shape(augmented))}: must be {form}')
    if not bool(jnp.all(augmented == images)):
        raise InputError(
            f'{subject} changes images at strength 0: must be exactly the identity there'
        )


def floats(*shape: int) -> jax.ShapeDtypeStruct:
    """The shape of an array of float32."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def param(name: str, start: Callable[..., jax.Array], *arguments: Any) -> jax.Array:
    """What a pooling gets as its `param` when it is tried: `self.param` of flax.

    Without a module.
    """
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
