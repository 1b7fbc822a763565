"""Hashes of code: comments, docstrings and EXPERIMENT do not count, every imported file does."""

import ast
import importlib
import sys

import pytest

from jaxdl.config import sources

CODE = """
import math
import numpy as np
import jaxdl
from parts import blocks

def width(x):
    return blocks.double(x) + math.pi

EXPERIMENT = jaxdl.Ablation(factor='width', baseline='a', options={'a': {}})
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / 'parts').mkdir()
    (tmp_path / 'parts' / '__init__.py').write_text('')
    (tmp_path / 'parts' / 'blocks.py').write_text('from . import more\ndef double(x): return 2 * x')
    (tmp_path / 'parts' / 'more.py').write_text('VALUE = 1')
    (tmp_path / 'parts' / 'unused.py').write_text('VALUE = 1')
    (tmp_path / 'study.py').write_text(CODE)
    return tmp_path / 'study.py'


def test_files_of_the_study_are_hashed_and_installed_ones_are_not(study):
    hashes = sources.hash_sources(study)
    assert list(hashes) == ['parts/__init__.py', 'parts/blocks.py', 'parts/more.py', 'study.py']


@pytest.mark.parametrize(
    ('old', 'new', 'same'),
    [
        ('import math', 'import math  # of circles', True),
        ('def width(x):', 'def width(x):\n    """Double."""', True),
        ("options={'a': {}}", "options={'a': {}, 'b': dict(width=3)}", True),
        ('EXPERIMENT = jaxdl', 'EXPERIMENT: object = jaxdl', True),
        ('math.pi', 'math.e', False),
        ('EXPERIMENT = jaxdl.Ab', 'OTHER = 1\nEXPERIMENT = jaxdl.Ab', False),
        ('EXPERIMENT = ', 'EXPERIMENT = jaxdl.register.model("net")(width) and ', False),
    ],
)
def test_code_counts_and_text_does_not(study, old, new, same):
    before = sources.hash_sources(study)
    assert old in CODE
    study.write_text(CODE.replace(old, new))
    after = sources.hash_sources(study)
    assert (after == before) == same


def test_a_file_that_is_imported_from_elsewhere_counts(study, tmp_path, monkeypatch):
    folder = tmp_path / 'studies'
    folder.mkdir()
    moved = study.rename(folder / 'study.py')
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module('parts.blocks')
    try:
        monkeypatch.chdir(folder)
        before = sources.hash_sources(moved)
        assert '../parts/more.py' in before
        (tmp_path / 'parts' / 'more.py').write_text('VALUE = 2')
        monkeypatch.chdir(tmp_path)
        after = sources.hash_sources(moved)
        assert [name for name in before if before[name] != after[name]] == ['../parts/more.py']
    finally:
        for name in [name for name in sys.modules if name.partition('.')[0] == 'parts']:
            sys.modules.pop(name)


def test_different_files_of_one_name_count_both():
    assert sources.merge([dict(a='1', b='2'), dict(a='3', b='2')]) == dict(a='1+3', b='2')


def test_docstrings_of_all_kinds_are_left_out():
    plain = 'class A:\n    x = 1\nasync def f():\n    return 1'
    documented = (
        '"""M."""\nclass A:\n    """A."""\n    x = 1\nasync def f():\n    """F."""\n    return 1'
    )
    one, other = (sources.hash_code(ast.parse(text)) for text in (plain, documented))
    assert one == other
