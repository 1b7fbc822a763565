"""What a question of theory is answered with: a text, the claims that running it must bear out.

And what it shows.
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxdl.workdir.claims import Claim

if TYPE_CHECKING:  # a formula of `jaxdl.theory` is not to load matplotlib
    from jaxdl.report.page.blocks import Figure, Table

THEORY = pathlib.Path(__file__).parent
Note = Callable[[str], None]  # says what is being done, to whoever waits


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer, whole.

    Args:
      text: of the page (its syntax: `jaxdl.report.prose`); `![NAME]` stands where a figure or a
        table belongs.
      claims: every number that was predicted and measured.
      blocks: the figures and tables that the text names.
      groups: what trained, as in run.json.
    """

    text: str
    claims: Sequence[Claim]
    blocks: 'Sequence[Figure | Table]' = ()
    groups: Sequence[Mapping[str, Any]] = ()


def text(name: str, **values: str) -> str:
    """The text of `theory/NAME/text.md`, with what was measured put in for each `<<NAME>>`."""
    return re.sub(
        r'<<(\w+)>>',
        lambda mark: values[mark[1]],
        (THEORY / name / 'text.md').read_text(encoding='utf-8'),
    )
