"""The colors of the page and its figures."""

from collections.abc import Iterable

from conductance.colors import EXCITATORY, INHIBITORY, INK

__all__ = ["CONDUCTANCES", "EXCITATORY", "FAMILIES", "INHIBITORY", "INK", "OTHERS", "THEMED", "family_colors"]

# Okabe and Ito's palette for color-blind readers, without the hues of excitation and inhibition; the yellow is darker.
FAMILIES = ("#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8c8c8c", "#b5a800")

# For figures with only two kinds of networks: of conductances, and all others.
CONDUCTANCES, OTHERS = FAMILIES[0], FAMILIES[4]

# Figures are drawn in these colors; the page's style sheet replaces each by its light or dark shade.
THEMED = {
    INK: "currentColor",
    EXCITATORY: f"var(--excitatory, {EXCITATORY})",
    INHIBITORY: f"var(--inhibitory, {INHIBITORY})",
}


def family_colors(families: Iterable[str]) -> dict[str, str]:
    """A color for each family, the same everywhere on the page."""
    return {family: FAMILIES[i % len(FAMILIES)] for i, family in enumerate(sorted(set(families)))}
