"""Does the protocol raise a false alarm where there is nothing to find?

Run    python -m jaxdl.main --experiment=aa
Takes  24 s on 2 CPU cores (2026-11-24)
Found  against A, points of test accuracy, 95 %, 10 seeds: no difference found
"""

from jaxdl import Ablation, Variant

# Every option is the baseline under other seeds: other initial weights, data order and noise, the same program.
EXPERIMENT = Ablation(
    factor='seeds',
    baseline='A',
    options={'A': {}} | {f'A{i}': dict(seed_offset=100_000 * i) for i in range(1, 5)},
    why={'A': 'the network of the pooling study'}
    | {f'A{i}': 'the same network under other seeds' for i in range(1, 5)},
    variant=Variant(width=16, depth=2, batch_size=32),
)
