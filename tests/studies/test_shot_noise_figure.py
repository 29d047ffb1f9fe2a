"""The figure of the shot-noise table."""

from pathlib import Path

from figures import words
from studies.shot_noise.figure import shot_noise_figure

ROOT = Path(__file__).parents[2]


def test_is_a_light_page_of_svg_with_words_for_all_it_shows():
    table = ROOT / "results" / "shot_noise.csv"
    text = shot_noise_figure(table)
    assert {"second order", "10 spikes/s each", "excitation: below eq. 1", "inhibition: above eq. 1"} <= words(text)
    assert len(text) < 200_000


def test_the_one_checked_in_is_of_the_table_and_as_light():
    checked_in = (ROOT / "docs" / "shot_noise.svg").read_text()
    assert words(checked_in) == words(shot_noise_figure(ROOT / "results" / "shot_noise.csv"))
    assert len(checked_in) < 200_000
