"""Recognise metrics and splits by the names that training programs give them."""

import dataclasses
import re

from jaxdl.errors import UNSEEN
from jaxdl.statistics import metrics
from jaxdl.statistics.metrics import Metric

HIGHER, LOWER = 'higher', 'lower'
# Word of a name -> whether higher or lower values are better.
DIRECTIONS: dict[str, str] = {
    **dict.fromkeys(('acc', 'accuracy', 'top1', 'top5', 'score', 'correct'), HIGHER),
    **dict.fromkeys(('f1', 'precision', 'recall', 'sensitivity', 'specificity'), HIGHER),
    **dict.fromkeys(('auc', 'auroc', 'auprc', 'ap', 'map', 'kappa', 'mcc', 'dice'), HIGHER),
    **dict.fromkeys(('iou', 'miou', 'bleu', 'rouge', 'psnr', 'ssim', 'r2'), HIGHER),
    **dict.fromkeys(('reward', 'return', 'success'), HIGHER),
    **dict.fromkeys(('loss', 'error', 'err', 'nll', 'ce', 'xent', 'entropy'), LOWER),
    **dict.fromkeys(('perplexity', 'ppl', 'bpb', 'bpc', 'bits', 'logloss'), LOWER),
    **dict.fromkeys(('mse', 'rmse', 'mae', 'mape', 'wer', 'cer', 'fid', 'lpips'), LOWER),
    **dict.fromkeys(('brier', 'ece', 'regret', 'latency', 'runtime', 'seconds'), LOWER),
}
# Name without spaces and signs -> row of METRICS.
ALIASES: dict[str, str] = {
    **{re.sub('_', '', name): name for name in metrics.BUILT_IN},
    **dict.fromkeys(('acc', 'top1', 'acc1', 'acctop1', 'top1acc', 'top1accuracy'), 'accuracy'),
    **dict.fromkeys(('accuracy1', 'accuracytop1'), 'accuracy'),
    **dict.fromkeys(('f1macro', 'macrof1score', 'f1scoremacro'), 'macro_f1'),
    **dict.fromkeys(('balancedacc', 'bacc'), 'balanced_accuracy'),
    **dict.fromkeys(('rocauc', 'aucroc'), 'auroc'),
}
# Word of a name -> split.
SPLITS: dict[str, str] = {
    **dict.fromkeys(('test', 'testing'), 'test'),
    **dict.fromkeys(('val', 'valid', 'validation', 'dev', 'eval', 'evaluation'), 'val'),
    **dict.fromkeys(('train', 'training'), 'train'),
}
IGNORED = frozenset(('metric', 'metrics', 'summary', 'final', 'last', 'epoch', 'step'))


@dataclasses.dataclass(frozen=True)
class MetricName:
    """A metric as a column or a cell names it.

    Attributes:
      metric: the row of METRICS, otherwise a metric of which only name and direction are known.
      split: `train`, `val`, `test`, or empty if the name has no word of SPLITS.
      recognised: whether the name has a word of DIRECTIONS, or is in METRICS.
    """

    metric: Metric
    split: str
    recognised: bool


def recognise(name: str) -> MetricName:
    """Recognise a metric by its name.

    Args:
      name: such as `test/acc`, `metrics.val_f1_macro` or `valLoss`.

    Returns:
      Metric, direction and split. Higher values of an unknown metric are better.

    Examples:
      >>> accuracy = recognise('test/acc')
      >>> accuracy.metric.name, accuracy.split, accuracy.metric.lower_is_better
      ('accuracy', 'test', False)
      >>> loss = recognise('metrics.valLoss')
      >>> loss.metric.name, loss.split, loss.metric.lower_is_better
      ('loss', 'val', True)
    """
    words = split_words(name)
    split = next((SPLITS[word] for word in words if word in SPLITS), '')
    rest = [word for word in words if word not in SPLITS and word not in IGNORED] or words
    alias = ALIASES.get(''.join(rest))
    directions = [DIRECTIONS[word] for word in rest if word in DIRECTIONS]
    # The last word decides: `accuracy_error` is an error, `loss_score` a score.
    lower = bool(directions) and directions[-1] == LOWER
    metric = metrics.named(alias or '_'.join(rest), lower)
    return MetricName(metric, split, recognised=alias is not None or bool(directions))


def split_words(name: str) -> list[str]:
    """Words of a name in lower case: `valAcc`, `val_acc` and `val/acc` have two.

    Examples:
      >>> split_words('metrics.val_F1Macro')
      ['metrics', 'val', 'f1', 'macro']
    """
    name = re.sub(f'[{UNSEEN}]', ' ', name)
    words = re.findall(r'[A-Z]+(?![a-z])\d*|[A-Z]?[^\W\d_A-Z]+\d*|\d+', name)
    return [word.lower() for word in words] or [name.strip().lower()]
