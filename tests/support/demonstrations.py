"""A demonstration with one claim, one figure and one table."""

import dataclasses
import pathlib

import numpy as np
from matplotlib.figure import Figure as Drawn

from jaxdl import fields
from jaxdl.report.page import plots
from jaxdl.report.page.blocks import Figure, Table
from jaxdl.theory.answer import Answer
from jaxdl.workdir import claims


@dataclasses.dataclass(frozen=True)
class Settings:
    points: int = fields.ruled(10, fields.at_least(1))
    error: float = 0.0


def plot(width):
    figure = Drawn((width, 2), layout='constrained')
    figure.subplots().plot(np.arange(3))
    return figure


def answer(settings, note):
    note('halving')
    text = 'In short: $\\frac12$.\n\n## Why\n\nBecause.\n\n![line]\n\n![numbers]\n'
    claim_list = [
        claims.close(f'half of one, {settings.points} points', 0.5, 0.5 + settings.error, 1e-12)
    ]
    blocks = [
        Figure('line', plots.draw(plot), 'a line', 'how to read it'),
        Table('c', ('a',), [['1']], 'l', name='numbers'),
    ]
    return Answer(text, claim_list, blocks)


# An experiment file of this demonstration.
FILE = """\"\"\"Is a half a half?\"\"\"
import sys
sys.path.insert(0, {folder!r})
from demonstrations import Settings, answer
from jaxdl import Demonstration
EXPERIMENT = Demonstration(answer, Settings(), quick=dict(points=3))
"""


def write_file(folder):
    """Write the experiment file `half.py` into a folder."""
    path = folder / 'half.py'
    path.write_text(FILE.format(folder=str(pathlib.Path(__file__).parent)))
    return path
