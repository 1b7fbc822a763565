"""Parsed pages of a report."""

import base64
import hashlib
import html.parser
import re
from collections.abc import Iterator
from xml.etree import ElementTree

LOADING = ('src', 'srcset', 'href', 'action', 'data', 'poster', 'background', 'xlink:href')


BESIDE = (
    r'(figures/|tables/)?[\w-]+\.(csv|json|tex|svg|png)'  # a link that stays within the workdir
)


class Page(html.parser.HTMLParser):
    """Parsed page: loaded addresses, text, figures, and tables as lists of rows."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.loads, self.figures, self.tables, self.tags, self.text = [], [], {}, set(), ''
        self._rows, self._cell, self._style = [], None, False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [value for name, value in attrs if name in LOADING]
        if tag == 'img':
            self.figures.append(dict(attrs))
        elif tag == 'tr':
            self._rows.append([])
        elif tag in ('td', 'th', 'caption'):
            self._cell = ''
        self._style = tag in ('style', 'script')

    def handle_data(self, data):
        if not self._style:
            self.text += data
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ('td', 'th'):
            self._rows[-1].append(self._cell)
        elif tag == 'caption':
            self._rows = self.tables.setdefault(self._cell, [])
        if tag in ('td', 'th', 'caption'):
            self._cell = None

    def table(self, start: str) -> dict[str, list[str]]:
        """The rows of the table whose caption starts so, by their first cell."""
        rows = next(rows for caption, rows in self.tables.items() if caption.startswith(start))
        return {row[0]: row[1:] for row in rows[1:]}


def outside(source: str) -> list[str]:
    """Everything in a page that would be fetched from somewhere."""
    addresses = [
        value for value in Page(source).loads if not re.match(rf'#|data:|{BESIDE}$', value)
    ]
    return addresses + re.findall(
        r'https?:[^\s"<]*|@import|url\([^)]*\)|<script', without_own_scripts(source)
    )


def without_own_scripts(source: str) -> str:
    """The page without figures, chart data and the one script that the page's policy allows."""
    named = re.findall(r"script-src '(sha256-[^']*)'", source)

    def strange(script: re.Match[str]) -> str:
        digest = 'sha256-' + base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
        return '' if digest in named else script[0]

    source = re.sub(r'base64,[\w+/=]+', '', source)
    source = re.sub(r'<script type="application/json"[^<>]*>[^<>]*</script>', '', source)
    return re.sub(r'<script>(.*?)</script>', strange, source, flags=re.DOTALL)


def drawings(source: str) -> Iterator[ElementTree.Element]:
    for encoded in re.findall(r'data:image/svg\+xml;base64,([\w+/=]+)', source):
        yield ElementTree.fromstring(base64.b64decode(encoded))
