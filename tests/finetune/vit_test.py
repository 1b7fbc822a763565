"""A vision transformer by the command line: fine-tuning, prediction, explanation, export, sizes."""

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

ROW = finetunes.TRANSFORMER


@pytest.fixture(scope='module')
def top(tmp_path_factory):
    """A folder with weights of a small transformer, images, and a finished run."""
    folder = tmp_path_factory.mktemp('vit')
    ARCHITECTURES[ROW.name] = ROW
    finetunes.weights(folder, ROW)
    finetunes.images(folder)
    # Batch statistics, which these networks lack, and rates by block are part of it.
    settings = dict(norms='batch', layer_decay=0.7, unfreeze_epochs=0.25, keep=1)
    assert call(folder, 'finetune', folder / 'run', **settings) == 0
    yield folder
    del ARCHITECTURES[ROW.name]


def call(top, experiment, run, left_out=(), **settings):
    settings = finetunes.SETTINGS | dict(image_size=16) | settings
    settings = {name: value for name, value in settings.items() if name not in left_out}
    return main(
        [f'--experiment={experiment}', f'--workdir={run}', *finetunes.flags(top, **settings)]
    )


def test_the_default_recipe_freezes_the_stem_and_a_quarter_of_the_blocks(top):
    config = workdir.read_json(top / 'run' / 'config.json')
    assert config['finetune']['frozen'] == ['stem', 'layer1']
    before = load_pretrained(str(top / 'weights.npz'), num_classes=0)[1]['params']
    after = jaxdl.Predictor.from_checkpoint(top / 'run').model.members[0]
    assert after['batch_stats'] == {}
    same = {
        name
        for name in before
        if jax.tree.all(jax.tree.map(np.array_equal, before[name], after['params'][name]))
    }
    assert same == {'conv1', 'embed', 'layer1_0'}


def test_prediction_explanation_and_export(top, tmp_path):
    pictures = np.load(top / 'images.npz')['images'][:4]
    tiny.files(tmp_path / 'in', pictures)
    run = f'--checkpoint={top / "run"}'
    explain = ['--images=in', '--output=p.csv', '--set=explain=true']
    assert main(['--mode=predict', run, *explain]) == 0
    predictor = jaxdl.Predictor.from_checkpoint(top / 'run')
    rows = list(csv.reader((tmp_path / 'p.csv').read_text().splitlines()))[1:]
    assert [row[1] for row in rows] == predictor.predict(pictures).class_names
    drawn = [np.asarray(Image.open(path)) for path in (tmp_path / 'p_explained').iterdir()]
    assert {picture.shape for picture in drawn} == {(12, 12, 3)}
    assert main(['--mode=export', run, '--output=out']) == 0
    module, variables = load_pretrained('out')
    assert module.architecture == ROW
    head = predictor.model.members[0]['params']['head']
    np.testing.assert_array_equal(variables['params']['head']['kernel'], head['kernel'])


def test_an_export_of_another_size_must_fit_the_patches(top, capsys):
    arguments = [f'--checkpoint={top / "run"}', '--output=out', '--set=image_size=15']
    assert main(['--mode=export', *arguments]) == 2
    words = 'image size 15: tiny_vit: must be a multiple of the patch size 4: use 12 or 16'
    assert words in capsys.readouterr().err


PROBE = 'probe.probe_size=15: must be a multiple of the patch size 4: use 12 or 16'
TRAIN = 'finetune.train_size=13: must be a multiple of the patch size 4: use 12 or 16'
EVALUATION = TRAIN.replace('train_size=13', 'eval_size=14')


@pytest.mark.parametrize(
    ('experiment', 'sizes', 'problems'),
    [
        ('probe', dict(probe_size=15), [PROBE]),
        ('finetune', dict(train_size=13, eval_size=14, probe_size=15), [PROBE, TRAIN, EVALUATION]),
        ('finetune_recipe', dict(train_size=13, eval_size=14), [TRAIN, EVALUATION]),
    ],
)
def test_sizes_that_the_patch_does_not_divide(top, tmp_path, capsys, experiment, sizes, problems):
    left_out = {
        'probe': ('epochs', 'sizes', 'train_size', 'eval_size', 'batch_size'),
        'finetune_recipe': ('label_folds',),
    }
    assert call(top, experiment, 'run', left_out.get(experiment, ()), **sizes) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f'jaxdl: error: tiny_vit: {"; ".join(problems)}'
    assert not (tmp_path / 'run').exists()
