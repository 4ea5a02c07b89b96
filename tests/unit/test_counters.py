"""What nodes ask of their data: counted by hand, and by a callback in the rounds that run."""

import math
import types

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import checks, tree
from jdl.engine.counting import asked
from jdl.types import FULL

N = 6
P = jdl.problems.quadratic(N, dim=3, noise=0.1)
RING = jdl.topology.ring(N)


@struct.dataclass
class Asks:
    """Two gradients in `init`; in a round a loop of three gradients, four models at once, and two Hessian products."""

    always: bool = struct.field(pytree_node=False, default=True)
    needs = frozenset({"peers", "grad", "hvp", "prox"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return tree.add(node.grad(params)[0], node.grad(params, FULL)[0])

    def send(self, x, node):
        x = jax.lax.fori_loop(0, 3, lambda k, x: x - 0.1 * node.grad(x, k)[0], x)
        several = jax.vmap(lambda scale: node.grad(scale * x)[0])(jnp.arange(4.0))
        x = jax.lax.cond(node.t > 2, lambda: node.prox(x, 0.1), lambda: node.prox(x, 0.2) if self.always else x)
        return x + jnp.sum(several, axis=0), x

    def recv(self, x, inbox, node):
        return inbox + node.hvp(x, inbox) + jax.grad(lambda y: jnp.sum(node.hvp(y, x)))(x), {}

    def model(self, x):
        return x


def of(method, topology=RING, **options):
    return asked(jdl.simulation(P, method, topology, **options))


def test_queries_are_counted_in_loops_and_of_several_models_at_once():
    start, round_ = of(Asks())
    assert start == {"gradients": 2, "hessian_products": 0, "prox_calls": 0}
    assert round_ == {"gradients": 3 + 4, "hessian_products": 2, "prox_calls": 1}


def test_what_depends_on_the_round_on_chance_or_on_a_budget_is_not_known():
    assert math.isnan(of(Asks(always=False)).in_round["prox_calls"])
    assert math.isnan(of(jdl.algorithms.SwarmSGD(local_steps=3, geometric=True)).in_round["gradients"])
    simulation = jdl.simulation(P, jdl.algorithms.GTSARAH(), RING)
    with pytest.raises(
        checks.InputError, match="got the metric gradients and the method GTSARAH, which asks for a num"
    ):
        jdl.metrics.gradients(None, None, simulation)
    digits = jdl.problems.digits(nodes=N, hidden=0)
    budget = jdl.simulation(digits, jdl.algorithms.DPSGD(local_steps=3), RING, oracle=jdl.oracle.DataOracle(epochs=1))
    assert math.isnan(asked(budget).in_round["gradients"])


def test_the_rounds_that_run_compute_as_many_and_have_no_mark():
    """Clients that are sampled, of a method with one full gradient and two in each of its five local steps."""
    seen = []

    @struct.dataclass
    class Tell:
        """Tells who asks for a gradient when the program runs."""

        def grad(self, inner, data, params, batch, query):
            jax.debug.callback(lambda id: seen.append(int(id)), data.id)
            return inner(data, params, batch, query)

    talk, method = jdl.schedule.Sampling(N, 3), jdl.algorithms.FedAMD()
    simulation = jdl.simulation(P, method, talk, oracle=[Tell()], metrics={"gradients": jdl.metrics.gradients})
    state = compiled.init(simulation)
    assert "jdl_query" not in str(jax.make_jaxpr(jdl.sim.step)(simulation, state))
    state, _ = jax.jit(jdl.sim.advance, static_argnums=2)(simulation, state, 2)
    jax.effects_barrier()
    counts = np.bincount(seen, minlength=N)
    np.testing.assert_array_equal(jdl.metrics.gradients(None, state, simulation), counts)
    assert counts.sum() == 2 * 3 * (1 + 2 * 5) and counts.max() > counts.min()


def test_nodes_that_took_part_more_often_have_asked_more_often():
    state = types.SimpleNamespace(count=jnp.array([0, 1, 2, 3, 4, 5]))
    simulation = jdl.simulation(P, Asks(), RING)
    assert jdl.metrics.gradients(None, state, simulation).tolist() == [2 + 7 * count for count in range(N)]
    assert jdl.metrics.hessian_products(None, state, simulation).tolist() == [2 * count for count in range(N)]
    assert jdl.metrics.prox_calls(None, state, simulation).tolist() == list(range(N))


def test_energy_of_planned_events_is_that_of_their_gradients_and_bits():
    seconds, n = np.array([0.1, 0.1, 1.0, 0.2, 0.1, 0.3]), 6
    waves = jdl.schedule.Waves.pairs(jdl.topology.ring(n), seconds, horizon=3.0, law="constant", width=2)
    spent = jdl.metrics.energy(seconds, watts=5.0, joules_per_bit=1e-4)
    problem = jdl.problems.quadratic(n, dim=3)
    run = jdl.run(problem, jdl.algorithms.ADPSGD(), waves, rounds=waves.waves, metrics={"energy": spent})
    steps = np.floor(3.0 / seconds + 1e-9)  # a node works once at the end of each of its steps
    assert run.history["bits_sent"][-1] == 2 * 96 * steps.sum()
    np.testing.assert_allclose(run.history["energy"][-1], 5 * steps @ seconds + 1e-4 * 2 * 96 * steps.sum(), rtol=1e-5)
    with pytest.raises(jdl.checks.InputError, match="watts=-1"):
        jdl.metrics.energy(0.1, watts=-1)
