"""onnxruntime's and OpenVINO's side of benchmarks/networks.py: the exported network."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import sides


def prepare(
    size: dict[str, int], classes: int, runtime: str, file: str
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of the network, and the function that works for at least so many seconds.

    The function returns the seconds per image and a probability in place of the last loss.
    """
    images = np.random.default_rng(0).integers(
        0, 256, (size['batch'], size['side'], size['side'], 3), np.uint8
    )
    step = RUNTIMES[runtime](file, images)
    first = step()

    return dict(parameters=None, loss=first), sides.repeat(step, size['batch'])


def _onnxruntime(file: str, images: np.ndarray) -> Callable[[], float]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = sides.CORES
    session = onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])
    return lambda: float(session.run(None, dict(images=images))[0][0, 0])


def _openvino(file: str, images: np.ndarray) -> Callable[[], float]:
    import openvino

    settings = dict(INFERENCE_NUM_THREADS=sides.CORES, INFERENCE_PRECISION_HINT='f32')
    compiled = openvino.Core().compile_model(file, 'CPU', settings)
    return lambda: float(compiled([images])[0][0, 0])


RUNTIMES = dict(onnxruntime=_onnxruntime, openvino=_openvino)
