"""What a run has spent: the account of each way of drawing, by the numbers of problem, method and rounds."""

import functools
import math

import numpy as np
import pytest

import jdl
from jdl import compressors, exchange, privacy
from jdl.checks import InputError
from jdl.command.budget import oracle_within
from jdl.exchange import ClientPrivacy, MessageNoise, QuantileClipping, TreeNoise
from jdl.oracle import PrivateGradients
from jdl.runs.privacy import spent

pytest.importorskip("dp_accounting")
N, SIZE, Z = 6, 8, 1.5
RING = jdl.topology.ring(N)


@functools.cache
def digits():
    return jdl.problems.digits(nodes=N, hidden=0, batch_size=SIZE)


def of(algorithm=None, network=(), oracle=(), talk=RING, rounds=10, **changes):
    """The only account of a simulation."""
    problem = digits().replace(**changes) if oracle else jdl.problems.quadratic(N, dim=2)
    algorithm = jdl.algorithms.DPSGD() if algorithm is None else algorithm
    return one(spent(jdl.simulation(problem, algorithm, talk, network, oracle=list(oracle)), rounds))


def one(found):
    assert len(found) == 1
    return found[0]


PRIVATE, TWO = [PrivateGradients(1.0, Z)], jdl.algorithms.DPSGD(local_steps=2)
SLOW = [pytest.param(sampling, marks=pytest.mark.slow) for sampling in ("round", "epochs", "replacement")]


@functools.cache
def rates():
    """Of the node with the fewest examples: the minibatches of a pass, and the share of one."""
    fewest = int(np.min(digits().num_examples))
    assert fewest > 10 * SIZE
    return math.ceil(fewest / SIZE), SIZE / fewest


@pytest.mark.parametrize("sampling", ["poisson", *SLOW])
def test_each_way_of_drawing_has_an_account_of_its_own(sampling):
    a_pass, rate = rates()
    z, *how = {
        "poisson": (Z, rate, 10),
        "round": (Z, rate, 10, "fixed"),
        "epochs": (Z, 1.0, math.ceil(10 / a_pass)),
        "replacement": (Z / SIZE, 1.0, 10),
    }[sampling]
    account = of(oracle=PRIVATE, sampling=sampling)
    drawn = {"sampling": how[2]} if len(how) == 3 else {}
    np.testing.assert_allclose(account.epsilon, privacy.epsilon(z, 1e-5, *how[:2], **drawn))
    assert account.hides == "an example of a node" and account.delta == 1e-5 and len(account.assumes) == 2
    assert account.epsilon >= privacy.epsilon(Z, 1e-5, rate, 10) or sampling == "epochs"


@pytest.mark.slow
def test_local_steps_of_a_round_are_disjoint_or_count_each():
    _, rate = rates()
    np.testing.assert_allclose(of(TWO, oracle=PRIVATE, sampling="round").epsilon, privacy.epsilon(Z, 1e-5, 1.0, 10))
    np.testing.assert_allclose(of(TWO, oracle=PRIVATE, sampling="poisson").epsilon, privacy.epsilon(Z, 1e-5, rate, 20))
    np.testing.assert_allclose(of(oracle=PRIVATE, batch_size=0).epsilon, privacy.epsilon(Z, 1e-5, 1.0, 10))
    made = PrivateGradients.for_budget(4.0, rounds=10, batches=2, sampling_rate=rate)
    assert 3.98 < of(TWO, oracle=[made], sampling="poisson").epsilon <= 4.0


def test_clients_and_messages():
    server = jdl.algorithms.FedAvg()
    for talk, how in (
        (jdl.schedule.PoissonSampling(N, 0.4), {"sampling_rate": 0.4}),
        (jdl.schedule.Sampling(N, 3), {"sampling_rate": 0.5, "sampling": "fixed"}),
        (None, {}),
    ):
        account = of(server, [ClientPrivacy(0.5, Z)], talk=talk)
        np.testing.assert_allclose(account.epsilon, privacy.epsilon(Z, 1e-5, steps=10, **how))
        assert account.hides == "a client" and "trusted" in account.assumes[0]
    few = jdl.schedule.PoissonSampling(N, 0.4)
    np.testing.assert_allclose(
        of(server, [QuantileClipping(noise_multiplier=Z)], talk=few).epsilon, privacy.epsilon(Z, 1e-5, 0.4, 10)
    )
    once = of(server, [TreeNoise(1.0, Z)], talk=jdl.schedule.CyclicSampling(N, 1), rounds=6)
    np.testing.assert_allclose(once.epsilon, privacy.epsilon(Z, 1e-5, steps=6, sampling="tree"))
    local = of(network=[jdl.exchange.Lossy(0.1), MessageNoise(0.5, Z)])
    np.testing.assert_allclose(local.epsilon, privacy.epsilon(Z / 2, 1e-5, steps=10))
    assert of(network=[MessageNoise(0.5, 0.0)]).epsilon == math.inf


def test_noise_on_the_way_down_is_of_the_servers_message():
    """NbAFL has noise both ways: two accounts, of a client's message and of the server's."""
    both = {"network": [MessageNoise(0.5, Z)], "network_down": [MessageNoise(2.0, 2 * Z)]}
    built = jdl.simulation(jdl.problems.quadratic(N, dim=2), jdl.algorithms.FedAvg(), **both)
    up, down = spent(built, 10)
    assert (up.hides, down.hides) == ("a node's message", "the server's message")
    assert down.part == "MessageNoise in network_down" and len(down.assumes) == 2
    np.testing.assert_allclose(up.epsilon, privacy.epsilon(Z / 2, 1e-5, steps=10))
    np.testing.assert_allclose(down.epsilon, privacy.epsilon(Z, 1e-5, steps=10))


def test_what_no_account_holds_for_is_refused():
    with pytest.raises(InputError, match="same noise"):
        of(jdl.algorithms.DFedSAM(), oracle=[PrivateGradients()])
    with pytest.raises(InputError, match="median norm"):
        of(jdl.algorithms.FedAvg(), [ClientPrivacy(median=True)], talk=None)
    with pytest.raises(InputError, match="bit_noise"):
        of(jdl.algorithms.FedAvg(), [QuantileClipping(bit_noise=0.1)], talk=None)
    assert spent(jdl.simulation(jdl.problems.quadratic(N), jdl.algorithms.DPSGD(), RING), 10) == []


def test_a_result_says_what_it_spent():
    problem = jdl.problems.quadratic(N, dim=2)
    how = {"rounds": 4, "progress": False}
    result = jdl.run(problem, jdl.algorithms.FedAvg(), network=[ClientPrivacy(0.5, Z)], **how)
    epsilon = privacy.epsilon(Z, 1e-5, steps=4)
    assert f"privacy: epsilon {epsilon:.3g} at delta 1e-05 for a client (ClientPrivacy)" in repr(result)
    np.testing.assert_allclose(one(result.privacy(1e-3)).epsilon, privacy.epsilon(Z, 1e-3, steps=4))
    tight = one(result.privacy(1e-5, "pld")).epsilon
    assert tight < epsilon and abs(tight - privacy.epsilon_of_mu(2 / Z, 1e-5)) < 2e-3


CLIENTS = {"algorithm": jdl.algorithms.FedAvg(), "talk": jdl.schedule.Sampling(N, 3)}


def test_noise_is_accounted_as_often_as_it_is_added():
    plain = of(network=[MessageNoise(1.0, Z)])
    for several in (exchange.Repeated(5), exchange.Chebyshev(5), exchange.UntilConsensus(most=5)):
        account = of(network=[several, MessageNoise(1.0, Z)])
        assert account.steps == 5 * plain.steps and account.epsilon > plain.epsilon
    assert of(network=[MessageNoise(1.0, Z, own=True), exchange.Repeated(5)]).epsilon == plain.epsilon


RESTING = exchange.RestingLinks.of(RING, np.ones((N, N)))


@pytest.mark.parametrize(
    "first", [exchange.Delayed(), exchange.Stale(), exchange.Fragments(), exchange.SliceLoss(), RESTING]
)
def test_messages_in_parts_or_read_again_have_no_account(first):
    with pytest.raises(InputError, match=f"got MessageNoise behind {type(first).__name__}"):
        of(network=[first, MessageNoise(1.0, Z)])


@pytest.mark.parametrize("last", [compressors.QSGD(), exchange.CoordinateMedian(), exchange.Delayed()])
def test_what_counts_for_more_than_the_clip_has_no_account(last):
    """The decoded message of QSGD is longer than the one it was given, and a server's sum is noised for the clip."""
    with pytest.raises(InputError, match=f"got {type(last).__name__} behind ClientPrivacy"):
        of(network=[ClientPrivacy(1.0, Z), last], **CLIENTS)
    before = [] if isinstance(last, exchange.CoordinateMedian | exchange.Delayed) else [last]
    assert of(network=[*before, ClientPrivacy(1.0, Z), exchange.Lossy(0.1)], **CLIENTS).epsilon < math.inf


def test_a_budget_holds_for_the_data_of_every_seed():
    data = digits().replace(sampling="poisson")
    few = data.replace(num_examples=data.num_examples // 2)
    arguments = {"problem": lambda seed: few if seed == 1 else data, "algorithm": jdl.algorithms.DPSGD()}
    arguments |= {"topology": RING, "network": (), "network_down": (), "roles": None, "oracle": (), "rounds": 10}
    usual = {"epsilon": 2.0, "delta": 1e-5, "clip": 1.0}
    z = [oracle_within(usual, {**arguments, "seeds": seeds}, 0)[0].noise_multiplier for seeds in (None, 1, 2)]
    assert z[0] == z[1] < z[2]
