"""Choose the fastest lowering of the convolutions of a group by timing.

The convolution with the most operations decides. Timings are cached in `jaxdl/lowerings.json` in
the user's cache folder, which may be deleted at any time.
"""

import contextlib
import json
import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import filelock
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxdl import native, workdir
from jaxdl.errors import InputError, warn
from jaxdl.models import layers
from jaxdl.models.conv import LOWERINGS, conv, default_lowering, output_sides
from jaxdl.runtime import caches, machine

SECONDS = 5.0  # most time that a study spends on timing
# Operations of a timed step, which limit the number of its members.
TRIAL = dict(cpu=1e8)
NONE = 'none'  # the lowering of a network without convolutions
UNROLLED = 8  # most members that a program convolves one after another
LOCK_SECONDS = 10.0  # longest time to wait for another process that writes its timings
Timings = dict[str, dict[str, float]]  # convolution, members and machine -> lowering -> seconds


class Convolution(NamedTuple):
    """One convolution of a network.

    Attributes:
      images: shape of the input, [batch, height, width, channel].
      kernel: shape of the kernel, [height, width, channel, feature].
      stride: pixels.
      padding: pixels.
    """

    images: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int
    padding: int

    @property
    def flops(self) -> int:
        """Floating point operations of the output and both gradients."""
        sides = output_sides(self.images, self.kernel, self.stride, self.padding)
        return 6 * self.images[0] * math.prod(sides) * math.prod(self.kernel)


def convolutions(module: nn.Module, shape: tuple[int, ...]) -> list[Convolution]:
    """Every convolution of a network that a lowering can compute.

    1 x 1 convolutions without padding are left out: they are matrix products in every lowering.

    Args:
      module: the network.
      shape: of its input, [batch, height, width, channel].
    """
    convolutions = []

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        layer = context.module
        if isinstance(layer, layers.Conv) and context.method_name == '__call__':
            kernel = (layer.side, layer.side, args[0].shape[-1], layer.features)
            if kernel[:2] != (1, 1) or layer.border:
                convolutions.append(Convolution(args[0].shape, kernel, layer.stride, layer.border))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
    return convolutions


def refusal(lowering: str, members: int) -> str:
    """Reason why a lowering cannot compute so many members on this machine; empty if it can."""
    if lowering == 'onednn':
        return native.missing()
    if lowering == 'xla' and members > UNROLLED:
        return f'xla unrolls its members: {members} are more than {UNROLLED}'
    return ''


def find_forced_lowering(lowering: str | None, members: int) -> str | None:
    """The lowering that the user set, or None.

    Args:
      lowering: the setting `conv`.
      members: number of members in the group.

    Raises:
      InputError: the lowering cannot compute so many members on this machine.
    """
    why = refusal(lowering, members) if lowering else ''
    if why:
        names = ', '.join(name for name in LOWERINGS if not refusal(name, members))
        raise InputError(f'conv={lowering}: {why}; use one of {names}')
    return lowering


class Timer:
    """Timings of lowerings for one study, within SECONDS."""

    def __init__(self) -> None:
        self.left = SECONDS
        self.warned = jax.default_backend() != 'cpu' or not native.missing()

    def fastest(self, convolutions: Sequence[Convolution], members: int) -> str:
        """The fastest lowering for a group.

        Args:
          convolutions: of the network, on one batch.
          members: number of members in the group.

        Returns:
          A row of LOWERINGS; NONE without convolutions; the default if no time is left.
        """
        if not convolutions:
            return NONE
        if not self.warned:
            warn(f'convolutions will be several times slower: {native.missing()}')
            self.warned = True
        heaviest = max(convolutions, key=lambda convolution: convolution.flops)
        names = [name for name in LOWERINGS if not refusal(name, members)]
        if len(names) == 1:
            return default_lowering()
        limit = max(1, int(TRIAL.get(jax.default_backend(), 1e11) / heaviest.flops))
        trial = 1 << (min(members, limit).bit_length() - 1)
        key = _key(heaviest, trial)
        seconds = _read().get(key, {})
        new = sorted(set(names) - set(seconds), key=lambda name: name != default_lowering())
        timed = self._time(heaviest, trial, new)
        if timed:
            seconds = _add(key, timed)
        seconds = {name: seconds[name] for name in names if name in seconds}
        return min(seconds, key=lambda name: seconds[name]) if seconds else default_lowering()

    def _time(
        self, convolution: Convolution, members: int, names: Sequence[str]
    ) -> dict[str, float]:
        """Seconds of those lowerings that can be timed within the time left."""
        seconds = {}
        for name in names:
            if self.left > 0:
                began = time.perf_counter()
                seconds[name] = _seconds(convolution, members, name)
                self.left -= time.perf_counter() - began
        return seconds


def cache() -> pathlib.Path:
    """The file of earlier timings; OSError where there is no place for it."""
    return caches.folder() / 'lowerings.json'


def _key(convolution: Convolution, members: int) -> str:
    device = f'{jax.local_devices()[0].device_kind} x {machine.usable_cores()}'
    versions = f'jax {jax.__version__}, {native.library().stem}'
    images, kernel, stride, padding = convolution
    layer = f'{members} x {images} * {kernel}, stride {stride}, padding {padding}'
    return f'{device}, {versions}: {layer}'


def _read() -> Timings:
    """Earlier timings; none where the file is missing or damaged."""
    try:
        content = workdir.parse(cache().read_text())
        return {
            str(key): {str(name): float(value) for name, value in seconds.items()}
            for key, seconds in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _add(key: str, seconds: dict[str, float]) -> dict[str, float]:
    """Add timings to the file, and return all timings of their key.

    Other processes write the file too: it is read and written under a lock. Timings that cannot be
    written are measured again by the next study.
    """
    timings: Timings = {key: seconds}
    with (
        contextlib.suppress(OSError),  # filelock.Timeout is one
        filelock.FileLock(cache().with_suffix('.lock'), timeout=LOCK_SECONDS),
    ):
        timings = _read()
        timings[key] = timings.get(key, {}) | seconds
        workdir.write(cache(), (json.dumps(timings, indent=1) + '\n').encode())
    return timings.get(key, {}) | seconds


def _seconds(convolution: Convolution, members: int, name: str) -> float:
    """Seconds of the output and both gradients for all members, inside a loop as in training."""

    def each(images: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv(images, kernel, convolution.stride, convolution.padding, name)

    def step(carry: Any, _: Any) -> Any:
        value, back = jax.vjp(jax.vmap(each), *carry)
        return jax.tree.map(lambda a, d: a + 1e-6 * d, carry, back(value)), None

    run = jax.jit(lambda *carry: lax.scan(step, carry, length=2)[0])
    carry = tuple(jnp.full((members, *shape), 0.01) for shape in convolution[:2])
    jax.block_until_ready(run(*carry))
    times = []
    for _ in range(2):
        began = time.perf_counter()
        jax.block_until_ready(run(*carry))
        times.append(time.perf_counter() - began)
    return min(times) / 2
