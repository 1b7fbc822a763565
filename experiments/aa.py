"""Does the protocol report a difference between identical networks?

Run     python -m jaxdl.main --experiment=aa
Takes   32 s on 2 CPU cores (2026-11-30)
Result  against A, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798 test
        images: no difference found: A1, A2, A3, A4
"""

from jaxdl import Ablation, Variant

# Every option is the baseline with other seeds: other initial weights, data order and noise.
EXPERIMENT = Ablation(
    factor='seeds',
    baseline='A',
    options={'A': {}} | {f'A{i}': dict(seed_offset=100_000 * i) for i in range(1, 5)},
    why={'A': 'the network of the pooling study'}
    | {f'A{i}': 'the same network with other seeds' for i in range(1, 5)},
    variant=Variant(width=16, depth=2, batch_size=32),
)
