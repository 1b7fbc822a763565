"""Documentation: generated parts, and a site without warnings, with every public name and link."""

import html.parser
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import chromium
import pytest

import jaxdl

TOP = pathlib.Path(__file__).parents[2]
CONFIG = TOP / 'docs' / 'site' / 'mkdocs.yml'
# What the contract names beside the names of the package itself.
CONTRACT = (
    'models.load_pretrained',
    'theory.backprop.gradients',
    'theory.shapes.conv_output_size',
    'theory.shapes.pool_output_size',
    'statistics.compare',
    'statistics.holm',
    'augment.rotate',
    'augment.translate',
    'augment.adjust_brightness',
    'augment.adjust_contrast',
    'augment.adjust_saturation',
    'augment.adjust_hue',
    'Predictor.from_checkpoint',
    'Predictor.predict',
)
LOADING = dict(
    script='src', img='src', iframe='src', source='src', link='href', object='data', embed='src'
)

pytestmark = pytest.mark.skipif(not CONFIG.exists(), reason='the tests stand alone')


class Page(html.parser.HTMLParser):
    """Ids, links, and what the page loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids |= {attributes[name] for name in ('id', 'name') if attributes.get(name)}
        if tag == 'a' and attributes.get('href'):
            self.links.append(attributes['href'])
        if attributes.get(LOADING.get(tag, '')):
            self.loads.append(attributes[LOADING[tag]])


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    pytest.importorskip('mkdocs')
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--config-file', str(CONFIG)]
    environment = os.environ | dict(PYTHONPATH=str(TOP), NO_MKDOCS_2_WARNING='1')
    built = subprocess.run(
        [*command, '--site-dir', str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert 'WARNING' not in built.stderr
    return folder


@pytest.fixture(scope='module')
def pages(site):
    return {path.resolve(): Page(path) for path in sorted(site.rglob('*.html'))}


def test_generated_parts_are_those_of_the_code():
    """Otherwise: python docs/site/reference.py."""
    command = [sys.executable, str(CONFIG.with_name('reference.py')), '--check']
    environment = os.environ | dict(PYTHONPATH=str(TOP))
    checked = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, '', '')


def test_every_mark_has_an_end():
    for path in CONFIG.parents[1].rglob('*.md'):
        marks = re.findall(r'^<!-- .*-->$', path.read_text(), re.MULTILINE)
        assert marks[1::2] == ['<!-- end -->'] * (len(marks) // 2), path
        assert len(marks) % 2 == 0, path


@pytest.mark.parametrize('name', [*jaxdl.__all__, *CONTRACT])
def test_every_public_name_has_an_entry(pages, name):
    assert any(f'jaxdl.{name}' in page.ids for page in pages.values())


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert page.loads
        assert not [address for address in page.loads if urllib.parse.urlparse(address).netloc], (
            path
        )
        # What the theme's script would fetch: diagrams by mermaid, and the stars of a repository.
        assert not re.search('class="[^"]*mermaid|data-md-component="source"', path.read_text()), (
            path
        )
    for path in site.rglob('*.css'):
        assert not re.search(r'(@import|url\()\s*["\']?(https?:)?//', path.read_text()), path


@pytest.mark.browser
@pytest.mark.skipif(not chromium.CHROMIUM, reason='no chromium on this machine')
def test_a_browser_asks_for_nothing_else(site, tmp_path):
    dom, requests = chromium.browse(site / 'statistics.html', tmp_path)
    assert 'Nadeau' in dom
    assert [url for url in requests if not url.startswith((site.as_uri(), 'data:', 'blob:'))] == []


def test_links_lead_somewhere(pages):
    for path, page in pages.items():
        for link in page.links if path.name != '404.html' else ():
            parts = urllib.parse.urlparse(link)
            if parts.scheme in ('http', 'https', 'mailto'):
                continue
            target = (
                (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            )
            assert target.is_file(), f'{path.name}: {link}'
            if parts.fragment and target in pages and parts.fragment != '__top':
                assert urllib.parse.unquote(parts.fragment) in pages[target].ids, (
                    f'{path.name}: {link}'
                )
