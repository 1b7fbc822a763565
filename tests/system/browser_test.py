"""Report in a real browser: figures drawn, nothing fetched, no overflow on a phone."""

import json
import pathlib
import re

import chromium
import pytest
import workdirs

from jaxdl import report

# Each copy of the page measures itself and tells the page around it.
MEASURE = """<script>
addEventListener('load', () => parent.postMessage({
  width: innerWidth, needed: document.documentElement.scrollWidth,
  figures: [...document.images].map(
    image => [image.complete, image.naturalWidth, image.naturalHeight]),
}, '*'))
</script>"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not chromium.CHROMIUM, reason='no chromium on this machine'),
]


@pytest.fixture(scope='module')
def page(tmp_path_factory) -> pathlib.Path:
    long = 'an_option_whose_name_is_one_very_long_word_that_nobody_can_break'
    options = workdirs.first(5) | {long: (0.03, 0.1)}
    workdir = tmp_path_factory.mktemp('browser') / 'run'
    return report.build(workdirs.make(workdir, options=options, seeds=3, epochs=3, tuning_seeds=1))


def test_figures_are_drawn_and_fit(page, tmp_path):
    source = page.read_text()
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', '', source).replace(
        '</body>', MEASURE + '</body>'
    )
    assert 'Content-Security-Policy' not in copy
    (tmp_path / 'copy.html').write_text(copy)
    frames = ''.join(
        f'<iframe src="copy.html" width="{width}" height="900" frameborder="0"></iframe>'
        for width in chromium.WIDTHS
    )
    (tmp_path / 'around.html').write_text(chromium.AROUND + frames)
    dom, _ = chromium.browse(tmp_path / 'around.html', tmp_path)
    by_width = {
        page_facts['width']: page_facts
        for page_facts in map(json.loads, re.findall(r'<pre>({.*?})</pre>', dom))
    }
    assert set(by_width) == set(chromium.WIDTHS)
    for width, page_facts in by_width.items():
        assert page_facts['needed'] <= width, (
            f'the page is {page_facts["needed"]} wide on a screen of {width}'
        )
        assert len(page_facts['figures']) == source.count('<img ') == 4
        assert all(
            complete and drawn > 200 and high > 100
            for complete, drawn, high in page_facts['figures']
        )
    widest = {
        width: max(figure[1] for figure in page_facts['figures'])
        for width, page_facts in by_width.items()
    }
    assert widest[390] <= 390 < widest[1280]  # a phone gets the narrow drawings


# What a reader does with it, and what then is there.
USE = f'<script>{pathlib.Path(__file__).with_name("use_report.js").read_text()}</script>'


def test_a_reader_sorts_a_table_and_turns_the_light_off(page, tmp_path):
    source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', '', page.read_text())
    (tmp_path / 'copy.html').write_text(source.replace('<body>', '<body>' + USE))
    frames = ''.join(
        f'<iframe src="copy.html" width="{width}" height="900"></iframe>'
        for width in chromium.WIDTHS
    )
    (tmp_path / 'around.html').write_text(chromium.AROUND + frames)
    dom, _ = chromium.browse(tmp_path / 'around.html', tmp_path)
    by_width = {
        page_facts['width']: page_facts
        for page_facts in map(json.loads, re.findall(r'<pre>({.*?})</pre>', dom))
    }
    assert set(by_width) == set(chromium.WIDTHS)
    for width, page_facts in by_width.items():
        assert page_facts['errors'] == []
        (up, rising), (down, falling), (none, again) = (
            page_facts['up'],
            page_facts['down'],
            page_facts['again'],
        )
        assert (up, down, none) == ('ascending', 'descending', None)
        assert (
            sorted(page_facts['before']) == rising == falling[::-1] != page_facts['before'] == again
        )
        assert page_facts['light'] != page_facts['dark']
        assert page_facts['needed'] <= width
        assert page_facts['open'] == (width > 600)
        assert page_facts['reached']
        assert page_facts['folded'] == page_facts['afterwards'] == [False, False]
        assert page_facts['printed'] == page_facts['linked'] == [True, True]


def test_the_page_asks_for_nothing(page, tmp_path):
    dom, requests = chromium.browse(page, tmp_path)
    assert '<figure' in dom
    assert requests == []


def test_a_page_that_asks_is_caught(page, tmp_path):
    asking = page.read_text().replace('</main>', '<img src="http://figures.invalid/a.png"></main>')
    (tmp_path / 'held.html').write_text(asking)
    assert (
        chromium.browse(tmp_path / 'held.html', tmp_path)[1] == []
    )  # its own policy holds it back
    (tmp_path / 'free.html').write_text(re.sub(r'<meta http-equiv[^>]*>', '', asking))
    assert chromium.browse(tmp_path / 'free.html', tmp_path)[1] == ['http://figures.invalid/a.png']
