"""Licences of all required packages are compatible with Apache-2.0."""

import licences
import pytest


def test_all_that_a_run_needs_may_go_with_apache():
    distributions = licences.find_required(
        'jaxdl', ('backbones', 'decode', 'hf', 'onednn', 'serve', 'tables', 'tensorboard', 'wandb')
    )
    assert {'jax', 'numpy', 'pillow', 'orbax-checkpoint'} <= distributions.keys()
    assert not {
        name: why
        for name, distribution in distributions.items()
        if (why := licences.find_objection(licences.read_licence(distribution)))
    }


@pytest.mark.parametrize(
    'text',
    [
        '',
        'GPL-3.0-or-later',
        'GNU Affero General Public License v3',
        'Other/Proprietary License',
        'Mine',
    ],
)
def test_other_licences_are_refused(text):
    assert licences.find_objection(text)
