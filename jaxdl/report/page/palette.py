"""One colour per option, in every figure and chart of a report."""

from collections.abc import Iterable

# After Okabe and Ito's palette. Contrast at least 3:1 against white and dark pages; one blue.
# Options also differ in markers and labels.
PALETTE = (
    '#0072B2',  # blue
    '#D55E00',  # vermilion
    '#009E73',  # green
    '#C4659B',  # pink
    '#9140E0',  # violet
    '#7D6A5A',  # brown
    '#8A7A00',  # olive
    '#D2103F',  # red
    '#D01CB0',  # magenta
)


def colours(options: Iterable[str]) -> dict[str, str]:
    """Colour of each option, by its place in the study; colours repeat after the palette's end.

    Args:
      options: all options, in the order of `AblationRun.options`.
    """
    return {option: PALETTE[i % len(PALETTE)] for i, option in enumerate(options)}
