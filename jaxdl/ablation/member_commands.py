"""Modes predict and export for a stored network of an ablation."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import export as stablehlo
from safetensors import numpy as safetensors

from jaxdl import fields, workdir
from jaxdl.ablation import member_networks
from jaxdl.ablation.member_networks import TrainedNetwork
from jaxdl.data.preprocess import normalize, to_float
from jaxdl.errors import InputError
from jaxdl.inference import batched, commands, predictor
from jaxdl.inference import export as exporting
from jaxdl.inference.batched import Progress
from jaxdl.inference.commands import PredictSettings
from jaxdl.train import losses, train_step
from jaxdl.workdir.checksums import checksum

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode L


@dataclasses.dataclass(frozen=True)
class MemberSettings:
    """Choice of a network of an ablation.

    Attributes:
      option: name of the option.
      seed: evaluation seed, such as 1000.
      condition: name of the condition; empty for a study with one.
    """

    option: str = ''
    seed: int | None = fields.ruled(None, fields.at_least(0))
    condition: str = ''


def is_ablation(checkpoint: pathlib.Path) -> bool:
    """Whether a workdir is that of an ablation."""
    config = checkpoint / 'config.json'
    return config.is_file() and workdir.read_json(config).get('kind') == 'Ablation'


def load(checkpoint: pathlib.Path, settings: MemberSettings) -> TrainedNetwork:
    """Load the network of an ablation that settings choose.

    Raises:
      InputError: option or seed is not chosen, or as `member_networks.load_member`.
    """
    if not settings.option or settings.seed is None:
        options = list(workdir.read_json(checkpoint / 'config.json').get('options', {}))
        raise InputError(
            f'{checkpoint} is an ablation with a network per option and seed: choose one by '
            f'--set=option=NAME --set=seed=1000; options: {", ".join(options)}'
        )
    return member_networks.load_member(
        checkpoint, settings.option, settings.seed, settings.condition
    )


@dataclasses.dataclass(frozen=True)
class MemberPredictor:
    """A network of an ablation that predicts image files, decoded as those of a data set."""

    network: TrainedNetwork

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of probabilities."""
        return tuple(self.network.config['class_names'])

    def identity(self) -> dict[str, Any]:
        """All that the probabilities depend on, next to the images."""
        return dict(networks=[checksum(self.network.variables)], config=self.network.config)

    def stream(
        self,
        images: Sequence[Any],
        batch_size: int = 32,
        progress: Progress | None = None,
        on_bad_image: str = 'stop',
    ) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
        """Predict batch by batch, as `Predictor.stream`.

        Raises:
          InputError: an image cannot be read, or the network takes no square images.
        """
        network, bad = self.network, dict[int, str]()
        height, width, channels = network.config['image_shape']
        if height != width or channels not in (1, 3):
            raise InputError(
                f'the network takes inputs of {height} x {width} x {channels}: must be square '
                'images of 1 or 3 channels; use jaxdl.load_member(...).scores(arrays)'
            )
        activation = losses.find(network.variant.loss).activation

        @jax.jit
        def compute(batch: jax.Array) -> jax.Array:
            return activation(_logits(network, batch))

        skipped = bad if on_bad_image == 'skip' else None
        fit = network.config['fit']
        batches = predictor.decode_batches(images, height, batch_size, skipped, fit)
        pixels = (batch if channels == 3 else _as_grey(batch) for batch in batches)
        rows = batched.map_batches(compute, pixels, batch_size, progress=progress)
        yield from predictor.with_reasons((np.array(each, np.float32) for each in rows), bad)


def predict(
    checkpoint: pathlib.Path,
    member: MemberSettings,
    images: str,
    output: pathlib.Path,
    settings: PredictSettings,
    overwrite: str = 'refuse',
) -> str:
    """Predict images by a network of an ablation, as `inference.commands.predict`.

    Raises:
      InputError: no such network or image, a setting without effect, or a file that cannot be
        written.
    """
    for name in ('views', 'explain', 'unknown'):
        if getattr(settings, name):
            raise InputError(
                f'{name}={getattr(settings, name)}: networks of an ablation have none: leave it out'
            )
    network = MemberPredictor(load(checkpoint, member))
    return commands.predict_by(network, images, output, settings, overwrite)


def export(
    checkpoint: pathlib.Path,
    member: MemberSettings,
    output: pathlib.Path,
    overwrite: str = 'refuse',
) -> str:
    """Export a network of an ablation: variables by path, and StableHLO.

    Args:
      checkpoint: workdir of the ablation.
      member: choice of the network.
      output: the folder.
      overwrite: `refuse` or `anything`: whether existing files of these names are overwritten.

    Returns:
      Lines that name the files.

    Raises:
      InputError: no such network, or a folder that cannot be written.
    """
    commands.check_folder(output, overwrite)
    network = load(checkpoint, member)
    variables = jax.tree.map(np.asarray, network.variables)
    tensors: dict[str, Any] = dict(traverse_util.flatten_dict(variables, sep='/'))
    config = network.config | dict(mean=network.mean.tolist(), std=network.std.tolist())
    contents = (
        safetensors.save(tensors),
        json.dumps(config, indent=2, ensure_ascii=False) + '\n',
        program(network),
        readme(network),
    )
    try:
        for name, content in zip(exporting.FILES, contents, strict=True):
            workdir.write(output / name, content)
    except OSError as error:
        raise InputError(
            f'output {output} cannot be written ({error.strerror}): name another folder'
        ) from None
    return '\n'.join(f'exported: {output / name}' for name in exporting.FILES)


def program(network: TrainedNetwork) -> bytes:
    """Serialised StableHLO of a network, weights included.

    Returns:
      A program of float32 [b, height, width, channel] in the unit of the data set -> logits float32
      [b, classes].
    """
    classes = len(network.config['class_names'])
    module = train_step.module_of(network.variant, classes, 'grouped')
    portable = dataclasses.replace(network, module=module)

    def logits(image: jax.Array) -> jax.Array:
        return jnp.asarray(_logits(portable, image[None])[0], jnp.float32)

    # A network of a user may need the number of images as a number: it gets one image at a time.
    (batch,) = stablehlo.symbolic_shape('b')
    images = jax.ShapeDtypeStruct((batch, *network.config['image_shape']), np.float32)
    with jax.default_matmul_precision('highest'):
        exported = stablehlo.export(jax.jit(jax.vmap(logits)), platforms=exporting.PLATFORMS)
        return bytes(exported(images).serialize())


def readme(network: TrainedNetwork) -> str:
    """README.md: origin of the network, and the way to load each file."""
    config = network.config
    shape = ', '.join(map(str, config['image_shape']))
    return f"""# {config['option']}, seed {config['seed']}: {len(config['class_names'])} logits

`config.json` has all settings, the class names, and the moments of the images.

`model.safetensors` has the variables of the Flax network by path, such as `params/head/kernel`.
Images of the network are minus the mean {network.mean.tolist()}, divided by
{network.std.tolist()}. Another study begins with these weights by
`--set=init_from=FOLDER/model.safetensors`.

`model.stablehlo` needs JAX and flatbuffers only. Its images are float32 [batch, {shape}] in [0, 1];
the program normalises them:

```python
import jax, jax.export, pathlib
model = jax.export.deserialize(bytearray(pathlib.Path('FOLDER/model.stablehlo').read_bytes()))
logits = model.call(images)
```
"""


def _logits(network: TrainedNetwork, images: jax.Array) -> jax.Array:
    """Logits of images as a data set has them, float32 [batch, classes]."""
    inputs = normalize(to_float(images), network.mean, network.std)
    return train_step.apply(network.module, network.variant, network.variables, inputs, train=False)


def _as_grey(batch: np.ndarray) -> np.ndarray:
    """Pixels of one channel, uint8 [b, height, width, 1]; equal channels keep their value."""
    return np.rint(batch @ np.array(GREY)).astype(np.uint8)[..., None]
