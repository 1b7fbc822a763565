"""Render a page as one self-contained HTML file, or as Markdown next to its figures."""

import base64
import hashlib
import importlib.resources
from collections.abc import Callable, Sequence
from importlib.resources.abc import Traversable

import jinja2
from markupsafe import Markup

from jaxdl.report.page import charts, markup
from jaxdl.report.page.blocks import Page

SCRIPTS = ('page.js', 'chart.js')


def html(page: Page, raw: Sequence[str] = ()) -> str:
    """Render one self-contained HTML file, which loads nothing and runs only its own script.

    Args:
      page: the page.
      raw: names of files next to the page, to link to.

    Returns:
      The HTML.
    """
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    allowed = dict(script=Markup(script()), script_hash=f'sha256-{digest}')
    names = {id(table): name for name, table in page.tables.items()}
    template = _environment(markup.html, autoescape=True).get_template('page.html.jinja')
    return template.render(page=page, raw=raw, table_names=names, **allowed)


def script() -> str:
    """The script of the page; the page is readable without it."""
    return ';\n'.join(folder().joinpath(name).read_text('utf-8') for name in SCRIPTS)


def folder() -> Traversable:
    """Folder of the templates."""
    return importlib.resources.files('jaxdl.report.page').joinpath('templates')


def markdown(page: Page) -> str:
    """Render Markdown with figures linked as figures/NAME.png."""
    return (
        _environment(markup.markdown, autoescape=False)
        .get_template('page.md.jinja')
        .render(page=page)
    )


def _environment(write: Callable[[object], str], autoescape: bool) -> jinja2.Environment:
    """Environment in which `write` escapes everything that a template prints."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('jaxdl.report.page'),
        autoescape=autoescape,
        finalize=write,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= dict(
        plain=markup.plain,
        data_uri=_data_uri,
        mathml=markup.mathml,
        fence=_fence,
        verbatim=Markup,
        chart=charts.encode,
        id=id,
    )
    return environment


def _data_uri(svg: bytes) -> Markup:
    return Markup('data:image/svg+xml;base64,' + base64.b64encode(svg).decode())


def _fence(text: str) -> Markup:
    return Markup(markup.fence(text))
