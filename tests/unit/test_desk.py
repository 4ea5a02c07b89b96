"""A server's desk: public inputs and outputs of models at the server, by ensemble distillation (FedDF)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import tree
from jdl.types import FULL, PUBLIC, Each, number, static


@struct.dataclass
class FedDF(jdl.algorithms.FedAvg):
    """FedAvg, then steps that bring the server's logits on public inputs closer to the mean of the clients' logits."""

    rate: float = number(0.1)
    steps: int = static(0)
    private: bool = static(False)

    needs = frozenset({"server", "grad", "public", "predict"})

    def client(self, broadcast, client_state, node):
        change, client_state = super().client(broadcast, client_state, node)
        return {"mean": change, "each": Each(change)}, client_state

    def server(self, server_state, aggregate, info):
        desk, start = info["desk"], tree.add(server_state, aggregate["mean"])
        if self.private:
            desk.grad(start, FULL)
        inputs, each = desk.inputs(PUBLIC(0)), aggregate["each"]
        logits = jax.vmap(lambda change: desk.predict(tree.add(server_state, change), inputs))(each.content)
        share = each.weights / jnp.sum(each.weights)
        teacher = jnp.tensordot(share, logits, axes=1)
        loss = lambda x: jnp.mean(jnp.square(desk.predict(x, inputs) - teacher))
        step = lambda x, _: (tree.axpy(-self.rate, jax.grad(loss)(x), x), None)
        return jax.lax.scan(step, start, length=self.steps)[0]


@jax.jit
def three_rounds(built):
    return jdl.sim.advance(built, jdl.sim.init(built), 3)[0]


def final(method, hidden=0, **parts):
    problem = jdl.problems.digits(nodes=6, hidden=hidden, public=0.03, partition=jdl.data.partition.Dirichlet(0.3))
    built = jdl.simulation(problem, method, jdl.schedule.Sampling(6, 4), **parts)
    return three_rounds(built)


def test_distillation_of_linear_models_changes_nothing_and_no_steps_are_fedavg():
    """The mean of the logits of linear models is the logits of their mean."""
    plain, none, many = (final(m).server for m in (jdl.algorithms.FedAvg(), FedDF(), FedDF(steps=5)))
    for a, b, c in zip(*map(jax.tree.leaves, (plain, none, many)), strict=True):
        assert np.array_equal(a, b)
        np.testing.assert_allclose(c, a, atol=1e-6)
    # Steps of size zero are none; the size is an array, so that this is one program.
    deep, distilled = (jax.tree.leaves(final(FedDF(rate=rate, steps=5), hidden=8).server)[0] for rate in (0.0, 0.1))
    assert np.abs(deep - distilled).max() > 1e-4


def test_a_desk_has_no_data_of_its_own():
    with pytest.raises(jdl.checks.InputError, match="server"):
        final(FedDF(private=True))


def test_a_method_that_asks_for_public_data_needs_some():
    with pytest.raises(jdl.checks.InputError, match="needs 'public'"):
        jdl.simulation(jdl.problems.digits(nodes=6), FedDF(), jdl.schedule.Sampling(6, 4))
