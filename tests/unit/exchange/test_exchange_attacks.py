"""Attacks against NumPy: the lie, who tells it, and to what mean it leads."""

import attack_beds as beds
import jax
import numpy as np
import pytest
import scipy.stats

from jdl.exchange import (
    ALIE,
    DMPA,
    Constant,
    Gaussian,
    InnerProduct,
    Mimic,
    MinMax,
    MinSum,
    ModelReplacement,
    Sybil,
    Zero,
)
from jdl.exchange.attacks.alie import largest_z

ATTACKS = {
    "zero": Zero(),
    "constant": Constant(-2.5),
    "gaussian": Gaussian(100.0, 0.5),
    "alie": ALIE(),
    "alie of z": ALIE(1.5, sign=1.0, ddof=0),
    "sparse alie": ALIE(2.0, share=0.5),
    "inner product": InnerProduct(0.7),
    "sparse inner product": InnerProduct(0.7, share=0.4, attack_seed=None),
    **{f"min max {way}": MinMax(way) for way in ("unit", "std", "sign")},
    **{f"min sum {way}": MinSum(way) for way in ("unit", "std", "sign")},
    "min sum of the least": MinSum("unit", least=True),
    "mimic of 5": Mimic(5),
    "mimic": Mimic(),
    "replacement": ModelReplacement(),
    "boost": ModelReplacement(7.0),
    "bounded boost": ModelReplacement(7.0, norm=2.0),
    "sybil": Sybil(),
    "noisy sybil": Sybil(0.1),
    "dmpa": DMPA(),
}
# Each liar lies in its own way.
EACH = {"gaussian", "replacement", "boost", "bounded boost", "noisy sybil"}


@pytest.fixture(scope="module", params=["server", "peers"])
def told(request):
    """The messages, and what each attack makes of them."""
    sent = beds.messages()
    return sent, beds.sent(ATTACKS, beds.wire(request.param, sent))


@pytest.fixture(scope="module")
def lies(told):
    """What each attack says, [7]; liars that send the same say it once."""
    sent, found = told
    each = {name: beds.flat(message)[beds.LIARS] for name, message in found.items()}
    return beds.rows(sent), each


def test_only_rows_of_liars_change_and_whole_numbers_never(told):
    sent, found = told
    for name, message in found.items():
        assert np.array_equal(message["k"], sent["k"]), name
        kept = zip(beds.flat(message)[~beds.LIARS], beds.flat(sent)[~beds.LIARS], strict=True)
        assert all(np.array_equal(*pair, equal_nan=True) for pair in kept), name
        changed = beds.flat(message)[beds.LIARS] != beds.flat(sent)[beds.LIARS]
        assert np.all(changed) or (name == "sybil" and not changed[0].any() and np.all(changed[1:])), name


def test_all_liars_say_the_same_but_where_each_has_a_lie_of_its_own(lies):
    for name, said in lies[1].items():
        assert (name in EACH) != np.array_equal(said, np.broadcast_to(said[:1], said.shape)), name


def test_lies_that_need_no_witness(lies):
    _, said = lies
    assert not said["zero"].any() and np.all(said["constant"] == -2.5)
    assert np.all(np.abs(said["gaussian"] - 100) < 0.5 * 4.5) and said["gaussian"].std() > 0.1


def test_a_little_is_enough_and_the_mean_shifts_by_its_share(lies):
    honest, said = lies
    mean, sd = honest.mean(axis=0), honest.std(axis=0, ddof=1)
    h, f = len(honest), 2  # of three liars one is silent
    z = scipy.stats.norm.ppf((h - (np.floor((h + f) / 2 + 1) - f)) / h)
    np.testing.assert_allclose(said["alie"][0], mean - z * sd, rtol=2e-5)
    np.testing.assert_allclose(said["alie of z"][0], mean + 1.5 * honest.std(axis=0), rtol=2e-5)
    total = (honest.sum(axis=0) + f * said["alie"][0]) / (h + f)
    np.testing.assert_allclose(total - mean, -z * f / (h + f) * sd, rtol=1e-4, atol=1e-6)


def test_z_of_the_paper():
    """Fifty workers of which twelve lie: fourteen supporters are needed, and 24 of 38 others lie below z."""
    z = jax.jit(largest_z)
    liars = np.arange(50) < 12
    assert float(z(~liars, liars)) == pytest.approx(scipy.stats.norm.ppf(24 / 38), abs=1e-5)
    assert float(z(~liars, liars)) == pytest.approx(0.336, abs=5e-4)
    many = np.arange(50) < 40
    assert np.isfinite(float(z(~many, many))) and np.isfinite(float(z(liars & False, liars)))


def test_inner_product_turns_the_mean(lies):
    honest, said = lies
    mean, h, f = honest.mean(axis=0), len(honest), 2
    np.testing.assert_allclose(said["inner product"][0], -0.7 * mean, rtol=2e-5)
    total = (honest.sum(axis=0) + f * said["inner product"][0]) / (h + f)
    np.testing.assert_allclose(total, (h - f * 0.7) / (h + f) * mean, rtol=2e-5, atol=1e-6)


def test_sparse_lies_are_the_lie_or_the_mean(lies):
    honest, said = lies
    mean, sd = honest.mean(axis=0), honest.std(axis=0, ddof=1)
    for name, lie in (("sparse alie", mean - 2 * sd), ("sparse inner product", -0.7 * mean)):
        hit = np.isclose(said[name][0], lie, rtol=1e-4)
        assert 0 < hit.sum() < hit.size, name
        np.testing.assert_allclose(said[name][0][~hit], mean[~hit], rtol=1e-4)


DIRECTIONS = {
    "unit": lambda x: -x.mean(axis=0) / np.linalg.norm(x.mean(axis=0)),
    "std": lambda x: -x.std(axis=0, ddof=1),
    "sign": lambda x: -np.sign(x.mean(axis=0)),
}


def halved(allowed):
    """The largest number that is allowed, by halving an interval, as the paper's authors do."""
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return low


@pytest.mark.parametrize("way", DIRECTIONS)
def test_largest_gamma_as_found_by_bisection_and_the_constraint_is_active(lies, way):
    honest, said = lies
    mean, p = honest.mean(axis=0), DIRECTIONS[way](honest)
    squares = np.square(honest[:, None] - honest[None]).sum(axis=2)
    to = lambda y: np.square(honest - y).sum(axis=1)
    for name, measure, bound in (
        (f"min max {way}", lambda y: to(y).max(), squares.max()),
        (f"min sum {way}", lambda y: to(y).sum(), squares.sum(axis=1).max()),
        ("min sum of the least", lambda y: to(y).sum(), squares.sum(axis=1).min()),
    ):
        if name.endswith("least") and way != "unit":
            continue
        gamma = halved(lambda gamma, measure=measure, bound=bound: measure(mean + gamma * p) <= bound)
        assert gamma > 0.01
        np.testing.assert_allclose(said[name][0], mean + gamma * p, rtol=1e-4, atol=1e-5)
        assert measure(said[name][0]) == pytest.approx(bound, rel=1e-5)


def test_a_mimic_says_what_another_says(told):
    sent, found = told
    assert np.array_equal(beds.flat(found["mimic of 5"])[beds.LIARS][0], beds.flat(sent)[5])
    whom = np.all(beds.flat(sent) == beds.flat(found["mimic"])[beds.LIARS][:1], axis=1)
    assert np.flatnonzero(whom).size == 1 and beds.HONEST[np.flatnonzero(whom)[0]]


def test_a_boosted_change_replaces_the_mean(told, request):
    """Of eight messages two lie; to a server a change is the message, among peers it is what differs from the mean."""
    sent, found = told
    server = request.node.callspec.params["told"] == "server"
    honest, own = beds.rows(sent), beds.flat(sent)[[2, 6]]
    centre = 0 if server else honest.mean(axis=0)
    count = len(honest) + 2
    for name, boost in (("replacement", count / 2), ("boost", 7.0)):
        said = beds.flat(found[name])[[2, 6]]
        np.testing.assert_allclose(said, centre + boost * (own - centre), rtol=1e-4, atol=1e-5)
    said = beds.flat(found["bounded boost"])[[2, 6]] - centre
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 2, rtol=1e-5)
    np.testing.assert_allclose(said / 2, (own - centre) / np.linalg.norm(own - centre, axis=1)[:, None], atol=1e-5)
    at_x = (len(honest) * centre + beds.flat(found["replacement"])[[2, 6]].sum(axis=0)) / count
    np.testing.assert_allclose(at_x, own.mean(axis=0), rtol=1e-4, atol=1e-5)  # all others at x: the mean of x_bad


def test_sybils_of_one_mind_and_the_reflected_mean(told):
    sent, found = told
    own = beds.flat(sent)[[2, 6]]
    np.testing.assert_array_equal(beds.flat(found["sybil"])[[2, 6]], own[[0, 0]])
    noise = beds.flat(found["noisy sybil"])[[2, 6]] - own[0]
    assert 0.02 < noise.std() < 0.3 and np.all(noise[0] != noise[1])
    unit = own / np.linalg.norm(own, axis=1)[:, None]
    values, vectors = np.linalg.eigh(unit @ unit.T)
    p = vectors[:, -1] @ unit
    p /= np.linalg.norm(p)
    said = beds.flat(found["dmpa"])[2]
    np.testing.assert_allclose(said, np.mean(own - 2 * (own @ p)[:, None] * p, axis=0), rtol=1e-4, atol=1e-5)
    assert values[-1] > 1 and np.linalg.norm(said) <= np.linalg.norm(own, axis=1).max()


def test_nobody_lies_and_no_bit_changes():
    sent = beds.messages()
    everybody = beds.sent(ATTACKS, beds.wire("server", sent, honest=np.ones(beds.NODES, bool)))
    for name, message in everybody.items():
        for one, other in zip(jax.tree.leaves(message), jax.tree.leaves(sent), strict=True):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes(), name


def test_strengths_side_by_side():
    """A sweep over a number of an attack is a `vmap`."""
    wire, strengths = beds.wire("server", beds.messages()), np.array([0.5, 2.0], np.float32)
    said = beds.quick(
        jax.vmap(lambda x: InnerProduct(x, inner=beds.Listening()).apply(((), ()), wire, beds.KEY)[0].sent)
    )(strengths)
    mean = beds.rows(wire.sent).mean(axis=0)
    for strength, one in zip(strengths, [beds.flat({k: x[i] for k, x in said.items()}) for i in (0, 1)], strict=True):
        np.testing.assert_allclose(one[2], -strength * mean, rtol=2e-5)


def test_with_nobody_to_watch_liars_say_numbers():
    """A round in which no honest node sends has no mean; what is said then is finite."""
    sent = beds.messages(silent=beds.SILENT & False)
    alone = beds.wire("server", sent, honest=np.arange(beds.NODES) == 11)
    assert all(np.isfinite(beds.flat(message)).all() for message in beds.sent(ATTACKS, alone).values())


def test_attacks_in_one_network_draw_apart():
    """Else the noise of the sybils would be the noise of what they repeat, once more."""
    wire = beds.wire("peers", beds.messages())
    noise = Gaussian(0.0, 1.0)
    first = beds.flat(beds.heard(noise, wire)[0].sent)[beds.LIARS]
    both = noise.replace(inner=Sybil(1.0, inner=beds.Listening()))
    heard = beds.quick(lambda wire: both.apply(both.init(wire.own), wire, beds.KEY)[0])(wire)
    again = beds.flat(heard.sent)[beds.LIARS] - first[0]
    assert abs(np.corrcoef(again[0], first[0])[0, 1]) < 0.99
