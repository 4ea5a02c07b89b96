"""Outer optimizers (DiLoCo and its kin) against their recursions in plain NumPy, and against each other in limits."""

import functools

import beds
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

import jdl
from jdl.algorithms.outer.diloco import DiLoCo
from jdl.algorithms.outer.dilocox import DiLoCoX
from jdl.algorithms.outer.eager_diloco import EagerDiLoCo
from jdl.algorithms.outer.gossip_diloco import GossipDiLoCo
from jdl.algorithms.outer.streaming_diloco import StreamingDiLoCo
from jdl.compressors import Identity, TopK
from jdl.engine import sim as simulator
from jdl.schedule import Fixed, matching, sampling
from jdl.schedule.workers import workers
from jdl.topology import complete, from_weights

pytestmark = pytest.mark.usefixtures("x64")
ROUNDS, LR, H, OUTER, MU = 60, 0.05, 3, 0.6, 0.8
INNER = {"lr": LR, "local_steps": H, "optimizer": "sgd"}
COMMON = {**INNER, "outer_lr": OUTER, "outer_momentum": MU}
# Momentum that no name in OPTIMIZERS has: inner state must survive the round.
HEAVY = optax.trace(decay=0.5)


def check(ours, reference, tolerance=1e-12, moved=0.1):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)
    assert np.abs(reference[-1] - reference[0]).max() > moved


def served(algorithm, talk=None, network=(), problem=None):
    """The server's model, `[T + 1, d]`."""
    problem = beds.quadratic(noise=0.3) if problem is None else problem
    simulation = jdl.simulation(problem, algorithm, talk, network)
    return beds.trajectory(simulation, ROUNDS, beds.start()[0])[0][:, 0]


@functools.cache
def diloco_of(n=beds.N, **changes):
    """The trajectory of DiLoCo on n workers, which several tests compare with."""
    with jax.enable_x64(True):
        return served(DiLoCo(**{**COMMON, **changes}), problem=beds.quadratic(n=n, noise=0.3))


def steps(G, Y, t=0, first=0, last=H, lr=LR, m=None, decay=0.0):
    """Local steps k = first to last - 1 of all workers, with momentum: the models and the momentum."""
    m = np.zeros_like(Y) if m is None else m
    for k in range(first, last):
        m = G(Y, t, k) + decay * m
        Y = Y - lr * m
    return Y, m


def outer(x, b, D, lr=OUTER, mu=MU, nesterov=True):
    """torch.optim.SGD(lr, momentum, nesterov) with gradient D, whose buffer begins with the first gradient."""
    b = mu * b + D
    return x - lr * (D + mu * b if nesterov else b), b


def diloco(G, x, n=beds.N, rounds=ROUNDS, nesterov=True, lr=OUTER, mu=MU, inner=LR, decay=0.0, there=None):
    """there: bool[T, n], whose workers take part."""
    out, b, m = [x], np.zeros_like(x), np.zeros((n, len(x)))
    for t in range(rounds):
        now = np.ones(n, bool) if there is None else there[t]
        Y, new = steps(G, np.broadcast_to(x, (n, len(x))), t, lr=inner, m=m, decay=decay)
        m = np.where(now[:, None], new, m)
        x, b = outer(x, b, (x - Y)[now].mean(0), lr, mu, nesterov)
        out.append(x)
    return np.stack(out)


# ---- DiLoCo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [True, False])
def test_diloco(nesterov):
    """With noise, and momentum inside: minibatches differ, and the inner optimizer's state outlives the round."""
    problem = beds.quadratic(noise=0.3)
    ours = served(DiLoCo(**{**COMMON, "optimizer": HEAVY}, nesterov=nesterov), problem=problem)
    G, x = beds.gradient(problem), beds.start()[0]
    check(ours, diloco(G, x, nesterov=nesterov, decay=0.5))
    assert np.abs(ours - diloco(G, x, nesterov=not nesterov, decay=0.5)).max() > 1e-2


def test_diloco_with_workers_that_come_and_go():
    """Absent workers leave the mean, and keep their optimizer's state for the round in which they are back."""
    problem = beds.quadratic(noise=0.3)
    there = np.random.default_rng(0).random((ROUNDS, beds.N)) < 0.6
    there[7] = False
    there[7, 2] = True
    ours = served(DiLoCo(**{**COMMON, "optimizer": HEAVY}), workers(beds.N, there), problem=problem)
    check(ours, diloco(beds.gradient(problem), beds.start()[0], decay=0.5, there=there))


def test_diloco_without_an_outer_optimizer_is_fedavg():
    problem = beds.quadratic(noise=0.3)
    for talk in (None, sampling(beds.N, 3)):
        ours = served(DiLoCo(**INNER, outer_lr=1.0, outer_momentum=0.0), talk, problem=problem)
        fedavg = jdl.algorithms.FedAvg(lr=LR, local_steps=H, weighted=False)
        check(ours, served(fedavg, talk), 0 if talk is None else 1e-15)
        assert np.abs(ours - served(DiLoCo(**COMMON), talk)).max() > 1e-2


def test_diloco_weighs_workers_by_examples_if_asked():
    counts = np.array([1, 5, 2, 9, 0, 3, 4, 7])
    problem = beds.Uneven(beds.quadratic(), jnp.asarray(counts, jnp.int32))
    plain = {**INNER, "outer_lr": 1.0, "outer_momentum": 0.0}
    weighted, alike = (served(DiLoCo(**plain, weighted=w), problem=problem) for w in (True, False))
    check(weighted, served(jdl.algorithms.FedAvg(lr=LR, local_steps=H), problem=problem), 1e-15)
    assert np.abs(weighted - alike).max() > 1e-2


def test_one_step_of_gradient_descent_is_gradient_descent():
    plain = DiLoCo(lr=LR, local_steps=1, optimizer="sgd", outer_lr=1.0, outer_momentum=0.0)
    problem, x = beds.quadratic(), beds.start()[0]
    A, b, out = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0), [x]
    for _ in range(ROUNDS):
        out.append(out[-1] - LR * (A @ out[-1] - b))
    check(served(plain, problem=problem), np.stack(out))


def test_one_worker_without_momentum_is_lookahead():
    """Lookahead: fast weights take H steps, slow weights go a share `a` of the way; here with momentum inside."""
    problem = beds.quadratic(n=1)
    algorithm = DiLoCo(**{**INNER, "optimizer": HEAVY}, outer_lr=0.3, outer_momentum=0.0)
    ours = served(algorithm, problem=problem)
    G, slow, m, out = beds.gradient(problem), beds.start()[0][None], None, []
    for t in range(ROUNDS):
        out.append(slow[0])
        fast, m = steps(G, slow, t, m=m, decay=0.5)
        slow = slow + 0.3 * (fast - slow)
    check(ours, np.stack([*out, slow[0]]))


def test_the_heavy_ball_is_slowmo():
    """SlowMo: u <- beta u + (x - ybar) / eta;  x <- x - alpha eta u."""
    problem, x = beds.quadratic(noise=0.3), beds.start()[0]
    G, u, out = beds.gradient(problem), np.zeros_like(x), [x]
    for t in range(ROUNDS):
        Y, _ = steps(G, np.broadcast_to(x, (beds.N, len(x))), t)
        u = MU * u + (x - Y.mean(0)) / LR
        x = x - OUTER * LR * u
        out.append(x)
    check(diloco_of(nesterov=False), np.stack(out))


def test_delayed_nesterov_after_a_push_of_every_worker_is_diloco():
    """Workers push one after the other; the momentum is used once in N pushes (c = 0). N = 1 is Nesterov's method."""
    for n in (1, beds.N):
        problem, x = beds.quadratic(n=n, noise=0.3), beds.start()[0]
        G, m, buffer, push, out = beds.gradient(problem), np.zeros(beds.DIM), np.zeros(beds.DIM), 0, [x]
        for t in range(ROUNDS):
            Y, _ = steps(G, np.broadcast_to(x, (n, beds.DIM)), t)
            for g in x - Y:
                buffer = buffer + g
                push += 1
                if push % n:
                    x = x - OUTER * g / n
                else:
                    m, buffer = MU * m + buffer / n, np.zeros(beds.DIM)
                    x = x - OUTER * (MU * m + g / n)
            out.append(x)
        check(diloco_of(n=n), np.stack(out))


def test_the_limit_of_diloco_is_that_of_fedavg_and_not_the_optimum():
    problem = beds.quadratic()
    A, b, eye = np.asarray(problem.A), np.asarray(problem.b), np.eye(beds.DIM)
    P = np.stack([np.linalg.matrix_power(eye - LR * a, H) for a in A])
    own = np.einsum("nij,njk,nk->ni", eye - P, np.linalg.inv(A), b)
    expected = np.linalg.solve(eye - P.mean(0), own.mean(0))
    found = beds.limit(jdl.simulation(problem, DiLoCo(**COMMON)), 600, beds.start()[0])
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-10)
    assert np.abs(expected - beds.optimum(problem)).max() > 1e-3


def test_open_diloco_in_half_precision_stays_close():
    exact = diloco_of()
    ours = served(DiLoCo(**COMMON), network=[jdl.compressors.HalfPrecision("float16")])
    assert 1e-6 < np.linalg.norm(ours[10] - exact[10]) / np.linalg.norm(exact[10]) < 2e-3


def test_in_float32_diloco_does_not_drift_in_two_thousand_rounds():
    """Messages of OpenDiLoCo in float32 are DiLoCo's, bit for bit."""
    with jax.enable_x64(False):
        x, network = beds.start()[0], [jdl.compressors.HalfPrecision("float32")]
        whole, narrowed = (jdl.simulation(beds.quadratic(), DiLoCo(**COMMON), None, net) for net in ((), network))
        after = [beds.limit(whole, rounds, x)[0] for rounds in (500, 2000)]
        same = beds.limit(narrowed, 500, x)[0]
    assert after[0].dtype == np.float32
    np.testing.assert_array_equal(same, after[0])
    np.testing.assert_allclose(after[1], after[0], rtol=0, atol=2e-6)


def test_adamw_inside_is_the_default_and_its_state_stays_with_the_worker():
    """AdamW written out, whose count and moments go on from round to round; decay 0.1, decoupled."""
    problem, x, rounds = beds.quadratic(noise=0.3), beds.start()[0], 20
    with jax.numpy_dtype_promotion("standard"):  # optax raises a Python float to the power of an int32 count
        simulation = jdl.simulation(problem, DiLoCo(local_steps=H))
        ours = beds.trajectory(simulation, rounds, x)[0][:, 0]
    G, count, b, out = beds.gradient(problem), 0, np.zeros_like(x), [x]
    first, second = np.zeros((2, beds.N, beds.DIM))
    for t in range(rounds):
        Y = np.broadcast_to(x, first.shape)
        for k in range(H):
            g, count = G(Y, t, k), count + 1
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            scaled = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
            Y = Y - 0.01 * (scaled + 0.1 * Y)
        x, b = outer(x, b, x - Y.mean(0), 0.7, 0.9)
        out.append(x)
    check(ours, np.stack(out), 1e-10)


# ---- Streaming DiLoCo --------------------------------------------------------------------------------------------


@struct.dataclass
class Cut:
    """The quadratic of `inner` whose parameters are three arrays, of 2, 2 and 1 numbers."""

    inner: jdl.problems.Quadratic
    optimum = None

    @property
    def n(self):
        return self.inner.n

    @property
    def num_examples(self):
        return self.inner.num_examples

    def init(self, key):
        return cut(self.inner.init(key))

    def batch(self, id, draw):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def loss(self, params, batch):
        return self.inner.loss(jnp.concatenate([params[name] for name in "abc"], axis=-1), batch)

    def evaluate(self, params):
        return self.inner.evaluate(jnp.concatenate([params[name] for name in "abc"], axis=-1))


def cut(x):
    return {"a": x[..., :2], "b": x[..., 2:4], "c": x[..., 4:]}


def joined(params):
    return np.concatenate([np.asarray(params[name]) for name in "abc"], axis=-1)


def streamed(algorithm, talk=None, rounds=ROUNDS):
    """Models of the server, `[T + 1, d]`, and the traffic after every round."""
    simulation = jdl.simulation(Cut(beds.quadratic(noise=0.3)), algorithm, talk)
    sim = jax.jit(simulator.init)(simulation, cut(jnp.asarray(beds.start()[0])))

    @jax.jit
    def run(sim):
        def one(sim, _):
            sim, _ = simulator.step(simulation, sim)
            return sim, (sim.server.x, sim.traffic.bits[0])

        return jax.lax.scan(one, sim, None, length=rounds)[1]

    x, bits = run(sim)
    return np.concatenate([beds.start()[0][None], joined(x)]), np.asarray(bits)


def streaming(G, x, fragments, delay=0, alpha=0.0, rounds=ROUNDS):
    """fragments: `int[d]`, the fragment of each number."""
    P, n = fragments.max() + 1, beds.N
    Y, b, out, fresh = np.tile(x, (n, 1)), np.zeros_like(x), [x], fragments < 0
    for t in range(rounds):
        Y, _ = steps(G, Y, t, 0, delay)
        Y = np.where(fresh, (1 - alpha) * x + alpha * Y, Y)
        Y, _ = steps(G, Y, t, delay, H)
        fresh = fragments == t % P
        new, b_new = outer(x, b, (x - Y).mean(0))
        x, b = np.where(fresh, new, x), np.where(fresh, b_new, b)
        out.append(x)
    return np.stack(out)


@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        ({"fragments": 2, "delay": 1, "alpha": 0.4}, [0, 0, 1, 1, 0]),
        ({"fragments": 2, "strided": False}, [0, 0, 0, 0, 1]),
        ({"delay": 2}, [0, 0, 1, 1, 2]),
    ],
)
def test_streaming_diloco(fields, fragments):
    ours, bits = streamed(StreamingDiLoCo(**COMMON, **fields))
    given = {name: fields[name] for name in ("delay", "alpha") if name in fields}
    fragments, G = np.array(fragments), beds.gradient(beds.quadratic(noise=0.3))
    check(ours, streaming(G, beds.start()[0], fragments, **given))
    # Up the due fragment of each worker, down the one of the round before, 64 bits a number.
    P = fragments.max() + 1
    sizes = np.array([np.sum(fragments == t % P) for t in range(ROUNDS)]) * 64.0
    np.testing.assert_array_equal(bits[:, :-1], np.tile(np.cumsum(sizes)[:, None], beds.N))
    np.testing.assert_array_equal(bits[:, -1], beds.N * np.concatenate([[0], np.cumsum(sizes)[:-1]]))


def test_streaming_diloco_of_one_fragment_is_diloco():
    """Unlike DiLoCo its workers keep models, which must make no difference; a share alpha of them must."""
    ours, _ = streamed(StreamingDiLoCo(**COMMON, fragments=1))
    base = diloco_of()
    check(ours, base)
    kept, _ = streamed(StreamingDiLoCo(**COMMON, fragments=1, alpha=0.3))
    late, _ = streamed(StreamingDiLoCo(**COMMON, fragments=1, delay=1))
    assert np.abs(kept - base).max() > 1e-2 and np.abs(late - base).max() > 1e-2
    # A single array is one fragment, whatever the default; and a worker that was away begins with the whole model.
    talk = sampling(beds.N, 3)
    check(served(StreamingDiLoCo(**COMMON), talk), served(DiLoCo(**COMMON), talk))


def test_streaming_diloco_counts_what_a_worker_fetches_after_an_absence():
    there = np.ones((5, beds.N), bool)
    there[1, 0] = there[3:, 1] = False
    _, bits = streamed(StreamingDiLoCo(**COMMON), workers(beds.N, there), rounds=5)
    sizes = 64.0 * np.array([2, 2, 1, 2, 2])  # one array a round
    up = there * sizes[:, None]
    up[2, 0] += 64 * 5
    np.testing.assert_array_equal(bits[-1, :-1], up.sum(0))


def test_streaming_diloco_says_what_does_not_fit():
    with pytest.raises(ValueError, match="got fragments=4, need at most the model's 3 arrays; try 0"):
        jdl.simulation(Cut(beds.quadratic()), StreamingDiLoCo(fragments=4))
    with pytest.raises(ValueError, match=r"got delay=3, .*; try delay=2"):
        jdl.simulation(Cut(beds.quadratic()), StreamingDiLoCo(local_steps=3, delay=3))


def test_streaming_diloco_with_stragglers_splits_their_budget():
    """A budget of two steps of three, with the merge after the first, is a round of two steps."""

    @struct.dataclass
    class Slow(jdl.oracle.DataOracle):
        def steps(self, data):
            return jnp.int32(2)

    fields, data = {**COMMON, "delay": 1, "alpha": 0.5}, lambda: beds.quadratic(noise=0.3)
    with jax.enable_x64(False):  # `local_steps` counts in int64 otherwise, which budgets, int32, are not compared with
        slow = jdl.simulation(data(), StreamingDiLoCo(**fields), oracle=Slow())
        short = jdl.simulation(data(), StreamingDiLoCo(**{**fields, "local_steps": 2}))
        slow, short = (beds.trajectory(one, 10, beds.start()[0])[0][:, 0] for one in (slow, short))
    check(slow, short, 1e-5)


# ---- peers: eager updates, NoLoCo --------------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [True, False])
def test_eager_diloco(nesterov):
    """Over a W that is far from J and not symmetric: own and others' parts cannot be mixed up."""
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    fields = {**COMMON, "outer_lr": 0.3, "outer_momentum": 0.3, "nesterov": nesterov}
    ours, _, _ = beds.trajectory(jdl.simulation(problem, EagerDiLoCo(**fields), W), ROUNDS, X)
    G, own, out = beds.gradient(problem), np.diag(W)[:, None], [X]
    b, before = np.zeros_like(X), np.zeros_like(X)
    for t in range(ROUNDS):
        D = X - steps(G, X, t)[0]
        X, b = outer(X, b, own * D + (W @ before - own * before), 0.3, 0.3, nesterov)
        before = D
        out.append(X)
    check(ours, np.stack(out))


def test_eager_diloco_of_one_node_is_diloco_and_equal_nodes_stay_equal():
    one = beds.quadratic(n=1, noise=0.3)
    alone, _, _ = beds.trajectory(jdl.simulation(one, EagerDiLoCo(**COMMON), np.eye(1)), ROUNDS, beds.start()[0])
    check(alone[:, 0], diloco_of(n=1))
    whole = beds.quadratic()
    same = whole.replace(A=jnp.broadcast_to(whole.A[:1], whole.A.shape), b=jnp.broadcast_to(whole.b[:1], whole.b.shape))
    fields = {**COMMON, "outer_momentum": 0.3}
    equal, _, _ = beds.trajectory(
        jdl.simulation(same, EagerDiLoCo(**fields), complete(beds.N)), ROUNDS, beds.start()[0]
    )
    np.testing.assert_array_equal(equal, np.broadcast_to(equal[:, :1], equal.shape))
    late = served(DiLoCo(**fields), problem=same)
    assert np.abs(equal[:, 0] - late).max() > 1e-2  # they do wait for each other's changes


def test_eager_diloco_refuses_links_that_fail():
    with pytest.raises(jdl.checks.InputError, match="reliable"):
        jdl.simulation(beds.quadratic(), EagerDiLoCo(), complete(beds.N), [jdl.exchange.Lossy(0.1)])


def test_gossip_diloco():
    W, problem, X = beds.directed_column().T, beds.quadratic(noise=0.3), beds.start()
    talk = Fixed(from_weights(W, stochastic="row").plan("dense"))
    algorithm = GossipDiLoCo(**{**COMMON, "optimizer": HEAVY, "outer_momentum": 0.4}, pull=0.3)
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithm, talk), ROUNDS, X)
    G, m, inner, out = beds.gradient(problem), np.zeros_like(X), None, [X]
    for t in range(ROUNDS):
        Y, inner = steps(G, X, t, m=inner, decay=0.5)
        m = 0.4 * m + OUTER * W @ (Y - X) + 0.3 * (W @ X - X)
        X = X + m
        out.append(X)
    check(ours, np.stack(out))


def test_gossip_diloco_with_exact_averages_is_diloco_with_the_heavy_ball():
    problem, x = beds.quadratic(noise=0.3), beds.start()[0]
    ours, _, _ = beds.trajectory(jdl.simulation(problem, GossipDiLoCo(**COMMON), complete(beds.N)), ROUNDS, x)
    base = diloco_of(nesterov=False)
    check(ours, np.broadcast_to(base[:, None], ours.shape))
    assert np.abs(base - diloco_of()).max() > 1e-2


def test_models_of_noloco_meet_over_random_pairs_as_its_bound_says():
    """The second moments of slow models and momentum, exactly, against the mean over many seeds; then the bound."""
    n, runs, rounds, mu, pull = beds.N, 4000, 4, 0.5, 0.7
    rate = n / (2 * (n - 1))  # E[I - W] over matchings, on vectors of mean zero; I - W is a projection

    def moments(pull, mu):
        """(|x|^2, x.m, |m|^2) of a round from those of the one before."""
        m = np.array([rate * pull**2, -2 * mu * rate * pull, mu**2])
        cross = np.array([-rate * pull, mu, 0])
        return np.stack([np.array([1, 0, 0]) + 2 * cross + m, cross + m, m])

    algorithm = GossipDiLoCo(lr=0.0, local_steps=1, optimizer="sgd", outer_momentum=mu, pull=pull)
    built = jdl.simulation(beds.quadratic(dim=1), algorithm, matching(n))
    X = beds.start(dim=1) - beds.start(dim=1).mean(0)

    def run(seed):
        simulation = built.replace(key=jax.random.key(seed))
        sim = simulator.init(simulation, X)
        step = lambda sim, _: ((new := simulator.step(simulation, sim)[0]), jnp.sum(new.nodes.x**2))
        return jax.lax.scan(step, sim, None, length=rounds)[1]

    found = np.asarray(jax.jit(jax.vmap(run))(jnp.arange(runs)))
    state = np.array([np.sum(X**2), 0, 0])
    for t in range(rounds):
        state = moments(pull, mu) @ state
        assert abs(found[:, t].mean() - state[0]) < 5 * found[:, t].std() / np.sqrt(runs)
    for mu in (0.0, 0.5, 0.9):
        bound = 2 * (1 - mu**2) / (1 - mu / (n - 1))
        radius = [np.abs(np.linalg.eigvals(moments(share * bound, mu))).max() for share in (0.99, 1.01)]
        assert radius[0] < 1 < radius[1]


# ---- DiLoCoX -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlap", "k"), [(True, 2), (False, 2), (True, 5)])
def test_dilocox(overlap, k):
    """Error feedback on each worker, before the mean; with overlap the step is one round behind."""
    problem, x = beds.quadratic(noise=0.3), beds.start()[0]
    fields = {**COMMON, "outer_lr": 0.4, "outer_momentum": 0.3}
    ours = served(DiLoCoX(**fields, overlap=overlap, compressor=TopK(k / beds.DIM)), problem=problem)
    G, out = beds.gradient(problem), [x]
    b, pending, error = np.zeros_like(x), np.zeros_like(x), np.zeros((beds.N, beds.DIM))
    for t in range(ROUNDS):
        whole = x - steps(G, np.broadcast_to(x, error.shape), t)[0] + error
        sent = beds.top(whole, k)
        error, now = whole - sent, sent.mean(0)
        x, b = outer(x, b, pending if overlap else now, 0.4, 0.3)
        pending = now
        out.append(x)
    check(ours, np.stack(out))


def test_dilocox_without_delay_and_compression_is_diloco():
    problem = beds.quadratic(noise=0.3)
    ours = served(DiLoCoX(**COMMON, overlap=False, compressor=Identity()), problem=problem)
    check(ours, diloco_of())


def test_dilocox_with_one_worker_is_nesterov_fed_with_the_previous_gradient():
    problem = beds.quadratic(n=1)
    fields = {**COMMON, "outer_lr": 0.4, "outer_momentum": 0.3}
    ours = served(DiLoCoX(**fields, compressor=Identity()), problem=problem)
    G, x, b, old, out = beds.gradient(problem), beds.start()[:1], 0.0, 0.0, []
    for t in range(ROUNDS):
        out.append(x[0])
        D = x - steps(G, x, t)[0]
        (x, b), old = outer(x, b, old, 0.4, 0.3), D
    check(ours, np.stack([*out, x[0]]))


def test_dilocox_counts_what_its_compressor_sends():
    built = jdl.simulation(beds.quadratic(), DiLoCoX(**COMMON, compressor=TopK(0.4)))
    sim = beds.advance(built, jax.jit(simulator.init)(built), jnp.int32(3))[0]
    up, down = np.asarray(sim.traffic.bits[0][:-1]), float(sim.traffic.bits[0][-1])
    np.testing.assert_array_equal(up, 3 * 2 * (64 + 3))  # two numbers of 64 bits, and indices below 5
    assert down == 3 * beds.N * beds.DIM * 64
