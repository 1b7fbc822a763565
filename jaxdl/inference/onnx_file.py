"""A function of images as an ONNX file, by jax2onnx, and its check by onnxruntime."""

import contextlib
import importlib
import importlib.util
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.errors import InputError

INSTALL = "pip install 'jaxdl[onnx]'"
OPSET = 20  # of November 2023: onnxruntime since 1.17, OpenVINO since 2024.0
TOLERANCE = 1e-4  # largest difference of a probability
INPUT, OUTPUT = 'images', 'probabilities'
BATCHES = (1, 3)  # numbers of images of the check


def check_installed() -> None:
    """InputError unless jax2onnx can be imported."""
    missing = [name for name in ('onnx', 'jax2onnx') if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f'format=onnx: {" and ".join(missing)} not installed: {INSTALL}')


def convert(
    function: Callable[[jax.Array], jax.Array],
    shape: Sequence[int],
    metadata: Mapping[str, Any],
    dtype: Any = np.uint8,
) -> bytes:
    """Convert a function of a batch of images to ONNX, with any number of images.

    Args:
      function: [batch, *shape] -> float32 [batch, classes]; its constants become weights.
      shape: height, width and channels of an image.
      metadata: name -> JSON value, which a reader of the file finds as `custom_metadata_map`.
      dtype: of the images.

    Returns:
      A file with the input `images` and the output `probabilities`.

    Raises:
      InputError: jax2onnx is not installed, or has no conversion of an operation.
    """
    check_installed()
    images = jax.ShapeDtypeStruct(('batch', *shape), dtype)  # type: ignore[arg-type]
    with _quiet(), _named_operation():
        jax2onnx = importlib.import_module('jax2onnx')
        model = jax2onnx.to_onnx(
            function,
            [images],
            model_name='jaxdl',
            opset=OPSET,
            return_mode='ir',
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    _fuse_activations(model)
    _pool_two_axes(model)
    model.metadata_props.update({k: json.dumps(v) for k, v in metadata.items()})
    return _serialize(model)


def verify(
    content: bytes,
    function: Callable[[np.ndarray], Any],
    shape: Sequence[int],
    dtype: Any = np.uint8,
) -> str:
    """Compare a file with the predictor, for one image and for several.

    Args:
      content: of the file.
      function: [batch, *shape] -> probabilities [batch, classes], computed another way.
      shape: height, width and channels of an image.
      dtype: of the images.

    Returns:
      A line for the user: the largest difference, or that onnxruntime is not installed.

    Raises:
      InputError: a probability differs by more than TOLERANCE, or onnxruntime has no such
        operation.
    """
    if importlib.util.find_spec('onnxruntime') is None:
        return 'not checked, since onnxruntime is not installed: pip install onnxruntime'
    runtime = importlib.import_module('onnxruntime')
    try:
        session = runtime.InferenceSession(content, providers=['CPUExecutionProvider'])
        pairs = [
            (np.asarray(session.run(None, {INPUT: images})[0]), np.asarray(function(images)))
            for images in (_examples(count, shape, dtype) for count in BATCHES)
        ]
    except Exception as error:
        raise InputError(
            f'format=onnx: onnxruntime does not run the file ({_first_line(error)}): use '
            'format=stablehlo'
        ) from error
    difference = max(float(np.abs(actual - expected).max()) for actual, expected in pairs)
    if not difference <= TOLERANCE:
        raise InputError(
            f'format=onnx: the probabilities of onnxruntime differ by {difference:.2g}, more than '
            f'{TOLERANCE:g}: use format=stablehlo'
        )
    same = all(np.array_equal(*(rows.argmax(1) for rows in pair)) for pair in pairs)
    count = sum(BATCHES)
    classes = 'the same classes' if same else 'other classes where two are equally likely'
    return (
        f'checked by onnxruntime {runtime.__version__} with {count} images: {classes}, '
        f'probabilities to {difference:.1g}'
    )


def _examples(count: int, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Squares of random colours with noise: images with edges, which tell classes apart."""
    rng, (height, width, channels) = np.random.default_rng(count), shape
    squares = rng.uniform(0, 1, (count, 4, 4, channels))
    rows, columns = (np.arange(side) * 4 // side for side in (height, width))
    images = squares[:, rows][:, :, columns] + rng.normal(0, 0.05, (count, *shape))
    images = np.clip(images, 0, 1)
    return np.asarray(255 * images if dtype == np.uint8 else images).astype(dtype)


def _fuse_activations(model: Any) -> None:
    """Write max(x, 0) as Relu, and min(max(x, 0), c) as Clip, in place.

    onnxruntime computes these two within the convolution before them.
    """
    ir = importlib.import_module('onnx_ir')
    for node in list(model.graph):
        found = _against_constant(node, 'Max')
        if not found or float(found[1].const_value.numpy()) != 0:
            continue
        (images, zero), last = found, node
        uses = list(node.outputs[0].uses())
        limit = _against_constant(uses[0].node, 'Min') if len(uses) == 1 else None
        if limit:
            last = uses[0].node
            fused = ir.node('Clip', [images, zero, limit[1]])
        else:
            fused = ir.node('Relu', [images])
        output, outputs = last.outputs[0], fused.outputs[0]
        outputs.type, outputs.shape = output.type, output.shape
        model.graph.insert_after(last, fused)
        ir.convenience.replace_all_uses_with(output, outputs, replace_graph_outputs=True)
        model.graph.remove(last, safe=True)
        if last is not node:
            model.graph.remove(node, safe=True)


def _pool_two_axes(model: Any) -> None:
    """Write a maximum over windows of rows and columns as MaxPool of two axes, in place.

    jax2onnx pools all four axes of the images, after two axes of size 1, which onnxruntime refuses.
    """
    ir = importlib.import_module('onnx_ir')
    for node in list(model.graph):
        window = node.attributes.get('kernel_shape')
        if node.op_type != 'MaxPool' or len(window.value) != 4 or window.value[::3] != (1, 1):
            continue
        images = node.inputs[0].producer().inputs[0].producer().inputs[0]
        pads = node.attributes['pads'].value if 'pads' in node.attributes else (0,) * 8
        strides = node.attributes['strides'].value[1:3]
        first = ir.node('Transpose', [images], dict(perm=(0, 3, 1, 2)))
        settings = dict(
            kernel_shape=window.value[1:3], strides=strides, pads=(*pads[1:3], *pads[5:7])
        )
        pooled = ir.node('MaxPool', first.outputs, settings)
        last = ir.node('Transpose', pooled.outputs, dict(perm=(0, 2, 3, 1)))
        (squeeze,) = (use.node for use in node.outputs[0].uses())
        output, outputs = squeeze.outputs[0], last.outputs[0]
        outputs.type, outputs.shape = output.type, output.shape
        model.graph.insert_after(squeeze, [first, pooled, last])
        ir.convenience.replace_all_uses_with(output, outputs, replace_graph_outputs=True)


def _against_constant(node: Any, kind: str) -> tuple[Any, Any] | None:
    """Variable and scalar constant of a node of two inputs; None for another node."""
    if node.op_type != kind or len(node.inputs) != 2:
        return None
    for variable, constant in (node.inputs, node.inputs[::-1]):
        if constant.const_value is not None and not constant.shape:
            return variable, constant
    return None


def _serialize(model: Any) -> bytes:
    ir = importlib.import_module('onnx_ir')
    passes = importlib.import_module('onnx_ir.passes.common')
    passes.RemoveUnusedNodesPass()(model)
    with _quiet():
        return bytes(ir.to_proto(model).SerializeToString())


@contextlib.contextmanager
def _quiet() -> Any:
    """Without notes on packages that examples of jax2onnx need, and on shapes of helper values."""
    loggers = [logging.getLogger(name) for name in ('jax2onnx', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _named_operation() -> Any:
    """Turn an error of jax2onnx into an InputError that names the operation."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f'format=onnx: jax2onnx cannot convert an operation of the network '
            f'({_first_line(error)}): use format=stablehlo'
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0][:200]}'
