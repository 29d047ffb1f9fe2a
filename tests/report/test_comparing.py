"""Comparisons of networks on the same images: intervals that cover, exact tests, corrections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conductance.errors import InputError
from conductance.report.comparing import SeedSpread, by_seeds, compare, holm, mcnemar, seed_spread


def answers(random, seeds, images, accuracy, of_seeds=0.0, difficulty=None):
    """Networks whose accuracies vary with the seed, and whose errors fall on the same difficult images."""
    difficulty = random.random(images) if difficulty is None else difficulty
    noise = 0.1 * random.standard_normal((seeds, images))
    shift = of_seeds * random.standard_normal((seeds, 1))
    return list(difficulty + noise < np.quantile(difficulty, accuracy) + shift)


@pytest.mark.parametrize(("seeds", "of_seeds"), [(2, 0.01), (3, 0.01), (3, 0.0)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds, of_seeds):
    """Two families of equal accuracy, drawn anew many times: seeds and images."""
    random = np.random.default_rng(1)
    covered = []
    for trial in range(100):
        difficulty = random.random(400)
        pair = [answers(random, seeds, 400, 0.8, of_seeds, difficulty) for _ in range(2)]
        result = compare(*pair, seed=trial)
        covered.append(result.low <= 0 <= result.high)
        assert (result.p < 0.05) == (not covered[-1]) or 0.03 < result.p < 0.08
    assert np.mean(covered) > 0.9


def test_a_large_difference_is_seen_and_has_its_sign():
    random = np.random.default_rng(0)
    difficulty = random.random(2000)
    good, bad = (answers(random, 3, 2000, accuracy, 0.002, difficulty) for accuracy in (0.9, 0.8))
    result, reverse = compare(good, bad), compare(bad, good)
    assert result.low > 0
    assert result.p < 0.01
    assert reverse.difference == pytest.approx(-result.difference)
    assert result.difference == pytest.approx(100 * (np.mean(good) - np.mean(bad)))
    assert result.low < result.difference < result.high


def test_pairs_on_the_same_images_have_narrower_intervals_than_others():
    random = np.random.default_rng(0)
    difficulty = random.random(1000)
    a, b = (answers(random, 1, 1000, accuracy, 0.0, difficulty)[0] for accuracy in (0.82, 0.8))
    paired, apart = compare([a], [b]), compare([a], [random.permutation(b)])
    assert paired.high - paired.low < 0.8 * (apart.high - apart.low)


def test_the_same_draws_give_the_same_interval():
    random = np.random.default_rng(0)
    pair = answers(random, 2, 300, 0.8, 0.01), answers(random, 2, 300, 0.7, 0.01)
    assert compare(*pair) == compare(*pair)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 100))
def test_the_spread_of_seeds_is_pooled_over_families(seeds, number):
    random = np.random.default_rng(number)
    families = [list(random.random((k, 50)) < random.random()) for k in seeds]
    found = seed_spread(families)
    if max(seeds) == 1:
        assert found is None
    else:
        each = [np.var([100 * one.mean() for one in family], ddof=1) for family in families if len(family) > 1]
        weights = [k - 1 for k in seeds if k > 1]
        assert found == SeedSpread(pytest.approx(np.average(each, weights=weights) ** 0.5), sum(weights))


def test_a_larger_spread_of_seeds_gives_a_wider_interval():
    random = np.random.default_rng(0)
    above, below = ([random.random(5000) < right for _ in range(2)] for right in (0.85, 0.80))
    found = [compare(above, below, spread=SeedSpread(deviation, 20)) for deviation in (0.0, 0.5, 4.0)]
    widths = [each.high - each.low for each in found]
    assert widths == sorted(widths)
    assert found[0].p < 0.05 < found[-1].p
    by_one = compare(above[:1], below[:1], spread=SeedSpread(0.5, 20))
    assert by_one.high - by_one.low > widths[1]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_binomial_test_of_discordant_images(pairs):
    first, second = map(np.array, zip(*pairs, strict=True))
    only = int((first & ~second).sum()), int((second & ~first).sum())
    wanted = stats.binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
    assert mcnemar(first, second) == pytest.approx(wanted)
    assert compare([first], [second]).p == pytest.approx(wanted)


def test_seeds_alone_give_welchs_test():
    above, below = [83.77, 83.47], [83.21, 83.18, 82.9]
    found, welch = by_seeds(above, below), stats.ttest_ind(above, below, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval()))
    assert by_seeds([83.0], below) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_corrects_upwards_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)
    assert corrected[order[0]] == pytest.approx(min(1.0, len(p_values) * p_values[order[0]]))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="on the same ones"):
        compare([np.ones(3, bool)], [np.ones(4, bool)])
    with pytest.raises(InputError, match="at least one network"):
        compare([], [np.ones(4, bool)])
