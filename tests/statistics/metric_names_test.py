"""Names of metrics as training programs write them: metric, direction, split."""

import pytest

from jaxdl.statistics import metric_names
from jaxdl.statistics.metric_names import ALIASES, DIRECTIONS, LOWER, SPLITS, recognise
from jaxdl.statistics.metrics import METRICS


@pytest.mark.parametrize(
    ('name', 'metric', 'split', 'lower'),
    [
        ('accuracy', 'accuracy', '', False),
        ('test/acc', 'accuracy', 'test', False),
        ('metrics.val_acc', 'accuracy', 'val', False),
        ('Validation Accuracy', 'accuracy', 'val', False),
        ('eval_top1_acc', 'accuracy', 'val', False),
        ('valAcc@1', 'accuracy', 'val', False),
        ('train_loss_epoch', 'loss', 'train', True),
        ('test/F1-macro', 'macro_f1', 'test', False),
        ('val_ece', 'ece', 'val', True),
        ('logLoss', 'log_loss', '', True),
        ('ROC-AUC', 'auroc', '', False),
        ('test_error_rate', 'error_rate', 'test', True),
        ('F1', 'f1', '', False),
        ('BLEU', 'bleu', '', False),
        ('my_number', 'my_number', '', False),
    ],
)
def test_metric_split_and_direction_of_a_name(name, metric, split, lower):
    result = recognise(name)
    assert (result.metric.name, result.split, result.metric.lower_is_better) == (
        metric,
        split,
        lower,
    )
    assert result.recognised == (name != 'my_number')


@pytest.mark.parametrize('word', DIRECTIONS)
def test_every_word_has_its_direction(word):
    assert recognise(f'val_{word}').metric.lower_is_better == (DIRECTIONS[word] == LOWER)
    assert recognise(word).recognised
    assert word not in SPLITS


@pytest.mark.parametrize('name', METRICS)
def test_the_direction_of_a_built_in_metric_is_that_of_its_row(name):
    for written in (name, name.upper(), name.replace('_', '-'), f'test/{name}'):
        assert recognise(written).metric is METRICS[name]
    assert name in ALIASES.values()


@pytest.mark.parametrize('name', ['', '%', '\x1b[31m', 'µ', '123'])
def test_any_name_has_a_metric(name):
    metric = recognise(name).metric
    assert not metric.lower_is_better
    assert metric_names.split_words(name)
