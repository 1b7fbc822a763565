"""Mode predict for a stored network of an ablation, and the choice of the network."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl import fields, workdir
from jaxdl.ablation import member_networks
from jaxdl.ablation.member_networks import TrainedNetwork
from jaxdl.errors import InputError
from jaxdl.inference import batched, commands, predictor
from jaxdl.inference.batched import Progress
from jaxdl.inference.commands import PredictSettings
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

        @jax.jit
        def compute(batch: jax.Array) -> jax.Array:
            return network.activate(network.logits(batch))

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


def _as_grey(batch: np.ndarray) -> np.ndarray:
    """Pixels of one channel, uint8 [b, height, width, 1]; equal channels keep their value."""
    return np.rint(batch @ np.array(GREY)).astype(np.uint8)[..., None]
