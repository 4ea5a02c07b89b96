"""Messages under way for several rounds, against a list of messages in NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import step
from flax import struct

import jdl
from jdl import checks, sim
from jdl.compressors import ErrorFeedback, TopK
from jdl.exchange import CoordinateMedian, Fragments, Lossy
from jdl.types import Mail, Plan, Slots, static

N, M, K, PLACES, ROUNDS = 7, 4, 2, 5, 14


@struct.dataclass
class Mailed:
    """A plan of acts that a test has drawn."""

    node: Any
    posts: Any
    copies: Any
    reads: Any
    used: Any
    speakers: Any
    active: Any
    n: int = static(N)
    places: int = static(PLACES)
    sums: bool = static(False)

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        used, share = self.used[t], 0.3 if not self.sums else 0.5
        weights = jnp.where(used, share, 0.0)
        own = jnp.broadcast_to(jnp.arange(M, dtype=jnp.int32)[:, None], used.shape)
        kept = jnp.where(self.copies[t] > 0, 0.5, 1.0) if self.sums else 1 - weights.sum(1)
        return Plan(
            Slots(weights, used, own, speakers=self.speakers[t]),
            kept,
            active=self.active[t],
            mail=Mail(self.posts[t], self.copies[t], self.reads[t], PLACES),
            participants=self.node[t],
            stochastic="column" if self.sums else "row",
        ), memory


def drawn(sums=False, seed=0):
    """Random acts, among which messages are read twice, never, or in the round in which their place is used again."""
    rng = np.random.default_rng(seed)
    filled = np.full(PLACES, -1)
    rows: dict = {name: [] for name in ("node", "posts", "copies", "reads", "used", "speakers", "active")}
    for _ in range(ROUNDS):
        node = rng.permutation(N)[:M]
        active = rng.random(M) < 0.8
        reads = rng.integers(0, PLACES, (M, K))
        used = (filled[reads] >= 0) & (rng.random((M, K)) < 0.6) & active[:, None]
        speakers = np.where(used, filled[reads], node[:, None])
        if sums:  # each message is read by one
            for place in range(PLACES):
                readers = np.argwhere((reads == place) & used)
                used[tuple(readers[1:].T)] = False
                filled[place] = filled[place] if not len(readers) else -1
        places = [p for p in rng.permutation(PLACES) if not sums or filled[p] < 0]
        posts = np.full(M, PLACES)
        for row in np.flatnonzero(active & (rng.random(M) < 0.7))[: len(places)]:
            posts[row] = places.pop()
            filled[posts[row]] = node[row]
        copies = np.where(posts < PLACES, 1.0 if sums else rng.integers(1, 4, M), 0.0)
        for name, value in zip(rows, (node, posts, copies, reads, used, speakers, active), strict=True):
            rows[name].append(value)
    kinds = {"copies": jnp.float32, "used": bool, "active": bool}
    return Mailed(*(jnp.asarray(np.stack(x), kinds.get(name, jnp.int32)) for name, x in rows.items()), sums=sums)


def executed(plan, algorithm, network=(), start=None):
    problem = jdl.problems.quadratic(N, dim=3, seed=2)
    s = jdl.simulation(problem, algorithm, plan, network)
    state = sim.init(s, start)
    states = [state]
    for _ in range(ROUNDS):
        states.append(step(s, states[-1])[0])
    return problem, states


START = jax.random.normal(jax.random.key(5), (N, 3))
HOST = {name: np.asarray(x) for name, x in vars(drawn()).items() if hasattr(x, "shape")}


def acts(t, plan):
    for row in range(M):
        if plan["active"][t, row]:
            places = plan["reads"][t, row][plan["used"][t, row]]
            yield int(plan["node"][t, row]), places, int(plan["posts"][t, row]), plan["copies"][t, row]


def by_hand(problem, x, plan, combine, step_of):
    """One act at a time; what is posted in a round waits until its end."""
    waits, sent = [None] * PLACES, np.zeros(N)
    for t in range(ROUNDS):
        posted = []
        for i, places, post, copies in acts(t, plan):
            message, after = step_of(problem, x[i], i)
            if post < PLACES:
                posted.append((post, message))
            sent[i] += copies * 96
            x[i] = combine(after, [waits[p] for p in places])
        for place, message in posted:
            waits[place] = message
    return x, sent


def gradient(problem, x, i):
    return np.asarray(problem.A[i]) @ x - np.asarray(problem.b[i])


@pytest.mark.parametrize("rule", ["mean", "median"])
def test_what_waits_is_read_rounds_later_and_counted_once(rule):
    combine = {
        "mean": lambda x, heard: x + sum((0.3 * (y - x) for y in heard), np.zeros(3)),
        "median": lambda x, heard: np.median([x, *heard], axis=0),
    }[rule]
    adapt = lambda problem, x, i: (x - 0.1 * gradient(problem, x, i),) * 2
    network = [] if rule == "mean" else [CoordinateMedian()]
    problem, states = executed(drawn(), jdl.algorithms.DPSGD(lr=0.1), network, START)
    expected, sent = by_hand(problem, np.array(START), HOST, combine, adapt)
    np.testing.assert_allclose(states[-1].nodes.x, expected, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(states[-1].traffic.bits[0], sent)


def test_links_fail_when_messages_are_read():
    """All are lost: everybody takes steps alone, and what is sent is counted."""
    problem, states = executed(drawn(), jdl.algorithms.DPSGD(lr=0.1), [Lossy(1.0)], START)
    alone = lambda x, heard: x
    adapt = lambda problem, x, i: (x - 0.1 * gradient(problem, x, i),) * 2
    expected, sent = by_hand(problem, np.array(START), HOST, alone, adapt)
    np.testing.assert_allclose(states[-1].nodes.x, expected, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(states[-1].traffic.bits[0], sent)


def test_masses_of_push_sum_are_kept_by_nodes_and_messages_together():
    plan = drawn(sums=True, seed=1)
    _, states = executed(plan, jdl.algorithms.PushSum(lr=0.0), start=START)
    host = {name: np.asarray(x) for name, x in vars(plan).items() if hasattr(x, "shape")}
    waiting = np.zeros(PLACES, bool)
    for t, state in enumerate(states):
        under_way = 0.5 * np.asarray(state.exchange_state[0].message.content["w"])[waiting].sum()
        np.testing.assert_allclose(state.nodes.w.sum() + under_way, N, rtol=1e-5)
        if t < ROUNDS:
            for row in range(M):
                waiting[host["reads"][t, row][host["used"][t, row]]] = False
            for row in range(M):
                if host["posts"][t, row] < PLACES:
                    waiting[host["posts"][t, row]] = True
    assert waiting.any()


def test_what_a_codec_left_out_is_kept_until_its_node_posts_again():
    """An act that only reads sends nothing, and leaves the memory of its node as it is."""
    problem, states = executed(drawn(), jdl.algorithms.DPSGD(lr=0.1), [ErrorFeedback(TopK(0.1))], START)
    x, rest, waits = np.array(START), np.zeros((N, 3), np.float32), [None] * PLACES
    for t in range(ROUNDS):
        posted = []
        for i, places, post, _ in acts(t, HOST):
            x[i] -= 0.1 * gradient(problem, x[i], i)
            if post < PLACES:
                total = x[i] + rest[i]
                sent = np.where(np.arange(3) == np.argmax(abs(total)), total, 0)
                rest[i] = total - sent
                posted.append((post, sent))
            x[i] += sum((0.3 * (waits[p] - x[i]) for p in places), np.zeros(3))
        for place, message in posted:
            waits[place] = message
    np.testing.assert_allclose(states[-1].nodes.x, x, rtol=2e-5, atol=2e-6)
    copies = np.zeros(N)
    np.add.at(copies, HOST["node"], HOST["copies"])
    assert len(np.unique(states[-1].traffic.bits[0][copies > 0] / copies[copies > 0])) == 1


@pytest.mark.parametrize(
    ("method", "network", "sums"),
    [("DPSGD", [Fragments()], False), ("PushSum", [Lossy(0.1)], True), ("PushSum", [], False), ("D2", [], False)],
)
def test_what_needs_messages_of_this_round_is_refused(method, network, sums):
    problem = jdl.problems.quadratic(N, dim=3, seed=2)
    with pytest.raises(checks.InputError, match=r"at_once|reliable|column_stochastic|symmetric|doubly"):
        jdl.simulation(problem, getattr(jdl.algorithms, method)(), drawn(sums), network)
