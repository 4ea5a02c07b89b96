"""From one node to all rows: the three mappings agree, and the loop says where it broke."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import init, step
from flax import struct

import jdl
from jdl.engine.mapping import over_nodes


@pytest.mark.parametrize(
    ("mapping", "jit"), [("vmap", True), ("loop", True), (1, True), (3, True), (5, True), (8, True), ("loop", False)]
)
def test_mappings_agree(mapping, jit):
    rows = ({"id": jnp.arange(5), "t": jnp.zeros(5, jnp.int32)}, (jnp.arange(15.0).reshape(5, 3), ()))

    def one(factor, row, state):
        return {"sum": jnp.sum(state[0]), "id": row["id"] * factor}, state

    mapped = over_nodes(one, mapping, "one")
    out, state = (jax.jit(mapped) if jit else mapped)(2, *rows)
    np.testing.assert_array_equal(out["sum"], [3.0, 12.0, 21.0, 30.0, 39.0])
    np.testing.assert_array_equal(out["id"], [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(state[0], rows[1][0])


@struct.dataclass
class Faulty:
    """D-PSGD that breaks at one node and in one round."""

    node: int = struct.field(pytree_node=False)
    t: int = struct.field(pytree_node=False)
    how: str = struct.field(pytree_node=False)
    needs = frozenset({"row_stochastic", "peers"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        here = (node.id == self.node) & (node.t == self.t)
        if self.how == "raises":
            if not isinstance(here, jax.core.Tracer) and bool(here):
                raise KeyError("the algorithm's own")
            return state, state
        return state / jnp.where(here, 0.0, 1.0), state

    def recv(self, state, inbox, node):
        return inbox, {}

    def model(self, state):
        return state


def run(algorithm, mapping, rounds=3):
    problem = jdl.problems.quadratic(nodes=6, dim=2)
    simulation = jdl.simulation(problem, algorithm, jdl.topology.ring(6), mapping=mapping)
    # Compiled, unless the caller has turned that off.
    sim = init(simulation, np.full(2, 0.5, np.float32))
    for _ in range(rounds):
        sim, _ = step(simulation, sim)
    return sim


def test_the_loop_names_node_step_and_round_of_an_exception_and_of_the_first_number_that_is_not_finite():
    """The round is the one that `status` names: a user reads it in a fast run, then looks for it in the loop."""
    algorithm = Faulty(node=4, t=1, how="divides")
    status = int(run(algorithm, "vmap").status)
    with jax.disable_jit(), pytest.raises(FloatingPointError, match=r"`send`.*node 4") as error:
        run(algorithm, "loop")
    assert int(re.search(r"round (\d+)", str(error.value)).group(1)) == status == 2
    with jax.disable_jit(), pytest.raises(KeyError, match="own") as error:
        run(Faulty(node=4, t=1, how="raises"), "loop")
    (note,) = error.value.__notes__
    assert "`send`" in note and "node 4" in note
    assert int(re.search(r"round (\d+)", note).group(1)) == status


def test_the_loop_is_quiet_where_nothing_breaks():
    with jax.disable_jit():
        sim = run(Faulty(node=4, t=9, how="divides"), "loop", rounds=2)
    assert int(sim.status) == -1 and int(sim.t) == 2
