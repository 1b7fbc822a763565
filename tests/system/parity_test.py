"""Every architecture against PyTorch at an odd size, with random statistics; some at 224 pixels.

Sizes are rounded up to multiples of the patch of a transformer.

The networks run operation by operation, not compiled as a whole: most of their shapes are alike, so
that an operation is compiled once for all of them.
"""

import os

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from network_pairs import images_of, module_of, pair, to_torch  # noqa: E402

from jaxdl.models import ARCHITECTURES  # noqa: E402

TOLERANCE = 1e-5  # of logits, over their range; measured: below 1e-6, five transformers 2e-6
# Networks whose blocks are those of smaller ones; 224 pixels would repeat these at great cost.
DEEP = (
    *('resnet34', 'resnet101', 'resnet152', 'resnet34d', 'resnet101d', 'resnet152d'),
    *('wide_resnet101_2', 'resnext101_32x8d'),
    *(f'{start}efficientnet_b{size}' for start in ('', 'tf_') for size in (1, 2, 3, 4)),
    *(f'vit_{size}_patch16_384' for size in ('tiny', 'small', 'base')),
    *(f'deit_{size}_patch16_224' for size in ('tiny', 'small', 'base')),
    *('deit_base_patch16_384', 'deit3_small_patch16_384', 'deit3_base_patch16_384'),
)


# Of two families with many rows of the same blocks, the rows that differ in more than sizes;
# PARITY=all compares every row.
FEW = (
    *('convnext_atto', 'convnext_tiny', 'convnextv2_atto', 'vit_tiny_patch16_224'),
    *('deit3_small_patch16_224', 'vit_small_patch14_reg4_dinov2'),
)
NAMES = [
    name
    for name, row in ARCHITECTURES.items()
    if os.environ.get('PARITY') == 'all' or row.family not in ('convnext', 'vit') or name in FEW
]


@pytest.mark.parametrize('name', NAMES)
def test_logits_are_those_of_pytorch(name):
    network, _, variables = pair(name)
    module = module_of(name, 0 if ARCHITECTURES[name].truncated else 10)
    # 224 x 230 and 49 x 55
    sizes = [(49, 2)] if name in DEEP else [(224, 1), (49, 2)]
    for size, count in sizes:
        images = images_of(size, count, ARCHITECTURES[name].multiple)
        with torch.no_grad():
            expected = network(to_torch(images)).numpy()
        logits = np.asarray(module.apply(variables, images))
        assert logits.shape == expected.shape
        assert np.abs(logits - expected).max() < TOLERANCE * np.ptp(expected), size
