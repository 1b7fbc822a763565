"""Square images: cropped, padded or squashed; the cache, and the note on crops."""

import dataclasses
import io

import numpy as np
import pytest
import tiny
from PIL import Image
from sklearn.linear_model import LogisticRegression

from jaxdl import main as command
from jaxdl.data import Data, decode, load, split
from jaxdl.data.cropping import note_cropped
from jaxdl.inference import evaluation
from jaxdl.inference.commands import EvaluateSettings
from jaxdl.inference.predictor import Predictor

COLOURS = dict(cat=(220, 30, 30), dog=(30, 30, 220))


def draw(colour, width=640, height=120, seed=0):
    """Grey noise with a square of a colour at the left edge."""
    pixels = np.random.default_rng(seed).integers(90, 150, (height, width, 3)).astype(np.uint8)
    pixels[:, :height] = colour
    return Image.fromarray(pixels)


def write(top, count=12, **size):
    for kind, colour in COLOURS.items():
        (top / kind).mkdir(parents=True)
        for i in range(count):
            draw(colour, seed=i, **size).save(top / kind / f'{i}.png')


def encode(image, kind):
    out = io.BytesIO()
    image.save(out, kind, **(dict(quality=95) if kind == 'JPEG' else {}))
    return out.getvalue()


def difference(one, other):
    return np.abs(one.astype(np.float32) - np.asarray(other, np.float32)).mean()


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
@pytest.mark.parametrize('shape', [(640, 120), (120, 640), (64, 64), (300, 299), (97, 25)])
@pytest.mark.parametrize('size', [16, 64, 150])
def test_the_whole_image_is_in_the_square(kind, shape, size):
    image = tiny.images(1, *shape[::-1])[0]
    data = encode(Image.fromarray(image), kind)
    for jpeg in decode.list_decoders():
        squashed = decode.decode(data, size, jpeg, 'squash')
        plain = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        assert difference(squashed, plain) < 6
        padded = decode.decode(data, size, jpeg, 'pad')
        width, height = (max(1, round(size * side / max(shape))) for side in shape)
        left, top = (size - width) // 2, (size - height) // 2
        inner = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        assert difference(padded[top : top + height, left : left + width], inner) < 6
        outside = np.ones((size, size), bool)
        outside[top : top + height, left : left + width] = False
        assert (padded[outside] == decode.BACKGROUND).all()


def test_square_images_do_not_depend_on_the_fit():
    data = encode(Image.fromarray(tiny.images(1, 90, 90)[0]), 'PNG')
    crop, *others = (decode.decode(data, 32, fit=fit) for fit in decode.FITS)
    for other in others:
        np.testing.assert_array_equal(crop, other)


@pytest.mark.parametrize('fit', decode.FITS)
def test_a_class_at_the_left_edge_is_learnt_unless_it_is_cropped(tmp_path, fit):
    write(tmp_path / 'in')
    data = Data(dataset='folder:in', image_size=16, fit=fit)
    dataset = load(data)
    splits = split(dataset, data)
    pixels = dataset.images.reshape(len(dataset.labels), -1) / 255.0
    model = LogisticRegression().fit(pixels[splits.train], dataset.labels[splits.train])
    held = np.concatenate([splits.val, splits.test])
    accuracy = model.score(pixels[held], dataset.labels[held])
    assert accuracy == 1 if fit != 'crop' else accuracy < 0.9


def test_each_fit_has_an_entry_of_its_own_in_the_cache(tmp_path):
    write(tmp_path / 'in', 2)
    data = Data(dataset='folder:in', image_size=16)
    loads = {fit: load(dataclasses.replace(data, fit=fit)).images for fit in decode.FITS * 2}
    for fit, images in loads.items():
        expected = [
            decode.decode(tmp_path / 'in' / kind / f'{i}.png', 16, fit=fit)
            for kind in COLOURS
            for i in range(2)
        ]
        np.testing.assert_array_equal(images, expected)


def test_the_data_check_says_how_much_is_cropped(tmp_path, capsys):
    write(tmp_path / 'in', 2)
    Image.new('RGB', (100, 100)).save(tmp_path / 'in' / 'cat' / 'square.png')
    data = Data(dataset='folder:in', image_size=16)
    (finding,) = load(data).notes
    assert finding.finding.startswith('The centre crop leaves out 81 % of the median image')
    assert finding.count == 4
    assert finding.examples[0] == 'cat/0.png 640 x 120'
    assert 'fit=pad' in capsys.readouterr().err
    assert not load(dataclasses.replace(data, fit='pad')).notes


@pytest.mark.parametrize(('width', 'noted'), [(100, 0), (117, 0), (118, 1), (200, 1)])
def test_crops_are_noted_from_fifteen_per_cent(width, noted):
    images = [encode(Image.new('RGB', (width, 100)), 'PNG'), b'broken'] * 3
    assert len(note_cropped(images, list('abcdef'))) == noted


@pytest.mark.engine
def test_a_checkpoint_predicts_and_is_evaluated_with_its_fit(tmp_path, capsys):
    write(tmp_path / 'in', 2)
    (tmp_path / 'in' / 'cat').rename(tmp_path / 'in' / 'apple')
    (tmp_path / 'in' / 'dog').rename(tmp_path / 'in' / 'tea')
    paths = sorted((tmp_path / 'in').rglob('*.png'))
    rows, accuracies = {}, {}
    for fit in decode.FITS:
        preprocessing = dataclasses.replace(tiny.ROW.preprocessing, fit=fit)
        run = tiny.workdir(tmp_path / fit, preprocessing=preprocessing)
        predictor = Predictor.from_checkpoint(run)
        assert predictor.model.card.preprocessing.fit == fit
        rows[fit] = predictor.predict(paths).probabilities
        arrays = [decode.decode(path, tiny.SIDE, fit=fit) for path in paths]
        np.testing.assert_array_equal(predictor.predict(arrays).probabilities, rows[fit])
        lines = evaluation.evaluate(run, Data(dataset='folder:in'), EvaluateSettings())
        accuracies[fit] = float(lines.split('accuracy')[1].split()[0])
        names = [predictor.class_names[i] for i in rows[fit].argmax(1)]
        correct = [name == path.parent.name for name, path in zip(names, paths, strict=True)]
        assert accuracies[fit] == pytest.approx(np.mean(correct), abs=1e-4)
    assert np.abs(rows['pad'] - rows['crop']).max() > 1e-3
    assert np.abs(rows['squash'] - rows['crop']).max() > 1e-3
    arguments = ['--mode=evaluate', f'--checkpoint={tmp_path / "pad"}', '--dataset=folder:in']
    assert command.main([*arguments, '--set=fit=crop']) == 2
    assert "unknown setting 'fit'" in capsys.readouterr().err


@pytest.mark.engine
def test_a_checkpoint_without_fit_crops(tmp_path):
    run = tiny.workdir(tmp_path / 'run')
    card = Predictor.from_checkpoint(run).model.card
    from jaxdl.inference import model_file
    from jaxdl.workdir.records import as_json

    metadata = as_json(card)
    del metadata['preprocessing']['fit']
    assert model_file.parse_card(metadata, 'x').preprocessing.fit == 'crop'
