"""How should the last feature map become features: averaged, its maxima, both, or as it is?

Run    python -m jaxdl.main --experiment=global_pooling
Takes  34 s on 2 CPU cores (2026-11-24)
Found  against avg, points of test accuracy, 95 %, 10 seeds: worse: max -0.53 (-0.83 to -0.22), avgmax -0.69 (-1.20 to
       -0.19), catavgmax -0.53 (-0.90 to -0.16); no difference found: gem, flatten
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='global_pooling',
    baseline='avg',
    options={name: dict(global_pooling=name) for name in ('avg', 'max', 'avgmax', 'catavgmax', 'gem', 'flatten')},
    why=dict(
        avg='how much of each feature there is, wherever it is (Lin et al. 2014)',
        max='whether each feature is there at all; its gradient reaches one place',
        avgmax='the mean of both',
        catavgmax='both, one after the other: the last layer weighs them, with twice the weights',
        gem='a generalised mean whose power is learnt: 1 is avg, infinity is max (Radenovic et al. 2018)',
        flatten='every place keeps its own weights: where a stroke is may matter, for more parameters',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
)
