"""Export of a network: safetensors under the original names, StableHLO that runs without jaxdl."""

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
from jaxdl.data.decode import BACKGROUND
from jaxdl.errors import InputError
from jaxdl.inference import tta
from jaxdl.models.families import family_of
from jaxdl.models.network import Network
from jaxdl.models.port import to_tensors
from jaxdl.workdir import records
from jaxdl.workdir.records import ModelCard

CROP_MODES = dict(crop='center', pad='border', squash='squash')  # fit -> timm's name
PLATFORMS = ('cpu', 'cuda')
FILES = ('model.safetensors', 'config.json', 'model.stablehlo', 'README.md')
OWNERS = dict(timm="timm's and torchvision's", cifar="the CIFAR ResNets'", gluon="Gluon's")
LOADING = dict(  # origin of the names -> code that loads the weights
    timm="import timm\nmodel = timm.create_model('local-dir:FOLDER', pretrained=True).eval()",
    cifar='import safetensors.torch\n'
    "state_dict = safetensors.torch.load_file('FOLDER/model.safetensors')",
    gluon='import safetensors.numpy\n'
    "arrays = safetensors.numpy.load_file('FOLDER/model.safetensors')",
)


def export(
    module: Network,
    variables: Mapping[str, Any],
    output: pathlib.Path,
    image_size: int,
    card: ModelCard,
) -> list[pathlib.Path]:
    """Write FILES into a folder, each whole or not at all, in place of existing ones.

    Args:
      module: a row of ARCHITECTURES, with or without a head.
      variables: its `params` and `batch_stats`.
      output: the folder; created if it does not exist.
      image_size: side in pixels of the images that the network is to see.
      card: metadata; its `class_names` name the outputs.

    Returns:
      Paths of the files.

    Raises:
      InputError: class names that are not as many as the outputs, or a folder that cannot be
        written.
    """
    _check(module, card)
    host = jax.device_get({name: variables.get(name, {}) for name in ('params', 'batch_stats')})
    host = with_adjustment(host, card.adjustment)
    tensors = {
        k: v.astype(np.float32, copy=False)
        for k, v in to_tensors(host, module.architecture).items()
    }
    contents = (
        safetensors.save(tensors, metadata=dict(format='pt')),
        json.dumps(config(module, image_size, card), indent=2, ensure_ascii=False) + '\n',
        program(module, host, image_size),
        readme(module, image_size),
    )
    paths = [output / name for name in FILES]
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


def readme(module: Network, image_size: int) -> str:
    """README.md: how to load each file."""
    row, preprocessing = module.architecture, module.preprocessing
    side = round(image_size / preprocessing.crop)
    squares = dict(
        crop=f'the short side is scaled to {side}\n({preprocessing.interpolation}), then the '
        'centre is cropped',
        pad=f'the long side is scaled to {side}\n({preprocessing.interpolation}), then the image '
        f'is centred on the colour {list(BACKGROUND)}',
        squash=f'both sides are scaled to {side}\n({preprocessing.interpolation})',
    )
    outputs = f'{module.num_classes} logits' if module.num_classes else f'{row.features} features'
    return f"""# {row.name}: {outputs}

Images are RGB, {image_size} x {image_size} pixels: {squares[preprocessing.fit]}.

`model.safetensors`, float32, has {OWNERS[row.names]} names and layouts. Its images are in [0, 1],
minus the mean {list(preprocessing.mean)},
divided by {list(preprocessing.std)}, as in `config.json`:

```python
{LOADING[row.names]}
```

jaxdl reads the folder: `module, variables = jaxdl.models.load_pretrained('FOLDER')`.

`model.stablehlo` needs JAX and flatbuffers only. Its images are float32
[batch, {image_size}, {image_size}, 3] in [0, 1]; the program normalises them:

```python
import jax, jax.export, pathlib
model = jax.export.deserialize(bytearray(pathlib.Path('FOLDER/model.stablehlo').read_bytes()))
outputs = model.call(images)
```
"""


def _check(module: Network, card: ModelCard) -> None:
    names = card.class_names
    if names and len(names) != module.num_classes:
        raise InputError(
            f'export: {len(names)} class names for the {module.num_classes} outputs of the '
            'network: must be one class name per output'
        )
