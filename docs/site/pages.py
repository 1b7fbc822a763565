"""What becomes of a page on its way to the site: its formulas.

And its links to what lies beside docs/.
"""

import pathlib
import re
from typing import Any

from jaxdl.report.page.markup import mathml

TOP = pathlib.Path(__file__).parents[2]
FENCED = re.compile(
    r'(^ *```.*?^ *```|`[^`\n]+`)', re.MULTILINE | re.DOTALL
)  # code, which is left as it is


def on_config(config: Any) -> Any:
    """The nav without pages that are not there."""
    folder = pathlib.Path(config.docs_dir)
    for entry in config.nav:
        for title, pages in entry.items():
            entry[title] = (
                [page for page in pages if (folder / page).is_file()]
                if isinstance(pages, list)
                else pages
            )
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Formulas as MathML; the names of the project's other files in place of links to them."""
    parts = FENCED.split(markdown)
    parts[::2] = [_formulas(part) for part in parts[::2]]
    folder = pathlib.Path(page.file.abs_src_path).parent
    return re.sub(
        r'\[(`?)([^\]]+?)\1\]\((\.\./[^)#]+)\)', lambda found: _link(found, folder), ''.join(parts)
    )


def _formulas(text: str) -> str:
    text = re.sub(
        r'\$\$(.+?)\$\$',
        lambda found: mathml(' '.join(found[1].split()), 'block'),
        text,
        flags=re.DOTALL,
    )
    return re.sub(r'\$([^$\n]+)\$', lambda found: mathml(found[1]), text)


def _link(found: re.Match[str], folder: pathlib.Path) -> str:
    """A link within docs/ as it is; to another file of the project, which is no page.

    Its path there.
    """
    target = (folder / found[3]).resolve()
    if target.is_relative_to(TOP / 'docs'):
        return found[0]
    if not target.exists():
        raise FileNotFoundError(f'{folder}: {found[0]} leads nowhere')
    return f'`{target.relative_to(TOP)}`'
