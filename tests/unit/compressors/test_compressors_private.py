"""Private codecs: their distributions against an enumeration of all subsets of levels, and binomial numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom, chi2

from jdl import privacy
from jdl.compressors import RQM, BinomialMechanism

DRAWS = 20_000


def by_subsets(x, clip, margin, keep, m):
    """The pmf of the levels, over all subsets of the inner ones."""
    levels, pmf = np.linspace(-clip - margin, clip + margin, m), np.zeros(m)
    for inner in itertools.product([False, True], repeat=m - 2):
        kept = np.flatnonzero([True, *inner, True])
        chance = np.prod([keep if one else 1 - keep for one in inner])
        above = kept[levels[kept] > x + 1e-12][0] if x < levels[-1] else kept[-1]
        below = kept[levels[kept] <= x + 1e-12][-1]
        share = (x - levels[below]) / (levels[above] - levels[below]) if above != below else 0.0
        pmf[above] += chance * share
        pmf[below] += chance * (1 - share)
    return levels, pmf


def fits(counts, chances):
    """A chi-squared test of counts of draws, and nothing where nothing can be."""
    expected = counts.sum() * chances
    some = expected > 1e-9
    assert counts[~some].sum() == 0
    return np.sum((counts - expected)[some] ** 2 / expected[some]) < chi2.ppf(1 - 1e-6, max(some.sum() - 1, 1))


def test_the_pmf_of_random_levels_is_an_enumeration_and_unbiased():
    how = {"clip": 1.0, "margin": 0.5, "keep": 0.42}
    for x in (-1.0, -0.37, 0.0, 0.375, 1.0):
        levels, pmf = by_subsets(x, 1.0, 0.5, 0.42, 9)
        found = privacy.rqm_pmf(x, levels=9, **how)
        np.testing.assert_allclose(found, pmf, atol=1e-14)
        np.testing.assert_allclose([found.sum(), found @ levels], [1, x], atol=1e-12)
    p, q = (by_subsets(x, 1.0, 0.5, 0.42, 9)[1] for x in (1.0, -1.0))
    orders = [1.5, 2.0, 5.0]
    told = [privacy.rqm_renyi(order, levels=9, **how) for order in orders]
    np.testing.assert_allclose(told, [np.log(np.sum(p**a * q ** (1 - a))) / (a - 1) for a in orders])
    assert np.all(np.diff(told) > 0)
    less, more = privacy.rqm_renyi(2.0, levels=9, margin=0.8), privacy.rqm_renyi(2.0, levels=9, keep=0.6)
    assert less < told[1] < more and privacy.rqm_renyi(2.0, levels=9, keep=1.0) == np.inf


def test_random_levels_are_drawn_with_these_probabilities():
    codec = RQM(1.0, 0.5, 0.42, levels=9)
    run = jax.jit(lambda codec, x, key: codec((), x, key))
    for x in (-0.37, 1.4):
        sent, _, bits = run(codec, {"x": jnp.full(DRAWS, x), "seed": jnp.int32(3)}, jax.random.key(1))
        places = np.rint((np.asarray(sent["x"]) + 1.5) / 3 * 8).astype(int)
        np.testing.assert_allclose(sent["x"], places * 3 / 8 - 1.5, atol=1e-6)
        assert fits(np.bincount(places, minlength=9), by_subsets(min(x, 1.0), 1.0, 0.5, 0.42, 9)[1])
        assert float(bits) == 4 * DRAWS + 32 and int(sent["seed"]) == 3
    # All levels kept: to the nearest two; none: to the ends.
    x = jnp.linspace(-1, 1, 50)
    assert float(jnp.abs(run(codec.replace(keep=1.0), x, jax.random.key(2))[0] - x).max()) <= 3 / 8
    assert set(np.unique(run(codec.replace(keep=0.0), x, jax.random.key(2))[0])) == {-1.5, 1.5}


def test_binomial_noise_is_binomial_and_unbiased():
    for levels, trials in ((5, 10), (5, 70)):
        codec = BinomialMechanism(2.0, levels=levels, trials=trials)
        sent, _, bits = jax.jit(lambda codec, x: codec((), x, jax.random.key(4)))(codec, jnp.full(DRAWS, 0.3))
        step = 4 / (levels - 1)
        numbers = np.rint((np.asarray(sent) + 2) / step + trials / 2).astype(int)
        low = int(2.3 / step)
        up = 2.3 / step - low
        chances = np.zeros(levels + trials)
        chances[low : low + trials + 1] += (1 - up) * binom.pmf(np.arange(trials + 1), trials, 0.5)
        chances[low + 1 : low + trials + 2] += up * binom.pmf(np.arange(trials + 1), trials, 0.5)
        chances[chances < 1e-7] = 0
        keep = (chances * DRAWS > 1)[numbers]
        assert keep.mean() > 0.99 and fits(np.bincount(numbers[keep], minlength=len(chances)), _given(chances))
        variance = step**2 * (trials / 4 + up * (1 - up))
        assert abs(np.mean(sent) - 0.3) < 5 * (variance / DRAWS) ** 0.5 and abs(np.var(sent) / variance - 1) < 0.05
        assert float(bits) == (levels + trials - 1).bit_length() * DRAWS
    quiet = BinomialMechanism(2.0, levels=3, trials=0)
    np.testing.assert_allclose(quiet((), jnp.array([-3.0, 0.0, 2.0]), jax.random.key(0))[0], [-2, 0, 2])


def _given(chances):
    """The chances of what is expected once at least, given that it is one of them."""
    some = np.where(chances * DRAWS > 1, chances, 0)
    return some / some.sum()
