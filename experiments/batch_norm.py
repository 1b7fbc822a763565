"""Does normalising between the layers help, which way, and at which learning rates?

Run    python -m jaxdl.main --experiment=batch_norm
Takes  50 s on 2 CPU cores (2026-11-24)
Found  against none, points of test accuracy, 95 %, 10 seeds: better: batch +1.25 (+0.54 to +1.96), group +1.14 (+0.47
       to +1.80), batch, 10x rate +1.25 (+0.54 to +1.96); no difference found: layer, instance
"""

from jaxdl import Ablation, Variant, geometric

EXPERIMENT = Ablation(
    factor='norm',
    baseline='none',
    options={name: dict(norm=name) for name in ('none', 'batch', 'layer', 'group', 'instance')}
    | {'batch, 10x rate': dict(norm='batch', learning_rate_scale=10)},
    why={
        'none': 'a bias alone: the scale of what a layer sees is whatever the layers before it make of it',
        'batch': 'each channel by its moments over the batch (Ioffe and Szegedy 2015): larger rates, some noise',
        'layer': 'each pixel by its own channels (Ba et al. 2016): no image depends on another',
        'group': 'each image by groups of channels (Wu and He 2018): a batch of one image would do',
        'instance': 'each image and channel by itself (Ulyanov et al. 2016): contrast is lost, on purpose or not',
        'batch, 10x rate': 'the same network on a grid of ten times larger rates: is that what it allows?',
    },
    variant=Variant(width=16, depth=2, batch_size=32),
    learning_rates=geometric(0.001, 1.0, 7),
)
