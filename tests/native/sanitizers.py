"""Native part under the address and undefined behaviour sanitisers: valid and invalid shapes.

Run    make native-check
Takes  a minute on 2 cores
"""

import os
import pathlib
import subprocess
import sys
import tempfile

SHAPES = 40
FLAGS = [
    '-O1',
    '-g',
    '-march=native',
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=undefined',
]


def main() -> None:
    """Builds with the sanitisers, then runs this file again with their libraries preloaded."""
    from jaxdl.native import loader as native

    with tempfile.TemporaryDirectory() as folder:
        built = native.build(pathlib.Path(folder) / 'native.so', FLAGS)
        libraries = [
            subprocess.run(
                ['g++', f'-print-file-name={name}'], capture_output=True, text=True, check=True
            ).stdout.strip()
            for name in ('libasan.so', 'libubsan.so')
        ]
        environment = os.environ | dict(
            LD_PRELOAD=' '.join(libraries),
            ASAN_OPTIONS='detect_leaks=0:quarantine_size_mb=64',
            JAX_PLATFORMS='cpu',
        )
        process = subprocess.run(
            [sys.executable, __file__, str(built)], env=environment, check=False
        )
    sys.exit(process.returncode)


def run(built: str) -> None:
    """Every handler on random shapes: finite values, and a refusal of inputs that do not fit."""
    import jax
    import numpy as np

    from jaxdl.native import loader as native

    native.library = lambda: pathlib.Path(built)  # type: ignore[assignment]
    assert not native.missing(), native.missing()
    rng = np.random.default_rng(0)

    def call(name, results, *arguments, **attributes):
        attributes = {
            k: np.float32(v) if isinstance(v, float) else np.int64(v) for k, v in attributes.items()
        }
        shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in results]
        outputs = jax.ffi.ffi_call(f'jaxdl_{name}', shapes)(*arguments, **attributes)
        assert all(np.all(np.isfinite(array)) for array in jax.device_get(outputs)), (name, results)
        return outputs

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    for number in range(SHAPES):
        members, batch, channels, features = (int(n) for n in rng.integers(1, 20, 4))
        side, window, padding, stride = (int(rng.integers(1, n)) for n in (10, 5, 4, 4))
        window = min(window, side + 2 * padding)
        out = [
            (length + 2 * padding - window) // stride + 1 for length in (side, side + number % 3)
        ]
        x = draw(members if number % 2 else 1, batch, side, side + number % 3, channels)
        w, y = (
            draw(members, window, window, channels, features),
            draw(members, batch, *out, features),
        )
        every = (members, *x.shape[1:])
        call('conv_forward', [y.shape], x, w, stride=stride, padding=padding)
        call('conv_data', [every], y, w, stride=stride, padding=padding)
        call('conv_kernel', [w.shape], x, y, stride=stride, padding=padding)
        beside = draw(*y.shape) if number % 2 else draw(members, 0)
        settings = dict(stride=stride, padding=padding, activation=number % 3)
        call('conv_affine', [y.shape], x, w, draw(members, features), beside, **settings)
        wide = 16 * (1 + number % 3)
        more = draw(members, batch, *out, wide)
        call('kernel_gradient', [(*w.shape[:-1], wide)], x, more, stride=stride, padding=padding)
        kernel = draw(members, window, window, channels)
        sides = [-(-length // stride) for length in (side, side + number % 3)]
        each = draw(members, batch, *sides, channels)
        place = dict(stride=stride, top=(window - 1) // 2, left=window - 1)
        added = draw(members, channels) if number % 2 else draw(members, 0)
        shapes = [each.shape], [every], [kernel.shape]
        call('depthwise_forward', shapes[0], x, kernel, added, **place, activation=number % 3)
        call('depthwise_data', shapes[1], each, kernel, **place)
        call('depthwise_kernel', shapes[2], x, each, **place)
        pooling, scale, bias, x = (
            number % 5,
            draw(members, channels),
            draw(1, channels),
            draw(*every),
        )
        halves = [
            min(length, max(1, length // 2)) if pooling else length for length in x.shape[2:4]
        ]
        pooled, each = (members, batch, *halves, channels), (members, channels)
        settings = dict(norm=number % 2, pooling=pooling, slope=0.1, epsilon=1e-5)
        results = [pooled, pooled if pooling == 1 else (1,), each, each]
        _, *residuals = call('stage_forward', results, x, scale, bias, **settings)
        places = draw(1 if number % 3 else members, batch, 6) * 10.0 ** rng.integers(-1, 9)
        places[0, 0, number % 6] = np.nan
        call('warp', [x.shape], x if number % 2 else x[:1], places.astype(np.float32))
        call(
            'stage_backward',
            [x.shape, each, each],
            x,
            scale,
            bias,
            *residuals,
            draw(*pooled),
            **settings,
        )
        norms(call, draw, number, x, scale, bias)
        try:
            call(
                'conv_forward',
                [y.shape],
                draw(*(int(n) for n in rng.integers(1, 9, 5))),
                w,
                stride=stride,
                padding=padding,
            )
        except jax.errors.JaxRuntimeError:
            continue
        raise SystemExit(f'not refused: {w.shape}, {y.shape}')
    print(f'{SHAPES} shapes under the sanitisers: nothing found')


def norms(call, draw, number, x, scale, bias):
    """Batch norm over rows, with a sum or without, and 3 x 3 pooling."""
    members, *sides, channels = x.shape
    rows, each = x.reshape(members, -1, channels), scale.shape
    skip = draw(*rows.shape) if number % 2 else draw(members, 0)
    settings = dict(norm=number % 3 // 2, activation=number % 4 % 3, epsilon=1e-5)
    out, *moments = call(
        'norm_forward', [rows.shape, each, each], rows, skip, scale, bias, **settings
    )
    output, results = out if number % 2 else skip, [rows.shape, skip.shape, each, each]
    call(
        'norm_backward', results, rows, scale, bias, *moments, output, draw(*rows.shape), **settings
    )
    pooled = (members, sides[0], *((side + 1) // 2 for side in sides[1:]), channels)
    (result,) = call('pool_forward', [pooled], x)
    call('pool_backward', [x.shape], x, result, draw(*pooled))


if __name__ == '__main__':
    run(sys.argv[1]) if sys.argv[1:] else main()
