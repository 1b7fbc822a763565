"""Register a study's own components, with one decorator per kind.

From then on the name is an option like any other.

  @jaxdl.register.model('tiny')
  def tiny(images, num_classes): ...

Each decorator returns the function unchanged. A file may run twice in one process: the same
function, by its qualified name, replaces itself. Every component is tried when it is registered:
an InputError names the problem and the expected form.
"""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax import nn

from jaxdl import augment
from jaxdl.config import component_checks, registry
from jaxdl.data import loading
from jaxdl.data.sources import custom as data
from jaxdl.errors import warn
from jaxdl.models import MODELS, custom, layers
from jaxdl.statistics import metrics
from jaxdl.train import losses, optim, variant
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
# Settings of the training, which a network cannot have as fields of its own.
TRAINING = tuple(f.name for f in dataclasses.fields(Variant) if f.name not in variant.NETWORK)


def model(name: str) -> Callable[[T], T]:
    """Register a network: a Linen class, a function, or a pair of functions.

    A function is (images, num_classes) -> logits and uses Linen layers as a `nn.compact` method
    does. A pair is init(key, images, num_classes) -> a dict of arrays, and apply(params, images) ->
    logits. The call gets `train` and `dropout` (the rate, traced) if it names them.

    Fields of the class, or parameters of the function, are settings of the study:

    - without a default, a field takes the setting of its name (`width`, `depth`, `norm`, `conv`,
      ...);
    - with a default that is a word, a number, true, false or a tuple of these, it is an option like
      any other: `options={'wide': dict(model='mine', growth=64)}`;
    - with the default `jaxdl.traced(0.0)`, other values run in the same compiled program;
    - what a `functools.partial` binds is fixed.

    Args:
      name: a value of `Variant.model`.

    Returns:
      The decorator.

    Raises:
      InputError: the network is of another form, needs a parameter that is no setting, or has a
        field with the name of a setting of the training.
    """

    def row(network: Any) -> Any:
        fields = custom.find_fields(name, network, ('conv', *variant.NETWORK), TRAINING)
        common = {f.name: f.default for f in dataclasses.fields(Variant)}
        for field, default in fields.own.items():
            if default != common.get(field, default):
                warn(
                    f'model {name!r}: {field}={default!r} is its own default; it holds unless '
                    f'{field} is set to other than {common[field]!r}, or by an option'
                )
        return custom.make_builder(name, network, fields)

    add = _adder('model', name, row)

    def add_with_fields(network: T) -> T:
        add(network)
        fields = MODELS[name].fields  # type: ignore[attr-defined]
        variant.define_class(name, fields.own, fields.traced, fields.limits)
        return network

    return add_with_fields


def loss(name: str, activation: Callable[[jax.Array], jax.Array] = nn.softmax) -> Callable[[T], T]:
    """Register a loss: (logits, targets), [batch, classes] both, -> [batch].

    Args:
      name: a value of `Variant.loss`.
      activation: logits -> outputs of the network, such as probabilities.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or returns another shape.
    """
    shapes = (component_checks.floats(component_checks.BATCH, component_checks.CLASSES),) * 2
    form = 'a function (logits, targets) -> a number an image, [batch]'
    return _check_and_add(
        'loss',
        name,
        form,
        shapes,
        (component_checks.BATCH,),
        lambda function: losses.Loss(activation, function),
    )


def optimizer(name: str) -> Callable[[T], T]:
    """Register an optimizer: (momentum, beta2, decay) -> the direction before the learning rate.

    A factory like those of optax works too. It has a parameter `learning_rate`; `b1` or `momentum`
    and `b2` take the variant's values. The weight decay follows the factory, as for adamw.

    Args:
      name: a value of `Variant.optimizer`.

    Returns:
      The decorator.

    Raises:
      InputError: the function is neither.
    """
    return _adder(
        'optimizer',
        name,
        functools.partial(component_checks.check_optimizer, f'optimizer {name!r}'),
    )


def schedule(name: str) -> Callable[[T], T]:
    """Register a schedule: progress -> share of the learning rate.

    Progress is 0 at the first step and 1 after the last one.

    Args:
      name: a value of `Variant.schedule`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or does not return one number.
    """
    return _check_and_add(
        'schedule',
        name,
        'a function progress -> height, one number',
        (component_checks.floats(),),
        (),
    )


def augmentation(name: str) -> Callable[[T], T]:
    """Register an augmentation: (key, images, strength) -> images.

    Images are float [n, height, width, channel] in [0, 1]. At strength 0 the augmentation must be
    exactly the identity. A variant uses it by `dict(augmentation=name, strength=...)`, or several
    by lists of both; another strength is the same program.

    Args:
      name: a value of `Variant.augmentation`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or changes the shape, or changes images at strength 0.
    """

    def row(function: Any) -> Any:
        component_checks.check_augmentation(f'augmentation {name!r}', function)
        return function

    return _adder('augmentation', name, row)


def metric(
    name: str,
    over: str = metrics.IMAGE,
    *,
    lower_is_better: bool = False,
    chance: float | None = None,
) -> Callable[[T], T]:
    """Register a metric: a function of the logits and labels of a split.

    Logits are float32 [n, classes], labels int32 [n], NumPy arrays without padding. The largest
    logit is the prediction. jax.numpy, NumPy and scikit-learn can be used.

    Args:
      name: a value of `Ablation.metric`, which decides, and an entry of `Ablation.metrics`.
      over: `image`: the function returns a value per image, [n], that does not depend on the other
        images; the metric is their mean. `split`: it returns one number for all images.
      lower_is_better: direction of the metric.
      chance: value that a diverged run counts as; by default that of a network with equal logits
        for all classes.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, returns another shape, or has another direction; or the value
        of an image depends on the other images.
    """

    def row(function: Any) -> Any:
        def compute(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
            return np.asarray(function(logits, labels), np.float64)

        def guess(labels: np.ndarray, num_classes: int) -> float:
            if chance is not None:
                return float(chance)
            equal = np.zeros((len(labels), num_classes), np.float32)
            return float(np.mean(compute(equal, labels.astype(np.int32))))

        component_checks.check_metric(f'metric {name!r}', function, over, lower_is_better)
        return dataclasses.replace(
            metrics.named(name, lower_is_better, over),
            meaning=(inspect.getdoc(function) or '').partition('\n')[0],
            compute=compute,
            guess=guess,
        )

    return _adder('metric', name, row)


def dataset(name: str) -> Callable[[T], T]:
    """Register a data set: () -> images, labels, class_names, or these and splits, groups.

    Images are uint8 [n, height, width, channel], labels [n]. `splits` [n] fixes a split: `train`,
    `val` or `test` of each image; without `val` it is drawn from `train`. `groups` [n] names images
    that belong together. A parameter `where` gets the text
    after the name and a colon; a parameter with the name of a field of `Data` gets that field. A
    row of SOURCES, a function that returns a `Listing`, works too.

    Args:
      name: a value of `--dataset`.

    Returns:
      The decorator.
    """
    return _adder('dataset', name, lambda function: data.source(name, function))


def pooling(name: str) -> Callable[[T], T]:
    """Register a pooling within the network: (elements, param) -> elements without the first axis.

    Elements are [4, batch, height, width, channel], the four pixels of each 2 x 2 window; `param`
    is flax's `self.param`.

    Args:
      name: a value of `Variant.pooling`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or returns another shape.
    """
    form = (
        'a function (elements [4, batch, height, width, channel], param) -> without the first axis'
    )
    return _check_and_add(
        'pooling',
        name,
        form,
        (component_checks.floats(4, 2, 3, 3, 5), component_checks.param),
        (2, 3, 3, 5),
    )


def global_pooling(name: str) -> Callable[[T], T]:
    """Register a pooling at the end of the network: (images, param) -> [batch, features].

    Images are [batch, height, width, channel]; `param` is flax's `self.param`.

    Args:
      name: a value of `Variant.global_pooling`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or returns another shape.
    """
    form = 'a function (images [batch, height, width, channel], param) -> [batch, features]'
    return _check_and_add(
        'global_pooling',
        name,
        form,
        (component_checks.floats(2, 3, 3, 5), component_checks.param),
        (2, None),
    )


def norm(name: str) -> Callable[[T], T]:
    """Register a norm: (train, name of the layer) -> a Linen module, or a function, of features.

    Args:
      name: a value of `Variant.norm`.

    Returns:
      The decorator.
    """
    return _adder('norm', name, lambda function: function)


def activation(name: str) -> Callable[[T], T]:
    """Register an activation: features -> features of the same shape.

    Args:
      name: a value of `Variant.activation`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or returns another shape.
    """
    return _check_and_add(
        'activation',
        name,
        'a function features -> features',
        (component_checks.floats(2, 3),),
        (2, 3),
    )


def init(name: str) -> Callable[[T], T]:
    """Register an initialisation: (key, shape) -> the initial values of a kernel.

    The last two axes of a kernel are [in, out].

    Args:
      name: a value of `Variant.init`.

    Returns:
      The decorator.

    Raises:
      InputError: the function fails, or returns another shape.
    """

    def row(function: Any) -> Any:
        shape, form = (3, 3, 2, 4), 'a function (key, shape) -> an array of that shape'
        component_checks.check_shape(
            f'init {name!r}', form, (jax.random.key(0),), shape, lambda key: function(key, shape)
        )
        return function

    return _adder('init', name, row)


def _adder(kind: str, name: str, row: Callable[[Any], Any]) -> Callable[[T], T]:
    """Adds what `row` makes of a function, and gives the function back."""
    path = _calling_file()

    def add(component: T) -> T:
        if registry.add(kind, TABLES[kind], name, row(component), _qualified_name(component), path):
            jax.clear_caches()  # of programs that hold the function as it was
        return component

    return add


def _check_and_add(
    kind: str,
    name: str,
    form: str,
    arguments: tuple[Any, ...],
    shape: tuple[int | None, ...],
    row: Callable[[Any], Any] = lambda function: function,
) -> Callable[[T], T]:
    """Adds a function once it has given an array of this shape for arguments of these shapes."""

    def checked(function: Any) -> Any:
        component_checks.check_shape(f'{kind} {name!r}', form, arguments, shape, function)
        return row(function)

    return _adder(kind, name, checked)


def _calling_file() -> str:
    """The file that calls into this one."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename


def _qualified_name(component: Any) -> str:
    """Qualified name of a function or class; of a pair that of the second; of a partial its own."""
    function = (
        component[-1]
        if isinstance(component, tuple) and component
        else getattr(component, 'func', component)
    )
    name = getattr(function, '__qualname__', type(function).__name__)
    return f'{getattr(function, "__module__", "")}.{name}'
