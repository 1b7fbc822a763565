"""Every architecture against PyTorch, at its usual size and an odd one, with random statistics.

The networks run operation by operation, not compiled as a whole: most of their shapes are alike, so
that an operation is compiled once for all of them.
"""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from network_pairs import images_of, module_of, pair, to_torch  # noqa: E402

from jaxdl.models import ARCHITECTURES  # noqa: E402

TOLERANCE = 1e-5  # of logits, over their range; measured: below 1e-6 everywhere


@pytest.mark.parametrize('name', ARCHITECTURES)
def test_logits_are_those_of_pytorch(name):
    network, _, variables = pair(name)
    module = module_of(name, 0 if ARCHITECTURES[name].truncated else 10)
    for size, count in ((224, 1), (49, 2)):  # 224 x 230 and 49 x 55
        images = images_of(size, count)
        with torch.no_grad():
            expected = network(to_torch(images)).numpy()
        logits = np.asarray(module.apply(variables, images))
        assert logits.shape == expected.shape
        assert np.abs(logits - expected).max() < TOLERANCE * np.ptp(expected), size
