"""Pretrained networks against timm, onnxruntime and OpenVINO: images per second, and memory.

Run    python -m benchmarks.networks [resnet18 tf_efficientnet_lite0 ...]
Takes  7 minutes per network by ROUNDS and SECONDS, and compiling
Gives  a line for each network, work, batch size and peer; the sides are processes, in turn

onnxruntime and OpenVINO run the network that jaxdl exports. They need jax2onnx, and are left out
where one of the three is not installed.
"""

import contextlib
import importlib.util
import multiprocessing
import pathlib
import statistics
import sys

from benchmarks import sides
from jaxdl.models import ARCHITECTURES

CLASSES = 81
NETWORKS = dict(resnet18=160, resnet50=160, tf_efficientnet_lite0=224)  # side in pixels
WORKS = dict(training=(16,), features=(1, 16), inference=(1, 16))  # batch sizes
RUNTIMES = ('onnxruntime', 'openvino')
ROUNDS, SECONDS = 7, 4.0
FOLDER = pathlib.Path('build', 'networks')

Rows = dict[str, dict[str, object]]


def peers(name: str, work: str) -> Rows:
    """Rows of the sides: ours first, then timm, then the runtimes that are installed."""
    options = dict(name=name, work=work)
    rows: Rows = {
        side: dict(module=f'network_{side}', options=options) for side in ('ours', 'timm')
    }
    if work == 'inference' and importlib.util.find_spec('jax2onnx'):
        file = FOLDER / f'{name}.onnx'
        for runtime in filter(importlib.util.find_spec, RUNTIMES):
            options = dict(runtime=runtime, file=str(file))
            rows[runtime] = dict(module='network_onnx', options=options)
    return rows


def export(name: str) -> None:
    """Write a network with random weights to FOLDER, as `--mode=export` does."""
    import jax
    import jax.numpy as jnp

    from jaxdl.inference import export as exporting
    from jaxdl.inference.model_file import SavedModel
    from jaxdl.models.families import make_network
    from jaxdl.workdir.records import ModelCard

    module, size = make_network(ARCHITECTURES[name], CLASSES), NETWORKS.get(name, 224)
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    card = ModelCard(
        architecture=name,
        num_classes=CLASSES,
        class_names=(),
        preprocessing=module.preprocessing,
        eval_size=size,
        views='none',
        temperature=1.0,
        adjustment=(),
    )
    content, _ = exporting.onnx_of(SavedModel(module, (jax.device_get(variables),), card), size)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f'{name}.onnx').write_bytes(content)


def measured(name: str, work: str, batch: int) -> dict[str, list[sides.Answer]]:
    """Answers of each side, round by round."""
    size = dict(batch=batch, side=NETWORKS.get(name, 224))
    with contextlib.ExitStack() as stack:
        started = {
            side: stack.enter_context(sides.started(row, size, CLASSES))
            for side, row in peers(name, work).items()
        }
        parameters = {started[side].facts['parameters'] for side in ('ours', 'timm')}
        if len(parameters) > 1:
            raise SystemExit(f'{name}: not the same network: parameters {parameters}')
        answers = {side: [] for side in started}
        for _ in range(ROUNDS):
            for side, process in started.items():
                answers[side].append(sides.ask(process, SECONDS))
        return answers


def line(name: str, work: str, batch: int, peer: str, ours: list, theirs: list) -> str:
    """Both rates and the median of the ratios, with its extremes over the rounds."""
    seconds = [[answer['seconds'] for answer in answers] for answers in (ours, theirs)]
    ratios = sorted(theirs / ours for ours, theirs in zip(*seconds, strict=True))
    rates = [1 / statistics.median(each) for each in seconds]
    memory = ' and '.join(f'{answers[-1]["peak_gib"]:.2f}' for answers in (ours, theirs))
    return (
        f'{name} {work}, batch {batch}, {NETWORKS.get(name, 224)} px: {rates[0]:.1f} images/s, '
        f'{peer} {rates[1]:.1f}, ratio {statistics.median(ratios):.2f} '
        f'({ratios[0]:.2f} to {ratios[-1]:.2f}); peak {memory} GiB'
    )


def main(names: list[str]) -> None:
    """Measures and prints."""
    print(f'float32, {sides.CORES} cores; timm in channels_last')
    for name in names or NETWORKS:
        if any(peer in RUNTIMES for peer in peers(name, 'inference')):
            # In a process of its own: a side would start with the peak of this one's memory.
            process = multiprocessing.get_context('spawn').Process(target=export, args=(name,))
            process.start()
            process.join()
        for work, batches in WORKS.items():
            for batch in batches:
                ours, *others = measured(name, work, batch).items()
                for peer, answers in others:
                    print(line(name, work, batch, peer, ours[1], answers), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
