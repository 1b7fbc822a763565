"""Examples in docstrings and on the pages of docs/ give the stated outputs."""

import doctest
import importlib
import pathlib
import re

import pytest

import jaxdl

PACKAGE = pathlib.Path(jaxdl.__file__).parent
DOCS = pathlib.Path(__file__).parents[2] / 'docs'
EXAMPLE = '>>> '
MODULES = sorted(
    '.'.join(('jaxdl', *path.relative_to(PACKAGE).with_suffix('').parts)).removesuffix('.__init__')
    for path in PACKAGE.rglob('*.py')
    if EXAMPLE in path.read_text()
)
PAGES = sorted(path.name for path in DOCS.glob('*.md') if EXAMPLE in path.read_text())


def passes(test: doctest.DocTest) -> None:
    assert test.examples
    output: list[str] = []
    failed, _ = doctest.DocTestRunner().run(test, out=output.append)
    assert not failed, ''.join(output)


@pytest.mark.parametrize('name', MODULES)
def test_examples_of_docstrings(name):
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        if example.examples:
            passes(example)


@pytest.mark.parametrize('name', PAGES)
def test_examples_of_pages(name):
    """A page is one session, in the order in which it is read."""
    text = re.sub(r'^```.*$', '', (DOCS / name).read_text(), flags=re.MULTILINE)
    passes(doctest.DocTestParser().get_doctest(text, {}, name, name, 0))


def test_there_are_examples():
    assert {'jaxdl.statistics.paired', 'jaxdl.theory.shapes.formulas'} <= set(MODULES)
