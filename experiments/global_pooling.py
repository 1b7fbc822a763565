"""Which pooling of the last feature map gives the best test accuracy?

Run     python -m jaxdl.main --experiment=global_pooling
Takes   58 s on 2 CPU cores (2026-11-30)
Result  against avg, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798 test
        images: worse: flatten -5.15 (-6.61 to -3.69); no difference found: max, avgmax, catavgmax,
        gem
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='global_pooling',
    baseline='avg',
    options={
        name: dict(global_pooling=name)
        for name in ('avg', 'max', 'avgmax', 'catavgmax', 'gem', 'flatten')
    },
    why=dict(
        avg='mean of each feature over all positions (Lin et al. 2014)',
        max='largest value of each feature; the gradient reaches one position',
        avgmax='mean of avg and max',
        catavgmax='avg and max concatenated: twice the weights in the last layer',
        gem='generalised mean with a learnt power, from avg (1) to max (Radenovic et al. 2018)',
        flatten='separate weights per position: uses the position, with more parameters',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
)
