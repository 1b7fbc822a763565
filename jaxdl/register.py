"""What a study brings of its own, by one decorator a kind.

From then on its name is an option like any other.

  @jaxdl.register.model('tiny')
  def tiny(images, num_classes): ...

Each gives back what it was given. A file may run twice in one process: the same function, by its
qualified name, replaces itself. Everything is tried where it is registered, and an InputError says
what is not as it must be.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import nn

from jaxdl import augment
from jaxdl.config import component_checks, registry
from jaxdl.data import loading
from jaxdl.data.sources import custom as data
from jaxdl.models import MODELS, custom, layers
from jaxdl.train import losses, metrics, optim
from jaxdl.train.variant import Variant

T = TypeVar('T')
# The tables that a study adds to: kind -> rows by name. All kinds but data sets and metrics are
# fields of Variant.
TABLES: dict[str, dict[str, Any]] = dict(
    model=MODELS,
    loss=losses.LOSSES,
    optimizer=optim.OPTIMIZERS,
    schedule=optim.SCHEDULES,
    augmentation=augment.OWN,
    pooling=layers.POOLINGS,
    global_pooling=layers.GLOBAL_POOLINGS,
    norm=layers.NORMS,
    activation=layers.ACTIVATIONS,
    init=layers.INITS,
    metric=metrics.METRICS,
    dataset=loading.SOURCES,
)
# What a model may ask for by name, beside `train` and `dropout`: fields that decide what the
# program is.
STATIC = [f for f in dataclasses.fields(Variant) if not f.metadata.get('pytree_node', True)]
SETTINGS = ('conv', *(f.name for f in STATIC if not f.metadata.get('initial')))


def model(name: str) -> Callable[[T], T]:
    """A network: a Linen class, a function (images, num_classes) -> logits, or a pair (init.

    Apply).

    Fields of the class, or parameters of the function, that have the name of a setting
    (`num_classes`, `width`, `depth`, `norm`, `conv`, ...) take its value, and so do `train` and
    `dropout` in the call: the rate, traced. Layers of Linen go in a function as in a `nn.compact`
    method. The pair is init(key, images, num_classes) -> a dict of arrays, and apply(params,
    images) -> logits.
    """
    return _adder('model', name, lambda network: custom.builder(name, network, SETTINGS))


def loss(name: str, activation: Callable[[jax.Array], jax.Array] = nn.softmax) -> Callable[[T], T]:
    """A loss: (logits, targets), [batch, classes] both, -> [batch].

    `activation` makes logits what the network says.
    """
    shapes = (component_checks.floats(component_checks.BATCH, component_checks.CLASSES),) * 2
    form = 'a function (logits, targets) -> a number an image, [batch]'
    return _tried(
        'loss',
        name,
        form,
        shapes,
        (component_checks.BATCH,),
        lambda function: losses.Loss(activation, function),
    )


def optimizer(name: str) -> Callable[[T], T]:
    """An optimizer: (momentum, beta2, decay) -> the direction before the learning rate.

    Or a factory like optax's.

    A factory has a parameter `learning_rate`; `b1` or `momentum` and `b2` take the variant's, and
    the decay of the weights comes after it, as for adamw.
    """
    return _adder(
        'optimizer', name, functools.partial(component_checks.optimizer, f'optimizer {name!r}')
    )


def schedule(name: str) -> Callable[[T], T]:
    """A schedule: progress, 0 at the first step and 1 after the last, -> the height.

    A share of the learning rate.
    """
    return _tried(
        'schedule',
        name,
        'a function progress -> height, one number',
        (component_checks.floats(),),
        (),
    )


def augmentation(name: str) -> Callable[[T], T]:
    """An augmentation: (key, images float [n, height, width, channel] in [0, 1].

    Strength) -> images.

    At strength 0 exactly the identity, so that nothing is left of it but what it is asked for. A
    variant has it by `dict(augmentation=name, strength=...)`; another strength is the same program.
    """

    def row(function: Any) -> Any:
        component_checks.augmentation(f'augmentation {name!r}', function)
        return function

    return _adder('augmentation', name, row)


def metric(name: str) -> Callable[[T], T]:
    """A metric: (logits [batch, classes], labels int [batch]) -> a value of each image, [batch].

    Named in `Ablation.metrics`, it is measured at the end, on validation and test; the verdict goes
    by accuracy alone.
    """
    shapes = (
        component_checks.floats(component_checks.BATCH, component_checks.CLASSES),
        jax.ShapeDtypeStruct((component_checks.BATCH,), jnp.int32),
    )
    return _tried(
        'metric',
        name,
        'a function (logits, labels) -> a value of each image, [batch]',
        shapes,
        (component_checks.BATCH,),
    )


def dataset(name: str) -> Callable[[T], T]:
    """A data set: () -> images (uint8 [n, height, width, channel]), labels [n], class_names.

    `--dataset=NAME` has it.

    A parameter `where` gets what follows the name and a colon; one named as a field of `Data`, that
    field. A row of SOURCES, a function to a `Listing`, will do as well.
    """
    return _adder('dataset', name, lambda function: data.source(name, function))


def pooling(name: str) -> Callable[[T], T]:
    """A pooling within the network: (elements [4, batch, height, width, channel].

    Param) -> without the first axis.
    """
    form = (
        'a function (elements [4, batch, height, width, channel], param) -> without the first axis'
    )
    return _tried(
        'pooling',
        name,
        form,
        (component_checks.floats(4, 2, 3, 3, 5), component_checks.param),
        (2, 3, 3, 5),
    )


def global_pooling(name: str) -> Callable[[T], T]:
    """A pooling at the end of the network: (images [batch, height, width, channel].

    Param) -> [batch, features].
    """
    form = 'a function (images [batch, height, width, channel], param) -> [batch, features]'
    return _tried(
        'global_pooling',
        name,
        form,
        (component_checks.floats(2, 3, 3, 5), component_checks.param),
        (2, None),
    )


def norm(name: str) -> Callable[[T], T]:
    """A norm: (train, name of the layer) -> a Linen module, or a function, of the features."""
    return _adder('norm', name, lambda function: function)


def activation(name: str) -> Callable[[T], T]:
    """An activation: features -> features of the same shape."""
    return _tried(
        'activation',
        name,
        'a function features -> features',
        (component_checks.floats(2, 3),),
        (2, 3),
    )


def init(name: str) -> Callable[[T], T]:
    """A way to start: (key, shape) -> the starting values of a kernel, whose last two axes are [in.

    Out].
    """

    def row(function: Any) -> Any:
        shape, form = (3, 3, 2, 4), 'a function (key, shape) -> an array of that shape'
        component_checks.shaped(
            f'init {name!r}', form, (jax.random.key(0),), shape, lambda key: function(key, shape)
        )
        return function

    return _adder('init', name, row)


def _adder(kind: str, name: str, row: Callable[[Any], Any]) -> Callable[[T], T]:
    """Adds what `row` makes of a function, and gives the function back."""
    path = _caller()

    def add(component: T) -> T:
        if registry.add(kind, TABLES[kind], name, row(component), _qualified(component), path):
            jax.clear_caches()  # of programs that hold the function as it was
        return component

    return add


def _tried(
    kind: str,
    name: str,
    form: str,
    arguments: tuple[Any, ...],
    shape: tuple[int | None, ...],
    row: Callable[[Any], Any] = lambda function: function,
) -> Callable[[T], T]:
    """Adds a function once it has given an array of this shape for arguments of these shapes."""

    def checked(function: Any) -> Any:
        component_checks.shaped(f'{kind} {name!r}', form, arguments, shape, function)
        return row(function)

    return _adder(kind, name, checked)


def _caller() -> str:
    """The file that calls into this one."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename


def _qualified(component: Any) -> str:
    """The name that a function or class has in its module; of a pair that of the second.

    Of a partial its own.
    """
    made = (
        component[-1]
        if isinstance(component, tuple) and component
        else getattr(component, 'func', component)
    )
    return f'{getattr(made, "__module__", "")}.{getattr(made, "__qualname__", type(made).__name__)}'
