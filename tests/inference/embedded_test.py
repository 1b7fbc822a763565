"""Embedded weights as a classifier of ImageNet: predictions, Grad-CAM, export; no workdir."""

import json
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl import main
from jaxdl.config.experiment import FineTune
from jaxdl.errors import InputError
from jaxdl.finetune import setup
from jaxdl.inference import model_file
from jaxdl.inference import predictor as predicting
from jaxdl.models import embedded, load_pretrained

NAME = embedded.DEFAULT


@pytest.fixture(scope='module')
def saved():
    try:
        return model_file.load(pathlib.Path(NAME))
    except InputError:
        pytest.skip('the extra backbones is not installed')


def test_the_card(saved):
    card = saved.card
    assert (card.architecture, card.weights) == ('tf_efficientnet_lite0', NAME)
    assert (card.num_classes, card.eval_size, card.decoded_size) == (1000, 224, 256)
    assert card.preprocessing.mean == card.preprocessing.std == (0.5, 0.5, 0.5)
    assert len(set(card.class_names)) == 1000
    assert card.class_names[:2] == ('tench', 'goldfish')


def test_predictions_and_maps(saved, tmp_path):
    predictor = predicting.Predictor(saved)
    image = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    result = predictor.predict(image)
    assert result.class_names == [saved.card.class_names[result.probabilities.argmax()]]
    crop = image[:, 16:240, 16:240] / np.float32(127.5) - 1
    with jax.default_matmul_precision('highest'):
        logits = saved.module.apply(saved.members[0], crop.astype(np.float32))
    np.testing.assert_allclose(result.probabilities, jax.nn.softmax(logits), atol=1e-4)
    maps = predictor.gradcam(image)
    assert maps.shape == (1, 224, 224)
    assert 0 <= maps.min() < maps.max() == 1


def test_export_under_the_names_of_timm(saved, tmp_path):
    flags = [f'--checkpoint={NAME}', '--mode=export', '--set=image_size=64', '--output=exported']
    assert main.main(flags) == 0
    config = json.loads((tmp_path / 'exported' / 'config.json').read_text())
    assert config['architecture'] == 'tf_efficientnet_lite0'
    assert config['pretrained_cfg']['first_conv'] == 'conv_stem'
    assert config['pretrained_cfg']['classifier'] == 'classifier'
    again, _ = load_pretrained(str(tmp_path / 'exported'))
    assert (again.architecture.name, again.num_classes) == ('tf_efficientnet_lite0', 1000)


def test_the_command_predicts(saved, tmp_path, capsys):
    Image.new('RGB', (40, 30), 'red').save(tmp_path / 'photo.png')
    flags = [f'--checkpoint={NAME}', '--images=photo.png', '--output=predictions.csv']
    assert main.main(['--mode=predict', *flags]) == 0
    header, row = (tmp_path / 'predictions.csv').read_text().splitlines()
    assert header.startswith('ImageId,ClassName,probability')
    assert row.split(',')[1] in saved.card.class_names


def test_other_names_are_workdirs(capsys):
    flags = ['--mode=predict', '--images=.', '--output=x.csv']
    pathlib.Path('a.png').touch()
    assert main.main([*flags, '--checkpoint=efficientnet_lite3']) == 2
    assert 'efficientnet_lite3 does not exist: give the workdir' in capsys.readouterr().err


def test_it_is_the_default_of_a_fine_tuning(saved):
    network = setup.load_backbone(FineTune())
    assert network.module.architecture.name == 'tf_efficientnet_lite0'
    assert (network.licence, network.notes) == ('Apache-2.0', ())
    assert 'head' not in network.variables['params']
    rescaled, _ = setup.rescale_features(network, {}, np.ones((2, 1280)))  # ReLU6 forbids it
    assert rescaled is network
