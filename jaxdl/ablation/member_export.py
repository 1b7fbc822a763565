"""Mode export for a stored network of an ablation: variables by path, StableHLO, ONNX."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import export as stablehlo
from safetensors import numpy as safetensors

from jaxdl import statistics
from jaxdl.ablation import member_commands
from jaxdl.ablation.member_commands import MemberSettings
from jaxdl.ablation.member_networks import TrainedNetwork
from jaxdl.inference import commands, model_card, onnx_file
from jaxdl.inference import export as exporting
from jaxdl.inference.commands import FormatSettings
from jaxdl.inference.export_readme import STABLEHLO
from jaxdl.inference.model_card import Card, Score
from jaxdl.models.custom import CustomNetwork
from jaxdl.train import train_step
from jaxdl.workdir import correct, tables

INIT_FROM = (
    'Another study begins with these weights by\n`--set=init_from=FOLDER/model.safetensors`.'
)


def export(
    checkpoint: pathlib.Path,
    member: MemberSettings,
    settings: FormatSettings,
    output: pathlib.Path,
    overwrite: str = 'refuse',
) -> str:
    """Export a network of an ablation, with a model card.

    Args:
      checkpoint: workdir of the ablation.
      member: choice of the network.
      settings: the format.
      output: the folder.
      overwrite: `refuse` or `anything`: whether existing files of these names are overwritten.

    Returns:
      Lines that name the files, and checks of them.

    Raises:
      InputError: no such network, an operation that the format does not have, or a folder that
        cannot be written.
    """
    formats = exporting.formats_of(settings.format)
    commands.check_folder(output, formats, overwrite)
    network = member_commands.load(checkpoint, member)
    config = network.config | dict(mean=network.mean.tolist(), std=network.std.tolist())
    contents: list[bytes | str] = []
    notes = list[str]()
    if 'onnx' in formats:
        content, check = onnx_of(network)
        contents.append(content)
        notes.append(check)
    if 'safetensors' in formats:
        variables = jax.tree.map(np.asarray, network.variables)
        tensors: dict[str, Any] = dict(traverse_util.flatten_dict(variables, sep='/'))
        contents.append(safetensors.save(tensors))
    if 'stablehlo' in formats:
        contents.append(program(network))
    contents.append(json.dumps(config, indent=2, ensure_ascii=False) + '\n')
    contents.append(readme(network, checkpoint, formats, notes))
    paths = exporting.write(output, exporting.files_of(formats), contents)
    return commands.describe_export(paths, notes)


def program(network: TrainedNetwork) -> bytes:
    """Serialised StableHLO of a network, weights included.

    Returns:
      A program of float32 [b, height, width, channel] in the unit of the data set -> logits float32
      [b, classes].
    """
    portable = _portable(network)

    def logits(image: jax.Array) -> jax.Array:
        return jnp.asarray(portable.logits(image[None])[0], jnp.float32)

    # A network of a user may need the number of images as a number: it gets one image at a time.
    (batch,) = stablehlo.symbolic_shape('b')
    images = jax.ShapeDtypeStruct((batch, *network.config['image_shape']), np.float32)
    with jax.default_matmul_precision('highest'):
        exported = stablehlo.export(jax.jit(jax.vmap(logits)), platforms=exporting.PLATFORMS)
        return bytes(exported(images).serialize())


def onnx_of(network: TrainedNetwork) -> tuple[bytes, str]:
    """An ONNX file of a network, weights included, and a line about its check.

    The file takes images of the type of `_input_type` and returns the outputs of the network,
    float32 [batch, classes]: normalisation and activation are in it.

    Raises:
      InputError: as `onnx_file.convert` and `onnx_file.verify`.
    """
    portable, shape, dtype = _portable(network), network.config['image_shape'], _input_type(network)

    def scores(images: jax.Array) -> jax.Array:
        return jnp.asarray(portable.activate(portable.logits(images)), jnp.float32)

    def one_by_one(images: jax.Array) -> jax.Array:
        return jax.vmap(lambda image: scores(image[None])[0])(images)

    function = one_by_one if isinstance(network.module, CustomNetwork) else scores
    metadata = dict(class_names=network.config['class_names'], option=network.config['option'])
    with jax.default_matmul_precision('highest'):
        content = onnx_file.convert(function, shape, metadata, dtype)
    return content, onnx_file.verify(content, network.scores, shape, dtype)


def readme(
    network: TrainedNetwork,
    checkpoint: pathlib.Path,
    formats: Sequence[str],
    checks: Sequence[str] = (),
) -> str:
    """README.md: a model card.

    Args:
      network: the exported network.
      checkpoint: workdir of the ablation.
      formats: rows of `export.FORMATS`.
      checks: lines about checks of the files.
    """
    config = network.config
    classes, initial = len(config['class_names']), config['variant'].get('init_from', '')
    score, images = _score(network, checkpoint)
    text = '\n\n'.join(LOAD[name](network) for name in formats)
    description = _describe_score(score, images, network, checkpoint)
    sections = {
        'Network': f'The network of option {config["option"]}, seed {config["seed"]}, condition '
        f'{config["condition"]}, of an ablation study.\n`config.json` has all settings, the class '
        'names, and the moments of the images.',
        'Score': description,
        'Calibration': 'The probabilities are not calibrated.',
        'Preprocessing': _preprocessing(network),
        'Data': f'{model_card.cut_paths(config["data"])}, {classes} classes.',
        'Licence of the initial weights': model_card.UNKNOWN
        if initial
        else 'none: the network was trained from random weights',
        'Loading': '\n\n'.join([text, *(f'The file was {check}.' for check in checks)]),
        'Limits': '\n'.join(f'- {limit}' for limit in (*model_card.LIMITS[::2], ONE_OF_MANY)),
    }
    title = f'{config["option"]}, seed {config["seed"]}: {classes} classes'
    library = 'onnx' if 'onnx' in formats else 'jaxdl'
    licence = '' if initial else None
    card = Card(title, library, licence, '', config['data'], score, images, sections)
    return model_card.render(card)


ONE_OF_MANY = 'The study compares options over seeds; this network is one of its seeds.'


def _score(network: TrainedNetwork, checkpoint: pathlib.Path) -> tuple[list[Score], str]:
    """Test accuracy of the network with its interval, and its images in words."""
    table, config = correct.read_correct(checkpoint / 'correct.npz'), network.config
    condition = '' if config['condition'] == tables.ALL else config['condition']
    runs = (table.condition == condition) & (table.option == config['option'])
    (runs,) = np.nonzero(runs & (table.seed == config['seed']))
    if len(runs) != 1 or not table.tested[runs[0]].any():
        return [], ''
    tested = table.tested[runs[0]]
    wrong = 1 - table.correct[runs[0], tested].astype(int)
    measured = statistics.score_predictions(np.zeros_like(wrong), wrong, table.group[tested])
    accuracy = measured.accuracy
    images = f'{measured.images:,} test images in {measured.groups:,} groups'
    return [Score('accuracy', accuracy.value, accuracy.interval)], images


def _describe_score(
    score: Sequence[Score], images: str, network: TrainedNetwork, checkpoint: pathlib.Path
) -> str:
    """Score of the network, and the mean of its option over seeds."""
    text, config = model_card.describe_scores(score, images), network.config
    for row in tables.read_table(checkpoint / 'summary.csv', tables.SUMMARY, further=float):
        place = (row['condition'] or tables.ALL, row['option'])
        if place == (config['condition'], config['option']) and row['mean'] is not None:
            ends = [] if row['ci_low'] is None else [f'{row[k]:.4g}' for k in ('ci_low', 'ci_high')]
            interval = f' (95 % interval over seeds {" to ".join(ends)})' if ends else ''
            text += (
                f'\nMean {row["metric"]} of the option over {row["seeds"]} seeds: '
                f'{row["mean"]:.4g}{interval}.'
            )
    return text


def _preprocessing(network: TrainedNetwork) -> str:
    height, width, channels = network.config['image_shape']
    return (
        f'Images are {height} x {width} pixels of {channels} channels in [0, 1], or numbers as the '
        f'data set has\nthem, minus the mean {network.mean.tolist()}, divided by\n'
        f'{network.std.tolist()}. Files of images are decoded as fit={network.config["fit"]}.'
    )


def _load_safetensors(network: TrainedNetwork) -> str:
    return (
        '`model.safetensors` has the variables of the Flax network by path, such as '
        f'`params/head/kernel`.\n{INIT_FROM}'
    )


def _load_stablehlo(network: TrainedNetwork) -> str:
    shape = ', '.join(map(str, network.config['image_shape']))
    return f"""`model.stablehlo` needs JAX and flatbuffers only. Its images are float32
[batch, {shape}] in [0, 1]; the program normalises them. Its outputs are logits:

```python
{STABLEHLO}
```"""


def _load_onnx(network: TrainedNetwork) -> str:
    shape, dtype = ', '.join(map(str, network.config['image_shape'])), _input_type(network).__name__
    return f"""`model.onnx` needs onnxruntime only. Its images are {dtype}
[batch, {shape}], its outputs probabilities
[batch, {len(network.config['class_names'])}]. Normalisation is in the file. The class names are in
its metadata:

```python
import json
import onnxruntime

session = onnxruntime.InferenceSession('FOLDER/model.onnx')
class_names = json.loads(session.get_modelmeta().custom_metadata_map['class_names'])
(probabilities,) = session.run(None, {{'images': images}})
```"""


LOAD = dict(safetensors=_load_safetensors, stablehlo=_load_stablehlo, onnx=_load_onnx)


def _portable(network: TrainedNetwork) -> TrainedNetwork:
    """The network with convolutions of XLA."""
    classes = len(network.config['class_names'])
    module = train_step.module_of(network.variant, classes, 'grouped')
    return dataclasses.replace(network, module=module)


def _input_type(network: TrainedNetwork) -> type:
    """uint8 for networks of square images, as files are decoded; float32 for other inputs."""
    height, width, channels = network.config['image_shape']
    return np.uint8 if height == width > 1 and channels in (1, 3) else np.float32
