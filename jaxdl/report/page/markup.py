"""Mark names, code and formulas in text, and escape text for HTML, Markdown and LaTeX.

Names from a study (options, classes, paths) may contain anything; they are always rendered as text.
"""

import re
from xml.etree import ElementTree

from latex2mathml import converter
from markupsafe import Markup, escape

from jaxdl.errors import UNSEEN

_NAME, _CODE, _MATH, _END = (
    '\ue000\ue001\ue003\ue002'  # private use: `flat` takes them out of what is marked
)
# What a formula may be made of; a text within it comes out of the converter as it went in.
ELEMENTS = frozenset(
    (
        'math',
        'mrow',
        'mi',
        'mn',
        'mo',
        'ms',
        'mtext',
        'mspace',
        'mfrac',
        'msqrt',
        'mroot',
        'mstyle',
        'mpadded',
        'mphantom',
        'msub',
        'msup',
        'msubsup',
        'munder',
        'mover',
        'munderover',
        'mtable',
        'mtr',
        'mtd',
        'menclose',
    )
)
ACTIVE = ('href', 'src', 'style', 'class', 'id', 'on', 'xlink', '{')
_LATEX = str.maketrans(
    {letter: f'\\{letter}' for letter in '&%$#_{}'}
    | {
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '<': r'\textless{}',
    }
    | {
        '>': r'\textgreater{}',
        '\u00a0': '~',
        '\u2212': '$-$',
        '\u2013': '--',
        '\u00d7': r'$\times$',
    }
)
_MARKED = re.compile(f'([{_NAME}{_CODE}{_MATH}])([^{_END}]*){_END}')


def name(text: object) -> str:
    """Mark a name from the study (an option, a condition); rendered in bold."""
    return f'{_NAME}{flat(text)}{_END}'


def code(text: object) -> str:
    """Mark code: a setting, a file name."""
    return f'{_CODE}{flat(text)}{_END}'


def math(tex: object) -> str:
    """Mark a formula in TeX."""
    return f'{_MATH}{flat(tex)}{_END}'


def mathml(tex: str, display: str = 'inline') -> Markup:
    """Convert a formula to MathML.

    Args:
      tex: the formula.
      display: `inline` or `block`.

    Raises:
      ValueError: the formula cannot be converted.
    """
    mathml = converter.convert(re.sub(r'\{aligned\}', '{split}', tex), display=display)
    if not _is_formula(mathml) or re.search(r'>\\\w', mathml):
        raise ValueError(f'a formula that cannot be converted: {tex}')
    # Not a superscript: fonts without a size for superscripts draw a prime as a dot.
    mathml = re.sub(
        r'<msup>(<mi>[^<]*</mi>)<mi>(&#x02032;)</mi></msup>',
        r'\1<mo lspace="0" rspace="0">\2</mo>',
        mathml,
    )
    return Markup(mathml.replace('<math ', f'<math alttext="{escape(tex)}" ', 1))


def _is_formula(mathml: str) -> bool:
    """Whether all elements are MathML, without links, styles or actions."""
    try:
        elements = list(ElementTree.fromstring(mathml).iter())
    except ElementTree.ParseError:
        return False
    tags = {element.tag.rpartition('}')[2] for element in elements}
    names = {name.lower() for element in elements for name in element.attrib}
    return tags <= ELEMENTS and not any(name.startswith(ACTIVE) for name in names)


def flat(text: object) -> str:
    """One line, without control, surrogate, private-use and bidirectional characters."""
    return re.sub(rf'[ {UNSEEN}\ue000-\uf8ff]+', ' ', str(text)).strip(' ')


def plain(text: str) -> str:
    """Text without marks, for attributes and file names."""
    return re.sub(f'[{_NAME}{_CODE}{_MATH}{_END}]', '', text)


def html(text: object) -> Markup:
    """Escape for HTML, with marks as elements; `Markup` stays as it is."""
    if isinstance(text, Markup):
        return text
    written, end = Markup(), 0
    for mark in _MARKED.finditer(str(text)):
        written += escape(str(text)[end : mark.start()]) + _element(mark[1], mark[2])
        end = mark.end()
    return written + escape(str(text)[end:])


def markdown(text: object) -> str:
    """Escape for GitHub's Markdown, also within tables; `Markup` stays as it is."""
    if isinstance(text, Markup):
        return str(text)
    text, written, end = str(text), '', 0
    for mark in _MARKED.finditer(text):
        inner = {_NAME: lambda s: f'**{_escape(s)}**', _CODE: _span, _MATH: lambda s: f'${s}$'}[
            mark[1]
        ](mark[2])
        written += _escape(text[end : mark.start()]) + inner
        end = mark.end()
    return written + _escape(text[end:])


def latex(text: object) -> str:
    """Escape for LaTeX, with marks as commands."""
    text, written, end = str(text), '', 0
    for mark in _MARKED.finditer(text):
        command = {_NAME: r'\textbf{%s}', _CODE: r'\texttt{%s}', _MATH: '$%s$'}[mark[1]]
        inner = mark[2] if mark[1] == _MATH else _in_latex(mark[2])
        written += _in_latex(text[end : mark.start()]) + command % inner
        end = mark.end()
    return written + _in_latex(text[end:])


def fence(text: str) -> str:
    """A code fence that no line of `text` can close."""
    return '`' * max(3, 1 + _longest_run(text))


def _element(mark: str, inner: str) -> Markup:
    if mark == _MATH:
        return mathml(inner)
    tag = Markup({_NAME: 'b', _CODE: 'code'}[mark])
    return Markup('<{}>{}</{}>').format(tag, inner, tag)


def _escape(text: str) -> str:
    text = text.replace('\n', ' ').replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return re.sub(r'([\\`*_\[\]|#~$])', r'\\\1', text)


def _in_latex(text: str) -> str:
    return ' '.join(text.split('\n')).translate(_LATEX)


def _span(text: str) -> str:
    """A code span; bars are escaped because they end a cell of a table even in code."""
    ticks, pad = '`' * (1 + _longest_run(text)), ' ' if '`' in text else ''
    return f'{ticks}{pad}{text}{pad}{ticks}'.replace('|', '\\|')


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall('`+', text)), default=0)
