"""Tests of jaxdl, in a folder per package; helpers are in tests/support/."""

import os
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / 'tests' / 'support')))
