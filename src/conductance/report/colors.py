"""What each color means, on the page and in its figures."""

from collections.abc import Iterable

INK = "#24292f"
EXCITATORY = "#c8452f"
INHIBITORY = "#2f6fb5"

# Okabe and Ito's color-blind-safe palette, less the two hues that excitation and inhibition own; its yellow darker.
FAMILIES = ("#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8c8c8c", "#b5a800")

# Where a figure has but two kinds of networks: of conductances, and all others.
CONDUCTANCES, OTHERS = FAMILIES[0], FAMILIES[4]

# A figure is drawn in these colors; the page's style sheet then gives each its light or dark shade.
THEMED = {
    INK: "currentColor",
    EXCITATORY: f"var(--excitatory, {EXCITATORY})",
    INHIBITORY: f"var(--inhibitory, {INHIBITORY})",
}


def family_colors(families: Iterable[str]) -> dict[str, str]:
    """A color for each family, the same all over the page."""
    return {family: FAMILIES[i % len(FAMILIES)] for i, family in enumerate(sorted(set(families)))}
