"""Questions 2.1 and 2.2, sizes after convolution and pooling: formulas and checks."""

from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.shapes.formulas import Pair as Pair
from jaxdl.theory.shapes.formulas import Settings as Settings
from jaxdl.theory.shapes.formulas import conv_output_size as conv_output_size
from jaxdl.theory.shapes.formulas import pool_output_size as pool_output_size
from jaxdl.theory.shapes.formulas import same_padding as same_padding
from jaxdl.theory.shapes.formulas import span as span


def answer(settings: Settings, note: Note) -> Answer:
    """Compare the formulas with XLA, with counted positions, and with wrong rules.

    Args:
      settings: number of cases, and seed.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.shapes import cases as shapes_cases
    from jaxdl.theory.shapes import checks as shapes_checks
    from jaxdl.theory.shapes import figures  # jax and matplotlib: formulas need neither

    note(f'running {settings.cases:,} convolutions')
    cases = shapes_cases.draw(settings.seed, settings.cases)
    observed = shapes_cases.observe(cases, settings.seed)
    claims = shapes_checks.measure(
        cases, observed, conv_output_size, pool_output_size, same_padding
    )
    blocks = [
        figures.walk(conv_output_size),
        figures.staircase(conv_output_size, shapes_cases.run_convolutions),
        figures.examples(conv_output_size, shapes_cases.run_convolutions),
    ]
    values = shapes_checks.numbers(cases, observed)
    return Answer(text('shapes', **values), claims, blocks)
