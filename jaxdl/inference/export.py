"""A network as files that others read: safetensors by the original names.

And StableHLO that runs without jaxdl.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as stablehlo
from safetensors import numpy as safetensors

from jaxdl import workdir
from jaxdl.errors import InputError
from jaxdl.models.port import to_tensors
from jaxdl.models.resnet import ResNet

PLATFORMS = ('cpu', 'cuda')
FILES = ('model.safetensors', 'config.json', 'model.stablehlo', 'README.md')
WHOSE = dict(timm="timm's and torchvision's", cifar="the CIFAR ResNets'", gluon="Gluon's")
READING = dict(  # names -> two lines
    timm="import timm\nmodel = timm.create_model('local-dir:FOLDER', pretrained=True).eval()",
    cifar="import safetensors.torch\nstate_dict = safetensors.torch.load_file('FOLDER/model.safetensors')",
    gluon="import safetensors.numpy\narrays = safetensors.numpy.load_file('FOLDER/model.safetensors')",
)


def export(
    module: ResNet,
    variables: Mapping[str, Any],
    output: pathlib.Path,
    image_size: int,
    about: Mapping[str, Any],
) -> list[pathlib.Path]:
    """Writes FILES into the folder `output`, each whole or not at all, over those that are there.

    Args:
      module: a row of ARCHITECTURES, with or without a head.
      variables: its `params` and `batch_stats`.
      output: the folder; made if need be.
      image_size: side in pixels of the images that the network is to see.
      about: where it is from, as JSON; its `class_names` name the outputs.

    Returns:
      The files.

    Raises:
      InputError: class names that are not as many as the outputs, or a folder that cannot be
        written.
    """
    _check(module, about)
    host = adjusted(
        jax.device_get({name: variables[name] for name in ('params', 'batch_stats')}), about
    )
    tensors = {
        k: v.astype(np.float32, copy=False)
        for k, v in to_tensors(host, module.architecture).items()
    }
    contents = (
        safetensors.save(tensors, metadata=dict(format='pt')),
        json.dumps(config(module, image_size, about), indent=2, ensure_ascii=False) + '\n',
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


def adjusted(variables: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The network with its logit adjustment in the head's bias.

    So that others name the same classes.
    """
    params = variables['params']
    if not about.get('adjustment'):
        return dict(variables)
    bias = params['head']['bias'] - np.asarray(about['adjustment'], np.float32)
    return dict(variables, params=dict(params, head=dict(params['head'], bias=bias)))


def config(module: ResNet, image_size: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """What timm reads of a folder or of a repository of the hub (`local-dir:`, `hf-hub:`).

    And `about`.
    """
    row, prepared = module.architecture, module.preprocessing
    rest = dict(about)
    labels = {'label_names': list(rest.pop('class_names'))} if rest.get('class_names') else {}
    expected = dict(
        input_size=[3, image_size, image_size],
        mean=list(prepared.mean),
        std=list(prepared.std),
        crop_pct=prepared.crop,
        interpolation=prepared.interpolation,
        num_classes=module.num_classes,
    )
    if row.names == 'timm':  # what timm looks for to put another head or first layer there
        expected |= dict(first_conv='conv1.0' if row.stem == 'deep' else 'conv1', classifier='fc')
    return dict(
        architecture=row.name,
        num_classes=module.num_classes,
        num_features=row.features,
        global_pool='avg',
        **labels,
        pretrained_cfg=expected | labels,
        jaxdl=rest,
    )


def program(module: ResNet, variables: Mapping[str, Any], image_size: int) -> bytes:
    """float32 [b, image_size, image_size, 3] in [0, 1] -> logits float32 [b, classes], serialised.

    Weights inside.

    Nothing in it is jaxdl's own: convolutions are XLA's, and on a GPU in full precision, so that
    all platforms agree. Without a head it gives features.
    """
    whole, prepared = module.clone(lowering='grouped'), module.preprocessing
    mean, std = (
        np.asarray(each, np.float32)[None, None, None] for each in (prepared.mean, prepared.std)
    )

    def logits(images: jax.Array) -> jax.Array:
        return jnp.asarray(whole.apply(variables, (images - mean) / std))

    (batch,) = stablehlo.symbolic_shape('b')
    images = jax.ShapeDtypeStruct((batch, image_size, image_size, 3), np.float32)
    with jax.default_matmul_precision('highest'):
        return bytes(stablehlo.export(jax.jit(logits), platforms=PLATFORMS)(images).serialize())


def readme(module: ResNet, image_size: int) -> str:
    """How to load each file, in three lines."""
    row, prepared = module.architecture, module.preprocessing
    outputs = f'{module.num_classes} logits' if module.num_classes else f'{row.features} features'
    return f"""# {row.name}: {outputs}

Images are RGB, {image_size} x {image_size} pixels: the short side scaled to {round(image_size / prepared.crop)} \
({prepared.interpolation}), then the centre.

`model.safetensors`, float32, has {WHOSE[row.names]} names and layouts. Its images are in [0, 1], less the mean \
{list(prepared.mean)}, over {list(prepared.std)}, as `config.json` says:

```python
{READING[row.names]}
```

jaxdl reads it again: `module, variables = jaxdl.models.load_pretrained('FOLDER')`.

`model.stablehlo` needs JAX and flatbuffers, and nothing else. Its images are float32 \
[batch, {image_size}, {image_size}, 3] in [0, 1]; it normalises them itself:

```python
import jax, jax.export, pathlib
model = jax.export.deserialize(bytearray(pathlib.Path('FOLDER/model.stablehlo').read_bytes()))
outputs = model.call(images)
```
"""


def _check(module: ResNet, about: Mapping[str, Any]) -> None:
    names = about.get('class_names', ())
    if names and len(names) != module.num_classes:
        raise InputError(
            f'export: {len(names)} class names for the {module.num_classes} outputs of the network'
        )
