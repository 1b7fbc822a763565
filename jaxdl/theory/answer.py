"""Result of a theory question: text, claims, figures and tables."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jaxdl.workdir.claims import Claim
from jaxdl.workdir.records import GroupRecord

if TYPE_CHECKING:  # a formula of `jaxdl.theory` is not to load matplotlib
    from jaxdl.report.page.blocks import Figure, Table

THEORY = pathlib.Path(__file__).parent
Note = Callable[[str], None]  # writes a line of progress


@dataclasses.dataclass(frozen=True)
class Answer:
    """Text, claims, figures and tables of a theory question.

    Args:
      text: of the page (syntax: `jaxdl.report.page.prose`); `![NAME]` marks the place of a figure
        or table.
      claims: predicted and measured numbers.
      blocks: the figures and tables that the text names.
      groups: compiled groups, as in run.json.
    """

    text: str
    claims: Sequence[Claim]
    blocks: 'Sequence[Figure | Table]' = ()
    groups: Sequence[GroupRecord] = ()


def text(name: str, **values: str) -> str:
    """Read the text of a question and insert the measured values.

    Args:
      name: folder of the question in jaxdl/theory.
      values: name -> text for each `<<NAME>>` of text.md.

    Returns:
      The text without placeholders.
    """
    return re.sub(
        r'<<(\w+)>>',
        lambda mark: values[mark[1]],
        (THEORY / name / 'text.md').read_text(encoding='utf-8'),
    )
