"""Power-of-choice against NumPy, on quadratics of increasing height; a client that is not heard is not known."""

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.power_of_choice import HighestLoss

import jdl
from jdl.exchange import Lossy
from jdl.types import Roles, Seen

N, M, DIM, LR = 8, 2, 3, 0.01


def build(seed=0, lost=0.0, candidates=N, **how):
    A = jnp.einsum("i,jk->ijk", jnp.arange(1.0, N + 1), jnp.eye(DIM))  # f_i(x) = (i + 1) |x|^2 / 2
    problem = jdl.problems.Quadratic(A=A, b=jnp.zeros((N, DIM)))
    talk = HighestLoss(N, M, candidates)
    return jdl.simulation(problem, jdl.algorithms.FedAvg(lr=LR), talk, [Lossy(lost)], seed=seed, **how)


def test_clients_of_the_highest_last_heard_loss_are_chosen():
    simulation = build()
    chosen_in = jax.jit(lambda state: jdl.sim.wires(simulation, state)[0].origin)
    state, known, rounds = ways.init(simulation), np.full(N, np.inf), 12
    for t in range(rounds):
        chosen = np.asarray(chosen_in(state))
        if t < N // M:
            assert np.all(known[chosen] == np.inf)  # each client once
        else:
            assert set(chosen) == set(np.argsort(known)[-M:])
        known[chosen] = (chosen + 1) * np.sum(np.square(np.asarray(state.server))) / 2
        state = ways.advance(simulation, state, jnp.int32(t + 1))
    np.testing.assert_allclose(state.seen.values["loss"], known, rtol=1e-5)
    # A client's message holds its change and its loss.
    np.testing.assert_array_equal(state.traffic.bits[0, :N], 32 * (DIM + 1) * state.traffic.messages[0, :N])
    assert float(state.traffic.messages[0, :N].sum()) == rounds * M


def test_only_candidates_are_chosen():
    talk, losses = HighestLoss(N, M, 4), jax.random.normal(jax.random.key(1), (N,))
    roles = Roles(jnp.ones(N, bool), jnp.zeros(N, jnp.int32))
    for t in range(6):
        key = jax.random.key(t)
        candidates = np.asarray(jax.random.permutation(key, N))[:4]
        best = candidates[np.argsort(np.asarray(losses)[candidates])[-M:]]
        plan, _ = talk(jnp.ones(N, bool), t, key, Seen({"loss": losses}, jnp.zeros(N, bool), roles))
        assert sorted(best) == plan.participants.tolist()


def test_of_messages_that_are_all_lost_nothing_is_heard():
    simulation = build(lost=1.0)
    state = ways.state_after(simulation, 6)
    assert not np.any(state.seen.heard) and not np.any(state.schedule_state)
    assert not np.any(state.seen.values["loss"])
    assert float(state.traffic.messages[0, :N].sum()) == 6 * M  # they were sent


@ways.of("power_of_choice")
def test_in_all_ways(names):
    ways.check(lambda seed=0, **how: build(seed, lost=0.3, candidates=4, **how), names)
