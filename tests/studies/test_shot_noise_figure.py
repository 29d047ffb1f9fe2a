"""The figure of the shot-noise table."""

from figures import words
from studies.shot_noise.figure import shot_noise_figure
from studies.shot_noise.measure import FOLDER


def test_is_a_light_page_of_svg_with_words_for_all_it_shows():
    text = shot_noise_figure(FOLDER.result)
    assert {"theory, second order", "10 spikes/s per synapse", "excitation: mean below eq. 1"} <= words(text)
    assert len(text) < 200_000


def test_the_one_checked_in_is_of_the_table_and_as_light():
    checked_in = FOLDER.figure.read_text()
    assert words(checked_in) == words(shot_noise_figure(FOLDER.result))
    assert len(checked_in) < 200_000
