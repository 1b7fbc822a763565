"""Which lowering of its convolutions a group of members is fastest with: timed once.

Remembered in a cache.

The heaviest convolution of the network decides. The cache (`jaxdl/lowerings.json` where the system
keeps caches) may be deleted at any time.
"""

import contextlib
import json
import math
import pathlib
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxdl import native, workdir
from jaxdl.errors import InputError, warn
from jaxdl.models import layers
from jaxdl.models.conv import LOWERINGS, conv, default_lowering, output_sides
from jaxdl.runtime import caches, machine

SECONDS = 5.0  # the most that a study spends on timing
TRIAL = dict(
    cpu=1e8
)  # multiplications and additions of a trial's step, which decide how many members it has
NONE = 'none'  # what a network without convolutions has for a lowering
UNROLLED = 8  # members that a program may convolve one after another


class Convolution(NamedTuple):
    """One convolution of a network: [batch, height, width, channel], [height, width, channel.

    Feature], pixels.
    """

    images: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int
    padding: int

    @property
    def flops(self) -> int:
        """Of its value and both gradients."""
        sides = output_sides(self.images, self.kernel, self.stride, self.padding)
        return 6 * self.images[0] * math.prod(sides) * math.prod(self.kernel)


def convolutions(module: nn.Module, shape: tuple[int, ...]) -> list[Convolution]:
    """Every convolution of a network on a batch of images [batch, height, width, channel]."""
    found = []

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        own = context.module
        if isinstance(own, layers.Conv) and context.method_name == '__call__':
            kernel = (own.side, own.side, args[0].shape[-1], own.features)
            found.append(Convolution(args[0].shape, kernel, own.stride, own.padding))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
    return found


def refusal(lowering: str, members: int) -> str:
    """Why a lowering cannot serve so many members here; empty where it can."""
    if lowering == 'onednn':
        return native.missing()
    if lowering == 'xla' and members > UNROLLED:
        return f'xla unrolls its members: {members} are more than {UNROLLED}'
    return ''


def forced(lowering: str | None, members: int) -> str | None:
    """The lowering that the user asked for; InputError where it cannot serve.

    Naming those that can.
    """
    why = refusal(lowering, members) if lowering else ''
    if why:
        able = ', '.join(name for name in LOWERINGS if not refusal(name, members))
        raise InputError(f'conv={lowering}: {why}; these can: {able}')
    return lowering


class Timer:
    """Times lowerings for one study, as long as it may."""

    def __init__(self) -> None:
        self.left = SECONDS
        self.quiet = jax.default_backend() != 'cpu' or not native.missing()

    def fastest(self, found: list[Convolution], members: int) -> str:
        """The name of the fastest lowering for a network; of those that cannot be timed in time.

        The usual one.
        """
        found = [
            own for own in found if own.kernel[:2] != (1, 1) or own.padding
        ]  # those are plain products always
        if not found:
            return NONE
        if not self.quiet:
            warn(f'convolutions will be several times slower: {native.missing()}')
            self.quiet = True
        heaviest = max(found, key=lambda convolution: convolution.flops)
        able = [name for name in LOWERINGS if not refusal(name, members)]
        if len(able) == 1:
            return default_lowering()
        limit = max(1, int(TRIAL.get(jax.default_backend(), 1e11) / heaviest.flops))
        trial = 1 << (min(members, limit).bit_length() - 1)
        known = _read()
        seconds = known.setdefault(_key(heaviest, trial), {})
        new = sorted(set(able) - set(seconds), key=lambda name: name != default_lowering())
        if self._time(heaviest, trial, new, seconds):
            _write(known)
        timed = {name: seconds[name] for name in able if name in seconds}
        return min(timed, key=lambda name: timed[name]) if timed else default_lowering()

    def _time(
        self, found: Convolution, members: int, names: list[str], seconds: dict[str, float]
    ) -> bool:
        """Adds the seconds of those that can be timed in time; whether there were any."""
        count = len(seconds)
        for name in names:
            if self.left > 0:
                began = time.perf_counter()
                seconds[name] = _seconds(found, members, name)
                self.left -= time.perf_counter() - began
        return len(seconds) > count


def cache() -> pathlib.Path:
    """The file of what was timed before; OSError where there is no place for it."""
    return caches.folder() / 'lowerings.json'


def _key(found: Convolution, members: int) -> str:
    kind = f'{jax.local_devices()[0].device_kind} x {machine.usable_cores()}, jax {jax.__version__}, {native.library().stem}'
    return f'{kind}: {members} x {found.images} * {found.kernel}, stride {found.stride}, padding {found.padding}'


def _read() -> dict[str, dict[str, float]]:
    """What was timed before; nothing where the file is missing or no longer what was written."""
    try:
        content = workdir.parse(cache().read_text())
        return {
            str(k): {str(name): float(value) for name, value in v.items()}
            for k, v in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(known: dict[str, dict[str, float]]) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be kept is only timed again
        workdir.write(cache(), (json.dumps(known, indent=1) + '\n').encode())


def _seconds(found: Convolution, members: int, name: str) -> float:
    """Of the value and both gradients for all members, inside a loop as in training."""

    def each(images: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv(images, kernel, found.stride, found.padding, name)

    def step(carry: Any, _: Any) -> Any:
        value, back = jax.vjp(jax.vmap(each), *carry)
        return jax.tree.map(lambda a, d: a + 1e-6 * d, carry, back(value)), None

    run = jax.jit(lambda *carry: lax.scan(step, carry, length=2)[0])
    carry = tuple(jnp.full((members, *shape), 0.01) for shape in (found.images, found.kernel))
    jax.block_until_ready(run(*carry))
    times = []
    for _ in range(2):
        began = time.perf_counter()
        jax.block_until_ready(run(*carry))
        times.append(time.perf_counter() - began)
    return min(times) / 2
