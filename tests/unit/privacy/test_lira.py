"""The likelihood-ratio attack on drawn confidences: against scipy, closed forms of areas, and guessing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

import jdl
from jdl import privacy
from jdl.checks import InputError


def drawn(rng, shadows, examples, told, spread):
    """Confidences of a target and of shadow models: difficulty of the example + told if a member + N(0, 1)."""
    inside = np.argsort(rng.random((shadows, examples)), axis=0) < shadows // 2
    member, hard = rng.random(examples) < 0.5, spread * rng.standard_normal(examples)
    of = lambda there: hard + told * there + rng.standard_normal(there.shape)
    return of(member), of(inside), inside, member


def split(scores, member):
    return scores[member], scores[~member]


def test_curves_are_those_of_another_library():
    rng = np.random.default_rng(0)
    scores, member = np.round(rng.standard_normal(300), 1), rng.random(300) < 0.3  # with ties
    false, true = privacy.roc(*split(scores, member))
    expected = roc_curve(member, scores, drop_intermediate=False)
    np.testing.assert_allclose([false, true], expected[:2], atol=1e-12)
    np.testing.assert_allclose(privacy.area(*split(scores, member)), roc_auc_score(member, scores), atol=1e-12)
    for low in (0.0, 0.001, 0.01, 0.2, 1.0):
        every = [np.mean(scores[member] >= x) for x in scores if np.mean(scores[~member] >= x) <= low]
        assert privacy.true_rate(*split(scores, member), low) == pytest.approx(max(every, default=0))
    assert privacy.area(np.array([np.nan]), np.array([-1e9])) == 0
    with pytest.raises(InputError, match="0 members"):
        privacy.roc(np.zeros(0), np.ones(2))


def test_confidences_are_logits_of_probabilities():
    p = np.array([0.9, 0.5, 1e-9])
    np.testing.assert_allclose(privacy.log_odds(-np.log(p)), np.log(p / (1 - p)), rtol=1e-12)
    ends = privacy.log_odds(np.array([0.0, 1e-9, np.inf, np.nan], np.float32))
    assert np.isfinite(ends).all() and ends[0] == ends[1] > 16 and ends[2] == ends[3] < -100


def test_scores_are_those_of_gaussians_fitted_one_by_one():
    rng = np.random.default_rng(1)
    phi, shadows, inside, _ = drawn(rng, 12, 20, 1.0, 2.0)
    of = lambda which, fixed: privacy.lira_scores(phi, shadows, inside, which, fixed)
    ins, outs = ([shadows[which[:, k], k] for k in range(20)] for which in (inside, ~inside))
    for fixed in (False, True):
        wide = [np.sqrt(np.mean([np.var(x) for x in found])) if fixed else None for found in (ins, outs)]
        for k in range(20):
            with_, without = (
                norm(np.median(x), std or np.std(x)) for x, std in zip((ins[k], outs[k]), wide, strict=True)
            )
            np.testing.assert_allclose(of("online", fixed)[k], with_.logpdf(phi[k]) - without.logpdf(phi[k]))
            # The paper's one-sided 1 - Pr[Z > phi] is the distribution function of the score.
            np.testing.assert_allclose(ndtr(of("offline", fixed)[k]), without.cdf(phi[k]))
    np.testing.assert_array_equal(of("threshold", False), phi)
    with pytest.raises(InputError, match="1 shadow models with it"):
        privacy.lira_scores(phi[:1], np.zeros((3, 1)), np.array([[1], [0], [0]]))
    with pytest.raises(InputError, match="variant"):
        of("on line", False)


def test_areas_are_those_of_two_gaussians():
    """With many shadow models difficulty drops out, which one threshold for all examples does not know."""
    rng, told, spread, count = np.random.default_rng(2), 2.0, 5.0, 4000
    phi, shadows, inside, member = drawn(rng, 200, count, told, spread)
    auc = {v: privacy.area(*split(privacy.lira_scores(phi, shadows, inside, v, True), member)) for v in privacy.LIRA}
    deviation = 1 / np.sqrt(3 * count)  # of an area of two samples of half the size, at most sqrt(1 / (12 (n / 4)))
    known = ndtr(told / np.sqrt(2))
    assert abs(auc["online"] - known) < 4 * deviation and abs(auc["offline"] - known) < 4 * deviation
    assert abs(auc["threshold"] - ndtr(told / np.sqrt(2 * (1 + spread**2)))) < 4 * deviation


def test_without_a_signal_it_guesses():
    rng, count = np.random.default_rng(3), 4000
    phi, shadows, inside, member = drawn(rng, 16, count, 0.0, 3.0)
    for variant in privacy.LIRA:
        for fixed in (False, True):
            scores = privacy.lira_scores(phi, shadows, inside, variant, fixed)
            assert abs(privacy.area(*split(scores, member)) - 0.5) < 4 / np.sqrt(3 * count)


def test_halves_of_a_pair_are_complements():
    problem = jdl.problems.digits(nodes=5)
    rows, counts = np.asarray(problem.indices), np.asarray(problem.num_examples)
    with pytest.raises(InputError, match="table"):
        privacy.halves(jdl.problems.quadratic(2))
    of = privacy.halves(problem)
    first, second, third = (of(seed=seed) for seed in (6, 7, 8))
    for i, count in enumerate(counts):
        kept = [np.asarray(one.indices)[i, : one.num_examples[i]] for one in (first, second, third)]
        assert sorted([*kept[0], *kept[1]]) == sorted(rows[i, :count]) and len(kept[0]) == count // 2
        assert set(kept[0]) != set(kept[2])
    assert jax.tree.structure(first) == jax.tree.structure(problem)
    assert [x.shape for x in jax.tree.leaves(first)] == [x.shape for x in jax.tree.leaves(problem)]


class Ran:
    """What an attack reads of a result."""

    def __init__(self, seed, problem, models):
        self.seed, self.models = seed, models
        self.simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(), jdl.topology.ring(problem.n), seed=seed)


def test_an_attack_on_runs_reads_their_models_and_halves():
    """Against losses, halves and Gaussians in NumPy, of models drawn at random."""
    from jdl.runs.shadows import lira

    rng, n, seeds = np.random.default_rng(4), 3, range(6)
    problem = jdl.problems.digits(nodes=n, hidden=0)
    shapes = jax.eval_shape(problem.init, jax.random.key(0))
    draw = lambda: jax.tree.map(lambda x: jnp.asarray(0.2 * rng.standard_normal((n, *x.shape)), x.dtype), shapes)
    ran = [Ran(seed, privacy.halves(problem)(seed=seed), draw()) for seed in seeds]
    found, plain = lira(ran, problem, "online", True), lira(ran, problem, "threshold")
    x, y = (np.asarray(leaf, float) for leaf in (problem.train_x, problem.train_y))

    def confidence(models, j, rows):
        bias, kernel = (np.asarray(leaf, float)[j] for leaf in jax.tree.leaves(models))
        odds = np.exp(x[rows].reshape(len(rows), -1) @ kernel + bias)
        right = odds[np.arange(len(rows)), y[rows].astype(int)]
        return np.log(right) - np.log(odds.sum(axis=1) - right)

    for i, j in ((0, 0), (2, 1)):
        rows = np.asarray(problem.indices)[i, : problem.num_examples[i]]
        phi = np.stack([confidence(one.models, j, rows) for one in ran])
        halves = [one.simulation.problem for one in ran]
        kept = np.stack([np.isin(rows, np.asarray(half.indices)[i, : half.num_examples[i]]) for half in halves])
        scores = [privacy.lira_scores(phi[t], phi[2:], kept[2:], "online", True) for t in (0, 1)]
        member = np.concatenate(kept[:2])
        np.testing.assert_allclose(found.auc[i, j], roc_auc_score(member, np.concatenate(scores)), atol=1e-3)
        np.testing.assert_allclose(plain.auc[i, j], roc_auc_score(member, np.concatenate(phi[:2])), atol=1e-3)
        np.testing.assert_allclose(np.trapezoid(*reversed(found.roc(i, j))), found.auc[i, j])
    assert np.all(found.at_per_mille <= found.at_percent) and np.all(found.at_percent <= 1)
    with pytest.raises(InputError, match="three pairs"):
        lira(ran[:5], problem)
    with pytest.raises(InputError, match="other data"):
        lira(ran, jdl.problems.digits(nodes=n, hidden=0, seed=5))


@pytest.mark.slow
def test_a_model_that_memorises_is_told_better_than_by_one_threshold():
    problem = jdl.problems.digits(nodes=8, hidden=0)
    problem = problem.replace(num_examples=jnp.minimum(problem.num_examples, 24), indices=problem.indices[:, :24])
    how = {"topology": jdl.topology.ring(8), "rounds": 200, "eval_every": 200, "progress": False}
    results = jdl.run(privacy.halves(problem), jdl.algorithms.DPSGD(lr=1.0), seeds=34, **how)
    own = np.eye(8, dtype=bool)
    online, offline, plain = (results.lira(problem, v, True, targets=8) for v in privacy.LIRA)
    # The mean over 8 nodes of areas of 24 examples in 8 runs: one standard deviation is below 0.02.
    assert online.auc[own].mean() > 0.75 and online.at_percent[own].mean() > 5 * plain.at_percent[own].mean()
    for attack in (online, offline):
        assert attack.auc[own].mean() > plain.auc[own].mean() + 0.1
        assert attack.auc[own].mean() > attack.auc[~own].mean() > plain.auc[~own].mean() + 0.1
