"""Model card of an exported fine-tuning, and code that loads each of its files."""

from collections.abc import Callable, Sequence

from jaxdl.data.decode import BACKGROUND
from jaxdl.inference import model_card
from jaxdl.inference.model_card import Card
from jaxdl.inference.model_file import SavedModel
from jaxdl.models import embedded
from jaxdl.workdir.records import ModelCard

OWNERS = dict(timm="timm's and torchvision's", cifar="the CIFAR ResNets'", gluon="Gluon's")
LOADING = dict(  # origin of the names -> code that loads the weights
    timm="import timm\nmodel = timm.create_model('local-dir:FOLDER', pretrained=True).eval()",
    cifar='import safetensors.torch\n'
    "state_dict = safetensors.torch.load_file('FOLDER/model.safetensors')",
    gluon='import safetensors.numpy\n'
    "arrays = safetensors.numpy.load_file('FOLDER/model.safetensors')",
)
STABLEHLO = """import jax, jax.export, pathlib
model = jax.export.deserialize(bytearray(pathlib.Path('FOLDER/model.stablehlo').read_bytes()))
outputs = model.call(images)"""
# Library of the hub that loads a format; the first format counts.
LIBRARIES = dict(safetensors='timm', stablehlo='jaxdl', onnx='onnx')


def readme(
    model: SavedModel, image_size: int, formats: Sequence[str], checks: Sequence[str] = ()
) -> str:
    """README.md: a model card.

    Args:
      model: the exported networks.
      image_size: side in pixels of the images.
      formats: rows of `export.FORMATS`.
      checks: lines about checks of the files.
    """
    module, card = model.module, model.card
    row, count = module.architecture, module.num_classes
    outputs = f'{count} classes' if count else f'{row.features} features'
    library = LIBRARIES[formats[0]]
    if library == 'timm' and row.names != 'timm':
        library = 'jaxdl'
    scores, images = model_card.scores_of(card.scores), model_card.images_of(card.scores)
    text = '\n\n'.join(LOAD[name](model, image_size) for name in formats)
    sections = {
        'Network': _network(model),
        'Score': model_card.describe_scores(scores, images) + _differences(model, image_size),
        'Calibration': _calibration(card, formats),
        'Preprocessing': _preprocessing(model, image_size, formats),
        'Data': _data(card),
        'Licence of the initial weights': card.weights_licence or model_card.UNKNOWN,
        'Loading': '\n\n'.join([text, *(f'The file was {check}.' for check in checks)]),
        'Limits': '\n'.join(f'- {limit}' for limit in _limits(card)),
    }
    title = f'{row.name}: {outputs}'
    data, licence = model_card.cut_paths(card.data), card.weights_licence
    base = card.weights.removeprefix('hf-hub:') if card.revision else ''
    return model_card.render(Card(title, library, licence, base, data, scores, images, sections))


def _network(model: SavedModel) -> str:
    card, count = model.card, len(model.members)
    networks = f'{count} networks, whose probabilities are averaged' if count > 1 else 'One network'
    source = model_card.cut_paths(card.weights)
    lines = [f'{networks} of the architecture {card.architecture}.']
    if card.weights:
        revision = f', revision {card.revision}' if card.revision else ''
        lines.append(f'Initial weights: {source}{revision}.')
    if card.experiment:
        version = f' of jaxdl {card.jaxdl}' if card.jaxdl else ''
        lines.append(f'Trained by the experiment {card.experiment}{version}.')
    elif card.weights in embedded.EMBEDDED:
        lines.append('The network is as published: jaxdl has not trained it.')
    if card.class_names:
        names = ', '.join(card.class_names[:4]) + ', ...' * (len(card.class_names) > 4)
        lines.append(
            f'It classifies images into {len(card.class_names):,} classes ({names}); '
            '`config.json` lists them.'
        )
    return '\n'.join(lines)


def _differences(model: SavedModel, image_size: int) -> str:
    """Settings of the scored predictor that other formats than ONNX leave out."""
    card = model.card
    if not model_card.scores_of(card.scores):
        return ''
    text = f'\nThe score is of images of {card.eval_size} pixels per side, views={card.views}'
    text += f', networks: {card.scores.get("networks", len(model.members))}.'
    if image_size != card.eval_size:
        text += f' This export is for {image_size} pixels, which were not scored.'
    return text


def _calibration(card: ModelCard, formats: Sequence[str]) -> str:
    if 'onnx' in formats:
        text = f'The probabilities are calibrated by the temperature {card.temperature:.4g}.'
    else:
        formula = f'softmax(z / {card.temperature:.4g})'
        text = f'The outputs are logits z; calibrated probabilities are {formula}.'
    before, after = (card.scores.get(name) for name in ('ece', 'ece_calibrated'))
    if before is None or after is None:
        return f'{text} The calibration error was not measured.'
    return (
        f'{text}\nExpected calibration error: {100 * before:.1f} % without and {100 * after:.1f} % '
        'with this temperature, on the images of the score.'
    )


def _preprocessing(model: SavedModel, image_size: int, formats: Sequence[str]) -> str:
    preprocessing, card = model.module.preprocessing, model.card
    squares = dict(
        crop='the short side is scaled to {side}\n({filter}), then the centre is cropped',
        pad='the long side is scaled to {side}\n({filter}), then the image is centred on the '
        f'colour {list(BACKGROUND)}',
        squash='both sides are scaled to {side}\n({filter})',
    )
    square = squares[preprocessing.fit]
    predicted = square.format(side=card.decoded_size, filter='bilinear')
    box = [f'{number:g}' for number in _centre_box(card)]
    text = (
        f'The predictor of jaxdl makes squares: {predicted}.\nThe centre from pixel {box[0]} to '
        f'{box[2]} is scaled to {image_size} x {image_size} (bilinear).'
    )
    if 'onnx' in formats:
        return text
    side = round(image_size / preprocessing.crop)
    published = square.format(side=side, filter=preprocessing.interpolation)
    return (
        f'Images are RGB, {image_size} x {image_size} pixels: {published}. `config.json` has these '
        f'numbers.\n{text}'
    )


def _centre_box(card: ModelCard) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the centre crop of a decoded image, in pixels."""
    side, crop = card.decoded_size, card.preprocessing.crop
    start, end = side * (1 - crop) / 2, side * (1 + crop) / 2
    return start, start, end, end


def _data(card: ModelCard) -> str:
    if not card.data:
        return 'Unknown to jaxdl: see the publisher of the initial weights.'
    split = f', split {model_card.cut_paths(card.split)}' if card.split else ''
    return f'{model_card.cut_paths(card.data)}{split}.'


def _limits(card: ModelCard) -> list[str]:
    limits: list[str] = [*model_card.LIMITS]
    if card.scores.get('split') == 'val':
        limits.append('The images of the score also selected the network and its temperature.')
    return limits


def _load_safetensors(model: SavedModel, image_size: int) -> str:
    row, preprocessing = model.module.architecture, model.module.preprocessing
    return f"""`model.safetensors`, float32, has {OWNERS[row.names]} names and layouts.
Its images are in [0, 1], minus the mean {list(preprocessing.mean)},
divided by {list(preprocessing.std)}, as in `config.json`:

```python
{LOADING[row.names]}
```

jaxdl reads the folder: `module, variables = jaxdl.models.load_pretrained('FOLDER')`."""


def _load_stablehlo(model: SavedModel, image_size: int) -> str:
    return f"""`model.stablehlo` needs JAX and flatbuffers only. Its images are float32
[batch, {image_size}, {image_size}, 3] in [0, 1]; the program normalises them:

```python
{STABLEHLO}
```"""


def _load_onnx(model: SavedModel, image_size: int) -> str:
    card, side = model.card, model.card.decoded_size
    squares = dict(
        crop=f'ImageOps.fit(image, ({side}, {side}), bilinear)',
        pad=f'ImageOps.pad(image, ({side}, {side}), bilinear, {tuple(BACKGROUND)})',
        squash=f'image.resize(({side}, {side}), bilinear)',
    )
    box = ', '.join(f'{number:g}' for number in _centre_box(card))
    return f"""`model.onnx` needs onnxruntime only. Its images are uint8
[batch, {image_size}, {image_size}, 3], its outputs probabilities
[batch, {model.module.num_classes}]. Normalisation, test-time augmentation
(views={card.views}), all networks and the temperature are in the file. The class names are in
its metadata:

```python
import json
import numpy as np, onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession('FOLDER/model.onnx')
class_names = json.loads(session.get_modelmeta().custom_metadata_map['class_names'])
bilinear = Image.Resampling.BILINEAR
image = ImageOps.exif_transpose(Image.open('photo.jpg')).convert('RGB')
image = {squares[card.preprocessing.fit]}
image = image.resize(({image_size}, {image_size}), bilinear, ({box}))
(probabilities,) = session.run(None, {{'images': np.asarray(image)[None]}})
for place in probabilities[0].argsort()[:-4:-1]:
    print(f'{{probabilities[0, place]:.3f}} {{class_names[place]}}')
```"""


LOAD: dict[str, Callable[[SavedModel, int], str]] = dict(
    safetensors=_load_safetensors, stablehlo=_load_stablehlo, onnx=_load_onnx
)
