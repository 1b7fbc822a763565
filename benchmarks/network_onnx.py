"""onnxruntime's and OpenVINO's side of benchmarks/networks.py: the exported network."""

import time
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

    def run(seconds: float) -> dict[str, float]:
        began, steps, loss = time.perf_counter(), 0, first
        while time.perf_counter() < began + seconds:
            loss, steps = step(), steps + 1
        return dict(seconds=(time.perf_counter() - began) / steps / size['batch'], loss=loss)

    return dict(parameters=None, loss=first), run


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
