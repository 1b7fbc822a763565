"""Sizes of images that the patch of a vision transformer does not divide."""

import finetunes
import pytest

from jaxdl.inference import model_file
from jaxdl.main import main
from jaxdl.models import ARCHITECTURES, load_pretrained
from jaxdl.models.architectures import Preprocessing
from jaxdl.models.vit_rows import ViTRow
from jaxdl.workdir.records import ModelCard

ROW = ViTRow('tiny_vit', 4, 8, 2, Preprocessing(size=12, crop=0.9), depth=4)
WORDS = 'must be a multiple of the patch size 4: use 12 or 16'
PROBE = f'probe.probe_size=15: {WORDS}'
TRAIN = f'finetune.train_size=13: {WORDS}'
EVALUATION = f'finetune.eval_size=14: {WORDS}'


@pytest.fixture(scope='module')
def top(tmp_path_factory):
    """A folder with weights of a small transformer, and images."""
    folder = tmp_path_factory.mktemp('vit')
    ARCHITECTURES[ROW.name] = ROW
    finetunes.weights(folder, ROW)
    finetunes.images(folder)
    yield folder
    del ARCHITECTURES[ROW.name]


@pytest.mark.parametrize(
    ('experiment', 'sizes', 'problems'),
    [
        ('probe', dict(probe_size=15), [PROBE]),
        ('finetune', dict(train_size=13, eval_size=14, probe_size=15), [PROBE, TRAIN, EVALUATION]),
        ('finetune', dict(probe_size=16, sizes='[16,13]', train_size=16, eval_size=16), ['sizes']),
        ('finetune_recipe', dict(train_size=13, eval_size=14, probe_size=12), [TRAIN, EVALUATION]),
    ],
)
def test_they_are_refused_before_any_work(top, tmp_path, capsys, experiment, sizes, problems):
    flags = finetunes.flags(top, image_size=16, **sizes)
    assert main([f'--experiment={experiment}', '--workdir=run', *flags]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    expected = '; '.join(problems).replace('sizes', TRAIN.replace('train_size', 'sizes'))
    assert error == f'jaxdl: error: tiny_vit: {expected}'
    assert not (tmp_path / 'run').exists()


def test_an_export_needs_a_size_that_fits(top, tmp_path, capsys):
    module, variables = load_pretrained(str(top / 'weights.npz'))
    names = tuple(map(str, range(module.num_classes)))
    card = ModelCard(ROW.name, len(names), names, ROW.preprocessing, 12, 'none', 1.0, ())
    model_file.save(tmp_path / 'run', [variables], card)
    arguments = ['--checkpoint=run', '--output=out', '--set=image_size=15']
    assert main(['--mode=export', *arguments]) == 2
    assert f'image size 15: tiny_vit: {WORDS}' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
