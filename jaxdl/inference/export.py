"""Export of a network: safetensors under the original names, StableHLO, ONNX, and a model card."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as stablehlo
from safetensors import numpy as safetensors

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.inference import export_readme, onnx_file, tta
from jaxdl.inference.model_file import SavedModel
from jaxdl.models.families import family_of
from jaxdl.models.network import Network
from jaxdl.models.port import to_tensors
from jaxdl.workdir import records
from jaxdl.workdir.records import ModelCard

CROP_MODES = dict(crop='center', pad='border', squash='squash')  # fit -> timm's name
PLATFORMS = ('cpu', 'cuda')
# Format -> file; without `format`, the formats of DEFAULT.
FORMATS = dict(safetensors='model.safetensors', stablehlo='model.stablehlo', onnx='model.onnx')
DEFAULT = ('safetensors', 'stablehlo')


def formats_of(name: str) -> tuple[str, ...]:
    """Formats that a setting selects: a row of FORMATS, or empty for those of DEFAULT."""
    return (name,) if name else DEFAULT


def files_of(formats: Sequence[str]) -> tuple[str, ...]:
    """Names of the files of an export."""
    return (*(FORMATS[name] for name in formats), 'config.json', 'README.md')


def export(
    model: SavedModel, output: pathlib.Path, image_size: int, formats: Sequence[str] = DEFAULT
) -> tuple[list[pathlib.Path], list[str]]:
    """Write the files of the formats into a folder, whole or not at all, over existing ones.

    Args:
      model: networks, with or without a head. ONNX averages several as the predictor does; other
        formats take the first.
      output: the folder; created if it does not exist.
      image_size: side in pixels of the images that the networks are to see.
      formats: rows of FORMATS.

    Returns:
      Paths of the files, and lines about checks.

    Raises:
      InputError: class names that are not as many as the outputs, an operation that a format does
        not have, or a folder that cannot be written.
    """
    _check(model)
    module, card = model.module, model.card
    contents: dict[str, bytes | str] = {}
    notes = list[str]()
    if 'onnx' in formats:
        contents['onnx'], notes = onnx_of(model, image_size)
    else:
        names = ('params', 'batch_stats')
        host = {name: jax.device_get(model.members[0].get(name, {})) for name in names}
        host = with_adjustment(host, card.adjustment)
        tensors = {
            k: v.astype(np.float32, copy=False)
            for k, v in to_tensors(host, module.architecture).items()
        }
        contents['safetensors'] = safetensors.save(tensors, metadata=dict(format='pt'))
        if 'stablehlo' in formats:
            contents['stablehlo'] = program(module, host, image_size)
    files = [
        *(contents[name] for name in formats),
        json.dumps(config(module, image_size, card), indent=2, ensure_ascii=False) + '\n',
        export_readme.readme(model, image_size, formats, notes),
    ]
    return write(output, files_of(formats), files), notes


def write(
    output: pathlib.Path, names: Sequence[str], contents: Sequence[bytes | str]
) -> list[pathlib.Path]:
    """Write files into a folder; InputError where the folder cannot be written."""
    paths = [output / name for name in names]
    try:
        for path, content in zip(paths, contents, strict=True):
            workdir.write(path, content)
    except OSError as error:
        raise InputError(
            f'output {output} cannot be written ({error.strerror}): name another folder'
        ) from None
    return paths


def with_adjustment(variables: Mapping[str, Any], adjustment: Sequence[float]) -> dict[str, Any]:
    """Variables whose head's bias includes the logit adjustment, so that all classify alike."""
    params = variables['params']
    if not adjustment:
        return dict(variables)
    bias = params['head']['bias'] - np.asarray(adjustment, np.float32)
    return dict(variables, params=dict(params, head=dict(params['head'], bias=bias)))


def config(module: Network, image_size: int, card: ModelCard) -> dict[str, Any]:
    """config.json as timm reads it (`local-dir:`, `hf-hub:`), and the model card."""
    row, preprocessing = module.architecture, module.preprocessing
    metadata = records.as_json(card)
    labels = {'label_names': metadata.pop('class_names')} if card.class_names else {}
    expected = dict(
        input_size=[3, image_size, image_size],
        mean=list(preprocessing.mean),
        std=list(preprocessing.std),
        crop_pct=preprocessing.crop,
        interpolation=preprocessing.interpolation,
        crop_mode=CROP_MODES[preprocessing.fit],
        num_classes=module.num_classes,
        fixed_input_size=row.multiple > 1,
    )
    if row.names == 'timm':  # timm replaces these layers for other classes or channels
        first = family_of(row).name_of((row.first_convolution, 'kernel'), row)
        expected |= dict(first_conv=first.removesuffix('.weight'), classifier=row.head)
    return dict(
        architecture=row.name,
        num_classes=module.num_classes,
        num_features=row.features,
        global_pool=row.pooling,
        **labels,
        pretrained_cfg=expected | labels,
        jaxdl=metadata,
    )


def program(module: Network, variables: Mapping[str, Any], image_size: int) -> bytes:
    """Serialised StableHLO of the network, weights included.

    The program uses no custom calls: convolutions are XLA's, on a GPU in full precision, so that
    all platforms agree.

    Args:
      module: a row of ARCHITECTURES.
      variables: its `params` and `batch_stats`.
      image_size: side of the images in pixels.

    Returns:
      A program of float32 [b, image_size, image_size, 3] in [0, 1] -> logits float32 [b, classes];
      features [b, features] of a module without a head.
    """
    portable, preprocessing = module.clone(lowering='grouped'), module.preprocessing

    def logits(images: jax.Array) -> jax.Array:
        return jnp.asarray(portable.apply(variables, tta.normalize(images, preprocessing)))

    (batch,) = stablehlo.symbolic_shape('b')
    images = jax.ShapeDtypeStruct((batch, image_size, image_size, 3), np.float32)
    with jax.default_matmul_precision('highest'):
        return bytes(stablehlo.export(jax.jit(logits), platforms=PLATFORMS)(images).serialize())


def onnx_of(model: SavedModel, image_size: int) -> tuple[bytes, list[str]]:
    """An ONNX file of the predictor, weights included, and a line about its check.

    The file takes centre crops, uint8 [batch, image_size, image_size, 3], and returns calibrated
    probabilities float32 [batch, classes]: normalisation, views, networks, logit adjustment and
    temperature are in it.

    Raises:
      InputError: as `onnx_file.convert` and `onnx_file.verify`, or views beyond the centre crop.
    """
    onnx_file.check_installed()
    card = dataclasses.replace(model.card, eval_size=image_size)
    portable = tta.fold_members(model.module.clone(lowering='convolution'), model.members)
    shape = (image_size, image_size, 3)
    metadata = dict(class_names=card.class_names, architecture=card.architecture)
    with jax.default_matmul_precision('highest'):
        content = onnx_file.convert(
            lambda crops: tta.crop_probabilities(portable, card, crops), shape, metadata
        )
    # The predictor takes crops as decoded images where the crop is the image.
    preprocessing = dataclasses.replace(model.module.preprocessing, crop=1.0)
    networks = tta.fold_members(model.module.clone(preprocessing=preprocessing), model.members)

    def predict(crops: np.ndarray) -> np.ndarray:
        return tta.probabilities(
            np.asarray(tta.batch_log_probabilities(networks, card, crops)), card.temperature
        )

    return content, [onnx_file.verify(content, predict, shape)]


def _check(model: SavedModel) -> None:
    names = model.card.class_names
    if names and len(names) != model.module.num_classes:
        raise InputError(
            f'export: {len(names)} class names for the {model.module.num_classes} outputs of the '
            'network: must be one class name per output'
        )
