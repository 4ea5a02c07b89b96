"""Cycles of graphs: what each phase is, and what the product of a period is."""

import functools
import itertools
import math

import networkx as nx
import numpy as np
import pytest
from plan_reading import all_hold
from scipy.sparse import csr_array

from jdl.checks import InputError
from jdl.topology.cycles.alternating import alternating_exponential_ring
from jdl.topology.cycles.base_k import base_k as make_base_k
from jdl.topology.cycles.base_k import simple_base_k as make_simple_base_k
from jdl.topology.cycles.exponentials import k_peer_exponential, one_peer_exponential
from jdl.topology.cycles.hyper_hypercube import hyper_hypercube, moshpit, one_peer_hypercube
from jdl.topology.cycles.multigraph import multigraph, multigraph_of
from jdl.topology.cycles.switching import switching

# Several tests ask for the same cycles.
base_k, simple_base_k = functools.cache(make_base_k), functools.cache(make_simple_base_k)

CYCLES = [
    *(make(n) for make in (one_peer_exponential, base_k, simple_base_k, multigraph) for n in (1, 2, 3, 7, 12)),
    *(make(n, degree) for make in (base_k, simple_base_k) for n in (1, 2, 3, 7, 12, 23) for degree in (2, 4, 30)),
    *(k_peer_exponential(n, degree) for n in (1, 2, 3, 7, 9, 16) for degree in (1, 2, 3, 20)),
    *(one_peer_hypercube(n) for n in (1, 2, 4, 16)),
    *(hyper_hypercube(n, degree) for n, degree in ((1, 1), (2, 1), (2, 9), (3, 2), (12, 2), (30, 4), (30, 50))),
    *(moshpit(n, degree) for n, degree in ((1, None), (1, 4), (2, 1), (3, 2), (27, 2), (16, None), (8, None))),
    *(alternating_exponential_ring(n, local) for n, local in ((1, 1), (2, 1), (8, 1), (5, 5), (12, 3), (16, 2))),
    *(switching(n, degree, seed=1) for n, degree in ((1, 0), (2, 1), (3, 2), (9, 4), (10, 3))),
]


def product(cycle, start):
    """What is left of `start: [n, ...]` after one period."""
    return functools.reduce(lambda x, phase: phase.weights @ x, cycle, start)


def prime_factors(n):
    found, factor = [], 2
    while n > 1:
        while n % factor == 0:
            found.append(factor)
            n //= factor
        factor += 1
    return found


def test_every_phase_is_what_it_claims():
    def check(cycle):
        assert len({phase.n for phase in cycle}) == 1
        name = cycle[0].name.split(",")[0]
        for place, phase in enumerate(cycle):
            assert phase.name == f"{name}, phase {place + 1} of {len(cycle)}"
            W = phase.weights.toarray()
            assert phase.stochastic == "doubly" and W.shape == (phase.n, phase.n) and W.min() >= 0
            np.testing.assert_allclose(W.sum(axis=0), 1, rtol=0, atol=1e-14)
            np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)
            assert phase.symmetric == np.array_equal(W, W.T)
            assert W.diagonal().min() > 0
            np.testing.assert_array_equal(phase.degree, (W * (1 - np.eye(phase.n)) != 0).sum(axis=1))
            if phase.spectrum is not None and phase.symmetric:
                np.testing.assert_allclose(np.sort(phase.spectrum()), np.linalg.eigvalsh(W), rtol=0, atol=1e-12)

    all_hold(check, {f"{i}: {cycle[0]!r}": (cycle,) for i, cycle in enumerate(CYCLES)})


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [base_k, simple_base_k])
def test_base_k_averages_exactly(make, degree):
    for n in range(1, 100):
        cycle = make(n, degree)
        np.testing.assert_allclose(product(cycle, np.eye(n)), 1 / n, rtol=0, atol=1e-12)
        for phase in cycle:
            assert phase.degree.max() <= degree and phase.symmetric
            assert (phase.weights != phase.weights.T).nnz == 0
            np.testing.assert_allclose(phase.weights.sum(axis=0), 1, rtol=0, atol=1e-14)
        assert len(cycle) <= 2 * math.log(n) / math.log(degree + 1) + 2


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_base_k_is_never_longer_than_simple_base_k(degree):
    lengths = [(len(base_k(n, degree)), len(simple_base_k(n, degree))) for n in range(1, 100)]
    assert all(base <= simple for base, simple in lengths)
    assert any(base < simple for base, simple in lengths)


@pytest.mark.parametrize("n", [1000, 1023, 4097])
@pytest.mark.parametrize("degree", [1, 2, 7])
def test_base_k_averages_many_nodes(n, degree):
    start = np.random.default_rng(0).standard_normal((n, 3))
    mean = np.broadcast_to(start.mean(axis=0), start.shape)
    for make in (base_k, simple_base_k):
        cycle = make(n, degree)
        np.testing.assert_allclose(product(cycle, start), mean, rtol=0, atol=1e-12)
        assert len(cycle) <= 2 * math.log(n) / math.log(degree + 1) + 2
        assert max(phase.degree.max() for phase in cycle) <= degree


def test_simple_base_2_by_hand():
    # 5 = 4 + 1: a hypercube of four; node 4 exchanges with one of them at weight 4/5, two of the others average; again.
    links = [{tuple(pair) for pair in phase.edges.tolist()} for phase in simple_base_k(5)]
    square = [{(0, 1), (2, 3)}, {(0, 2), (1, 3)}]
    assert links == [*square, {(0, 4), (1, 2)}, *square]
    meeting = simple_base_k(5)[2].weights.toarray()
    np.testing.assert_allclose(meeting[0], [0.2, 0, 0, 0, 0.8], rtol=0, atol=1e-15)
    np.testing.assert_allclose(meeting[1], [0, 0.5, 0.5, 0, 0], rtol=0, atol=1e-15)
    # 5 = 3 + 2 in base 3: a clique and a pair; then 2 of the 3, one a block, meet both others at weight 3/5.
    first, second, *_ = simple_base_k(5, degree=2)
    assert first.edges.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4]]
    np.testing.assert_allclose(second.weights.toarray()[3], [0.6, 0, 0, 0.4, 0], rtol=0, atol=1e-15)


def test_simple_base_3_spreads_its_weight_over_the_blocks():
    # 7 = 2 x 3 + 1: node 6 meets one node of each of two blocks, at weight (6/7) / 2.
    meeting = simple_base_k(7, degree=2)[2].weights.toarray()
    np.testing.assert_allclose(meeting[6], [3 / 7, 0, 0, 3 / 7, 0, 0, 1 / 7], rtol=0, atol=1e-15)


@pytest.mark.parametrize("degree", [1, 2, 3, 5, 7])
def test_hyper_hypercube_is_exact_where_the_primes_allow(degree):
    for n in range(1, 100):
        if max(prime_factors(n), default=1) > degree + 1:
            with pytest.raises(InputError):
                hyper_hypercube(n, degree)
            continue
        cycle = hyper_hypercube(n, degree)
        np.testing.assert_allclose(product(cycle, np.eye(n)), 1 / n, rtol=0, atol=1e-12)
        assert max(phase.degree.max() for phase in cycle) <= degree
        assert all(len(set(phase.degree)) == 1 for phase in cycle)
        assert len(base_k(n, degree)) == len(simple_base_k(n, degree)) == len(cycle)


def test_hyper_hypercube_takes_the_fewest_rounds():
    # 216 = 6 x 6 x 6, where always taking the largest factor gives 8 x 3 x 3 x 3.
    assert [int(phase.degree[0]) for phase in hyper_hypercube(216, degree=7)] == [5, 5, 5]
    reach = {1}
    for rounds in range(1, 5):
        reach = {n * side for n in reach for side in range(1, 9)}
        assert all(len(hyper_hypercube(n, degree=7)) <= rounds for n in reach if n <= 300)


def test_hypercube_pairs_differ_in_one_bit():
    for bit, phase in enumerate(one_peer_hypercube(32)):
        assert all(i ^ j == 2**bit for i, j in phase.edges) and phase.edge_count == 16
    np.testing.assert_allclose(product(one_peer_hypercube(32), np.eye(32)), 1 / 32, rtol=0, atol=1e-15)


def test_exponential_cycles_are_exact_for_powers_alone():
    for n, degree in ((27, 2), (16, 3), (25, 4), (32, 1)):
        cycle = k_peer_exponential(n, degree)
        np.testing.assert_allclose(product(cycle, np.eye(n)), 1 / n, rtol=0, atol=1e-14)
        assert all((phase.degree == degree).all() for phase in cycle)
    for n, degree in ((26, 2), (6, 1), (9, 1)):
        left = np.linalg.norm(product(k_peer_exponential(n, degree), np.eye(n)) - 1 / n, 2)
        assert 1e-3 < left < 1
    for n in (2, 3, 8, 11):
        for one, other in zip(k_peer_exponential(n, 1), one_peer_exponential(n), strict=True):
            assert (one.weights != other.weights).nnz == 0


@pytest.mark.parametrize(("n", "degree", "side"), [(64, 3, 4), (64, 1, 2), (64, None, 8), (27, None, 3), (32, None, 2)])
def test_moshpit_groups_meet_once(n, degree, side):
    cycle = moshpit(n, degree)
    assert len(cycle) == round(math.log(n, side))
    np.testing.assert_allclose(product(cycle, np.eye(n)), 1 / n, rtol=0, atol=1e-14)
    together = sum(phase.groups[:, None] == phase.groups[None, :] for phase in cycle)
    assert all((np.bincount(phase.groups) == side).all() for phase in cycle)
    assert (together - len(cycle) * np.eye(n, dtype=int)).max() == 1  # two nodes share a group in one round at most


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("n", "degree", "period"), [(20, 3, 5), (21, 4, 2), (16, 2, 16), (3, 2, 7)])
def test_switching_is_connected_over_a_period_alone(n, degree, period, seed):
    cycle = switching(n, degree, period, seed)
    assert len(cycle) == period
    edges = [tuple(pair) for phase in cycle for pair in phase.edges.tolist()]
    assert len(edges) == len(set(edges)) == n * degree // 2
    union = nx.Graph(edges)
    assert len(union) == n and nx.is_connected(union) and {d for _, d in union.degree} == {degree}
    counts = [phase.edge_count for phase in cycle]
    assert max(counts) - min(counts) <= 1
    if max(counts) < n - 1:  # too few links to connect n nodes
        assert all(np.linalg.norm(phase.weights.toarray() - 1 / n, 2) > 1 - 1e-12 for phase in cycle)
    assert np.linalg.norm(product(cycle, np.eye(n)) - 1 / n, 2) < 1 - 1e-6


@pytest.mark.parametrize(("n", "local"), [(2, 1), (4, 1), (16, 1), (12, 3), (16, 2)])
def test_pairs_of_machines_meet_in_turn_and_a_period_averages_exactly(n, local):
    """As the authors' loop over machines marks who is taken: the pairs of a bit alternate in the order of machines."""
    cycle, machines = alternating_exponential_ring(n, local), n // local
    assert len(cycle) == 2 * (machines.bit_length() - 1)
    for place, phase in enumerate(cycle):
        distance, taken, joint = 2 ** (place // 2), set(), []
        for machine in range(machines):
            if machine not in taken:
                taken |= {machine, (machine + distance) % machines}
                joint.append({machine, (machine + distance) % machines})
        joint = [pair for count, pair in enumerate(joint) if count % 2 != place % 2]
        for i, j in itertools.product(range(n), repeat=2):
            a, b = i // local, j // local
            met = any({a, b} <= pair for pair in joint)
            size = 2 * local if any(a in pair for pair in joint) else local
            assert phase.weights.toarray()[i, j] == (1 / size if met or a == b else 0)
    np.testing.assert_allclose(product(cycle, np.eye(n)), 1 / n, rtol=0, atol=1e-15)


def test_switching_depends_on_its_seed():
    first, again, other = (switching(20, 3, seed=seed)[0].edges.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_multigraph_of_uses_links_by_their_delay():
    # A ring with delays 2, 5, 6.9, 20: multiplicities 1, 2 (2.5 rounds to even), 3 (3.45), and 4 at most.
    delays = np.zeros((4, 4))
    delays[[0, 1, 2, 3], [1, 2, 3, 0]] = 2, 5, 6.9, 20
    cycle = multigraph_of(delays + delays.T, multiplicity=4)
    assert len(cycle) == 12
    every = {(0, 1): 1, (1, 2): 2, (2, 3): 3, (0, 3): 4}
    for t, phase in enumerate(cycle):
        assert {tuple(pair) for pair in phase.edges.tolist()} == {pair for pair, m in every.items() if t % m == 0}
    # In round 2 the chain 0 - 1 - 2 is left, and node 3 waits for nobody.
    chain = np.array([[2, 1, 0, 0], [1, 1, 1, 0], [0, 1, 2, 0], [0, 0, 0, 3]]) / 3
    np.testing.assert_allclose(cycle[2].weights.toarray(), chain, rtol=0, atol=1e-15)


def test_multigraph_of_one_delay_is_the_graph():
    ring = csr_array(nx.to_scipy_sparse_array(nx.cycle_graph(6)) * 3.0)
    (phase,) = multigraph_of(ring)
    assert phase.edge_count == 6 and (ring.data == 3).all()
    assert len(multigraph(30, multiplicity=1)) == 1


@pytest.mark.parametrize("n", [4, 9, 40])
def test_multigraph_is_a_ring_whose_long_links_rest(n):
    cycle = multigraph(n, multiplicity=3, seed=2)
    overlay = cycle[0]
    assert (overlay.degree == 2).all() and nx.is_connected(nx.Graph(overlay.edges.tolist()))
    positions = overlay.positions
    length_km = {(i, j): np.linalg.norm(positions[i] - positions[j]) for i, j in overlay.edges.tolist()}
    assert 0 < min(length_km.values()) and max(length_km.values()) < 10_000 * math.sqrt(2)
    uses = {pair: sum(list(pair) in phase.edges.tolist() for phase in cycle) for pair in length_km}
    for one, other in itertools.combinations(length_km, 2):
        if length_km[one] < length_km[other]:
            assert uses[one] >= uses[other]
    assert set(uses.values()) <= {len(cycle), len(cycle) // 2, len(cycle) // 3} and max(uses.values()) == len(cycle)
    assert np.linalg.norm(product(cycle, np.eye(n)) - 1 / n, 2) < 1
    assert not np.array_equal(multigraph(n, 3, seed=3)[0].positions, positions)


def line(*delays):
    """Delays of a path with these links."""
    return np.diag(delays, 1) + np.diag(delays, -1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: one_peer_hypercube(7), "got n=7, a hypercube needs a power of two; try n=8, or base_k for any n"),
        (lambda: one_peer_hypercube(6), "try n=8"),
        (lambda: one_peer_hypercube(0), "got n=0, need a whole number of at least 1"),
        (lambda: hyper_hypercube(14, 4), "got n=14 with degree=4, a hyper-hypercube needs n without prime factors"),
        (lambda: hyper_hypercube(14, 4), "above degree + 1 = 5; try n=15, or base_k for any n"),
        (lambda: hyper_hypercube(5), "degree + 1 = 2; try n=4"),
        (lambda: hyper_hypercube(8, 0), "got degree=0, need a whole number of at least 1"),
        (lambda: base_k(8, 0), "got degree=0, need a whole number of at least 1"),
        (lambda: simple_base_k(0), "got n=0, need a whole number of at least 1"),
        (lambda: k_peer_exponential(8, 0), "got degree=0"),
        (lambda: moshpit(10), "a full Moshpit grid needs a perfect power side^tau with tau >= 2; try n=9"),
        (lambda: moshpit(10, degree=3), "got n=10, a full Moshpit grid needs a power of degree + 1 = 4; try n=16"),
        (lambda: switching(8, 3, period=0), "got period=0"),
        (lambda: alternating_exponential_ring(6), "got n=6 with local=1, need local times a power of two; try n=8"),
        (lambda: alternating_exponential_ring(10, 3), "try n=12"),
        (lambda: switching(8, 9), "got degree=9 with n=8"),
        (lambda: multigraph(501), "got n=501, a tour among all pairs of nodes takes n of at most 500; try n=500"),
        (lambda: multigraph(4, multiplicity=0), "got multiplicity=0"),
        (lambda: multigraph_of(np.ones((2, 3))), "got delays of shape (2, 3), need [n, n]"),
        (lambda: multigraph_of(np.triu(line(1, 2))), "got delays that differ both ways"),
        (lambda: multigraph_of(line(1, -2)), "got delays that differ both ways, are below 0"),
        (lambda: multigraph_of(line(1, 2) + np.eye(3)), "or on the diagonal"),
        (lambda: multigraph_of(line(1, 0, 2)), "got delays of a graph that is not connected"),
        (lambda: multigraph_of(line(1, 5, 7, 8, 9, 11), 20), "a period of 27,720 rounds, need at most 2,520"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
