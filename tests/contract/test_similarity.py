"""First-order weights: against NumPy, and planted clusters that find each other."""

import jax.numpy as jnp
import numpy as np
import ways
from programs.similarity import FirstOrderWeights

import jdl

N, LR = 8, 0.1
DATA = jdl.problems.quadratic(nodes=N, dim=3, heterogeneity=4.0, noise=0.1)


def build(seed=0, **how):
    return jdl.simulation(DATA, FirstOrderWeights(lr=LR), jdl.topology.ring(N), seed=seed, **how)


def test_a_round_is_the_formula():
    simulation = build()
    state = ways.state_after(simulation)
    (wire,) = ways.wires(simulation, state)
    y, A, b = np.asarray(wire.sent.content, float), np.asarray(DATA.A, float), np.asarray(DATA.b, float)
    loss = lambda i, x: x @ A[i] @ x / 2 - b[i] @ x
    expected, positive = y.copy(), 0
    for i in range(N):
        near = [(i - 1) % N, (i + 1) % N]
        w = np.array([max(0.0, (loss(i, y[i]) - loss(i, y[j])) / np.linalg.norm(y[i] - y[j])) for j in near])
        w = w / w.sum() if w.sum() else w
        expected[i] += sum(w * (y[j] - y[i]) for w, j in zip(w, near, strict=True))
        positive += np.count_nonzero(w)
    assert 0 < positive < 2 * N  # some neighbours help, some do not
    after = ways.advance(simulation, state, jnp.int32(ways.ROUNDS + 1))
    np.testing.assert_allclose(after.nodes, expected, rtol=1e-4, atol=1e-5)


def test_clusters_with_different_labels_find_each_other():
    """Weights between clusters vanish; one model for both is right on half of the examples at best."""
    make = jdl.data.generators.clustered_concepts
    data = make(owners=N, clusters=2, examples=800, test_examples=200, features=8, classes=4, seed=0)
    problem = jdl.problems.supervised(data, nodes=N, model="linear", partition=data.train_owner, validation=0.25)
    of = lambda algorithm: jdl.simulation(problem, algorithm, jdl.topology.complete(N), own=True)
    chooses, gossip = of(FirstOrderWeights(lr=0.5, held_out=True)), of(jdl.algorithms.DPSGD(lr=0.5))
    state = ways.state_after(chooses, 20)
    affinity = np.asarray(ways.step(chooses, state)[1].values["affinity"])
    cluster, senders = np.asarray(data.truth["cluster"]), np.asarray(chooses.schedule.plan.links.senders)
    same = cluster[senders] == cluster[:, None]
    assert np.all(affinity[~same] == 0) and np.sum(affinity[same]) > N / 2
    own = ways.evaluate(chooses, state)["own_accuracy"]
    assert own > 0.9 and ways.evaluate(gossip, ways.state_after(gossip, 20))["own_accuracy"] < own - 0.3


@ways.of("similarity")
def test_in_all_ways(names):
    ways.check(build, names)
