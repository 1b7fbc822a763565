"""Families by the command line: fine-tuning, prediction, explanation, export."""

import csv

import finetunes
import jax
import numpy as np
import pytest
import tiny
from PIL import Image

import jaxdl
from jaxdl import workdir
from jaxdl.main import main
from jaxdl.models import ARCHITECTURES, load_pretrained
from jaxdl.models.architectures import Preprocessing
from jaxdl.models.convnext_rows import ConvNeXtRow
from jaxdl.models.efficientnet_rows import EfficientNetRow, Stage
from jaxdl.models.vit_rows import ViTRow

SIDE = 32
PREPARED = Preprocessing(size=SIDE, crop=1.0)
STAGES = (
    Stage('ds', 1, 3, 2, 1, 8, True, 'relu'),
    Stage('ir', 2, 5, 2, (2, 3), 8, True),
    Stage('cn', 1, 1, 1, 1, 16),
)
ROWS = (
    EfficientNetRow('tiny_mobile', 8, STAGES, 24, 'hard_swish', False, 1e-5, PREPARED, True, True),
    ConvNeXtRow('tiny_convnextv2', (1, 1, 2, 1), (4, 8, 8, 16), True, False, PREPARED),
    ViTRow('tiny_vit', 8, 8, 2, PREPARED, depth=4),
)
FROZEN = dict(
    tiny_mobile={'conv1', 'bn1', 'layer1_0'},
    tiny_convnextv2={'conv1', 'norm1', 'layer1_0'},
    tiny_vit={'conv1', 'embed', 'layer1_0'},
)
SIZES = dict(image_size=SIDE, train_size=SIDE, eval_size=SIDE, probe_size=SIDE)


@pytest.fixture(scope='module', params=ROWS, ids=lambda row: row.name)
def top(request, tmp_path_factory):
    """Row, and a folder with weights of a small network, images, and a finished run."""
    row, folder = request.param, tmp_path_factory.mktemp('family')
    ARCHITECTURES[row.name] = row
    finetunes.weights(folder, row)
    finetunes.images(folder, side=SIDE)
    # Batch statistics, which some families lack, and learning rates by block are part of it.
    settings = dict(norms='batch', layer_decay=0.7, fix_epochs=1, ema=0, keep=1)
    flags = finetunes.flags(folder, **finetunes.SETTINGS | SIZES | settings)
    assert main(['--experiment=finetune', f'--workdir={folder / "run"}', *flags]) == 0
    yield row, folder
    del ARCHITECTURES[row.name]


def test_the_default_recipe_freezes_the_stem_and_the_first_stage(top):
    row, folder = top
    config = workdir.read_json(folder / 'run' / 'config.json')
    assert config['finetune']['frozen'] == ['stem', 'layer1']
    before = load_pretrained(str(folder / 'weights.npz'), num_classes=0)[1]['params']
    after = jaxdl.Predictor.from_checkpoint(folder / 'run').model.members[0]
    assert bool(after['batch_stats']) == (row.family == 'efficientnet')
    same = {
        name
        for name in before
        if jax.tree.all(jax.tree.map(np.array_equal, before[name], after['params'][name]))
    }
    assert same == FROZEN[row.name]


def test_prediction_explanation_and_export(top, tmp_path):
    row, folder = top
    pictures = np.load(folder / 'images.npz')['images'][:4]
    tiny.files(tmp_path / 'in', pictures)
    run = f'--checkpoint={folder / "run"}'
    explain = ['--images=in', '--output=p.csv', '--set=explain=true']
    assert main(['--mode=predict', run, *explain]) == 0
    predictor = jaxdl.Predictor.from_checkpoint(folder / 'run')
    result = predictor.predict(pictures)
    rows = list(csv.reader((tmp_path / 'p.csv').read_text().splitlines()))[1:]
    assert [line[1] for line in rows] == result.class_names
    drawn = [np.asarray(Image.open(path)) for path in (tmp_path / 'p_explained').iterdir()]
    assert {picture.shape for picture in drawn} == {(SIDE, SIDE, 3)}
    assert main(['--mode=export', run, '--output=out']) == 0
    module, variables = load_pretrained('out')
    assert (module.architecture, module.num_classes) == (row, finetunes.CLASSES)
    jax.tree.map(np.testing.assert_array_equal, variables, predictor.model.members[0])
    program = jax.export.deserialize(bytearray((tmp_path / 'out/model.stablehlo').read_bytes()))
    images = pictures.astype(np.float32) / 255
    mean, std = (np.asarray(values, np.float32) for values in (PREPARED.mean, PREPARED.std))
    expected = np.asarray(module.apply(variables, (images - mean) / std))
    np.testing.assert_allclose(program.call(images), expected, atol=1e-5 * np.ptp(expected))
