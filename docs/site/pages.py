"""Prepare a page for the site: formulas as MathML, links to files outside docs/ as paths."""

import pathlib
import re
from typing import Any

from jaxdl.report.page.markup import mathml

TOP = pathlib.Path(__file__).parents[2]
# Code is not changed.
FENCED = re.compile(r'(^ *```.*?^ *```|`[^`\n]+`)', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\[(`?)([^\]]+?)\1\]\((\.\./[^)#]+)\)')


def on_config(config: Any) -> Any:
    """Remove missing pages from the navigation."""
    folder = pathlib.Path(config.docs_dir)
    for entry in config.nav:
        for title, pages in entry.items():
            if isinstance(pages, list):
                entry[title] = [page for page in pages if (folder / page).is_file()]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Convert formulas to MathML, and links to files outside docs/ to the paths of these files."""
    parts = FENCED.split(markdown)
    parts[::2] = [_formulas(part) for part in parts[::2]]
    folder = pathlib.Path(page.file.abs_src_path).parent
    return LINK.sub(lambda match: _link(match, folder), ''.join(parts))


def _formulas(text: str) -> str:
    block = re.compile(r'\$\$(.+?)\$\$', re.DOTALL)
    text = block.sub(lambda match: mathml(' '.join(match[1].split()), 'block'), text)
    return re.sub(r'\$([^$\n]+)\$', lambda match: mathml(match[1]), text)


def _link(match: re.Match[str], folder: pathlib.Path) -> str:
    """Return a link within docs/ unchanged, and the path of any other file of the project as code.

    Raises:
      FileNotFoundError: the file does not exist.
    """
    target = (folder / match[3]).resolve()
    if target.is_relative_to(TOP / 'docs'):
        return match[0]
    if not target.exists():
        raise FileNotFoundError(f'{folder}: {match[0]} leads nowhere')
    return f'`{target.relative_to(TOP)}`'
