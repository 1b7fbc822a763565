"""A page of blocks as one self-contained HTML file, or as Markdown beside its figures."""

import base64
import hashlib
import pathlib
from collections.abc import Callable

import jinja2
from markupsafe import Markup

from jaxdl.report import charts, markup
from jaxdl.report.blocks import Page

TEMPLATES = pathlib.Path(__file__).with_name('templates')


def html(page: Page) -> str:
    """The page as one file: its style and its figures are inside, and it loads nothing from anywhere."""
    charted = any(figure.chart for figure in page.figures)
    script = '\n' + (TEMPLATES / 'chart.js').read_text(encoding='utf-8') if charted else ''
    template = _environment(markup.html, autoescape=True).get_template('page.html.jinja')
    return template.render(page=page, script=Markup(script), script_sha256=_sha256(script))


def markdown(page: Page) -> str:
    """The same content as Markdown, its figures linked as figures/NAME.png."""
    return _environment(markup.markdown, autoescape=False).get_template('page.md.jinja').render(page=page)


def _environment(write: Callable[[object], str], autoescape: bool) -> jinja2.Environment:
    """Everything that a template prints goes through `write`, so that no template can forget to escape."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('jaxdl.report'), autoescape=autoescape, finalize=write, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= dict(
        plain=markup.plain,
        data_uri=_data_uri,
        mathml=markup.mathml,
        fence=_fence,
        verbatim=Markup,
        chart=charts.encode,
    )
    return environment


def _data_uri(svg: bytes) -> Markup:
    return Markup('data:image/svg+xml;base64,' + base64.b64encode(svg).decode())


def _sha256(script: str) -> Markup:
    """As a content security policy names a script that may run."""
    return Markup('sha256-' + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())


def _fence(text: str) -> Markup:
    return Markup(markup.fence(text))
