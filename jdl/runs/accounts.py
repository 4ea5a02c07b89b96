"""How often a run adds noise for privacy, and to what: the account of each private part, before it is priced."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from jdl import checks
from jdl.engine.counting import asked
from jdl.engine.state import Simulation
from jdl.exchange import (
    ClientPrivacy,
    Delayed,
    Fragments,
    Linear,
    MessageNoise,
    PerModule,
    QuantileClipping,
    RandomShare,
    RestingLinks,
    SecureAggregation,
    SliceLoss,
    Stale,
    TreeNoise,
)
from jdl.exchange.compress import Compressed
from jdl.exchange.stack import layers
from jdl.oracle import PrivateGradients
from jdl.schedule import CyclicSampling, PoissonSampling, Sampling
from jdl.types import Exchange

__all__ = ["AT_A_SERVER", "Spent", "accounts", "of_gradients"]

AT_A_SERVER = (ClientPrivacy, QuantileClipping, TreeNoise)
IN_PARTS = (Delayed, Fragments, PerModule, RandomShare, RestingLinks, SliceLoss, Stale)


@dataclasses.dataclass(frozen=True)
class Spent:
    """The (epsilon, delta) that one part of a run has spent, and how it was accounted.

    Args:
      part: the part that adds the noise.
      hides: what the account is about: "an example of a node", "a client", "a node's message".
      epsilon: what is spent; infinity without noise.
      delta: the delta of the account.
      noise_multiplier: the multiplier that was accounted.
      sampling: how batches or clients were taken to be drawn, see `jdl.privacy.SAMPLING`.
      sampling_rate: the share that was drawn, the largest over nodes.
      steps: how often.
      assumes: sentences: what must hold for this number.
    """

    part: str
    hides: str
    epsilon: float
    delta: float
    noise_multiplier: float
    sampling: str
    sampling_rate: float
    steps: int
    assumes: tuple[str, ...]

    def __str__(self) -> str:
        return f"epsilon {self.epsilon:.3g} at delta {self.delta:.1g} for {self.hides} ({self.part})"


def accounts(simulation: Simulation, rounds: int) -> list[Spent]:
    """What each private part of a simulation does in some rounds, not priced yet.

    Args:
      simulation: the composed simulation.
      rounds: how many rounds.

    Raises:
      InputError: if no account holds for a part, with the reason.
    """
    wrappers = getattr(simulation.oracle, "wrappers", ())
    found = [of_gradients(simulation, part, rounds) for part in wrappers if isinstance(part, PrivateGradients)]
    network = layers(simulation.exchange)
    for i, part in enumerate(network):
        if isinstance(part, AT_A_SERVER):
            _whole(part, network[:i])
            _sums(part, network[i + 1 :])
            found.append(_of_clients(simulation, part, rounds))
        if isinstance(part, MessageNoise):
            _whole(part, network[:i])
            found.append(_of_messages(simulation, part, rounds * _times(network[:i])))
    down = [] if simulation.exchange_down is None else layers(simulation.exchange_down)
    for i, part in enumerate(down):
        if isinstance(part, MessageNoise):
            _whole(part, down[:i])
            found.append(_of_broadcasts(simulation, part, rounds * _times(down[:i])))
        else:
            got = f"got {type(part).__name__} in network_down, whose noise no account includes"
            checks.require(not getattr(part, "noisy", False), f"{got}; put it in network, or MessageNoise there")
    return found


def _account(part: object, hides: str, z: float, sampling: str, rate: float, steps: int, *assumes: str) -> Spent:
    return Spent(type(part).__name__, hides, math.nan, math.nan, z, sampling, float(rate), int(steps), assumes)


def of_gradients(s: Simulation, part: PrivateGradients, rounds: int) -> Spent:
    """The account of private gradients, not priced yet.

    Raises:
      InputError: if the method asks for a number of gradients that is not known, or for several of one batch.
    """
    name, z = type(s.algorithm).__name__, float(part.noise_multiplier)
    count, draws = asked(s), getattr(s.algorithm, "draws_per_round", 1)
    start, each = count.at_start["gradients"], count.in_round["gradients"]
    random = f"got {name}, which asks for a number of gradients that depends on chance or on data"
    checks.require(not math.isnan(start + each), f"{random}, need one that is known; call jdl.privacy.epsilon yourself")
    same = f"got {name}, which asks for {each:g} gradients of {draws} batches a round, and those of one batch have the"
    checks.require(draws is None or each <= draws, f"{same} same noise, need one for each batch; take another method")
    steps = int(start + rounds * each)
    hides = "an example of a node"
    always = "gradients are all that leaves a node: losses that it reports, and evaluations, have no noise"
    if start:
        always += "; those that are asked for before the first round have noise of their own"
    sizes = np.asarray(s.problem.num_examples)
    size, fewest = getattr(s.problem, "batch_size", 0), int(sizes[sizes > 0].min(initial=sizes.max(initial=1)))
    asks_all = bool({"full", "parts"} & s.algorithm.needs)
    if not size or asks_all or size >= fewest:
        why = "all examples of the node with the fewest are in every batch" if not asks_all else "full gradients"
        return _account(part, hides, z, "cyclic", 1.0, steps, always, f"{why}: no sampling helps")
    sampling = getattr(s.problem, "sampling", "replacement")
    a_pass = math.ceil(fewest / size)
    if sampling == "poisson":
        return _account(part, hides, z, "poisson", size / fewest, steps, always, "each example joins by itself")
    if sampling == "round" and each == 1:
        bound = "batches without replacement have a price of their own; as Poisson batches they would look cheaper"
        return _account(part, hides, z, "fixed", size / fewest, steps, always, bound)
    if sampling in ("round", "epochs", "stream"):
        in_round = sampling == "round"
        passes = rounds * math.ceil(each / a_pass) if in_round else math.ceil(rounds * each / a_pass)
        text = "batches of a pass are disjoint, and nobody hides among others"
        return _account(part, hides, z, "cyclic", 1.0, passes + int(start), always, text)
    worst = f"drawn with replacement, an example may be in a batch {size} times; sampling='poisson' would cost less"
    return _account(part, hides, z / size, "cyclic", 1.0, steps, always, worst)


def _of_clients(s: Simulation, part: ClientPrivacy | QuantileClipping | TreeNoise, rounds: int) -> Spent:
    median = "got ClientPrivacy(median=True), whose median norm is a secret of the clients that no account includes"
    checks.require(not getattr(part, "median", False), f"{median}; give a clip, or QuantileClipping")
    z, hides, steps = float(part.noise_multiplier), "a client", rounds * len(s.algorithm.phases)
    trusted = "the server is trusted with what clients send, and shows the aggregate and models alone"
    talk, n = s.schedule, s.problem.n
    if isinstance(part, TreeNoise):
        whole = isinstance(talk, CyclicSampling)
        times = math.ceil(rounds * talk.participants / n) if whole else rounds
        text = f"a client takes part at most {times} times, whose changes add up"
        return _account(part, hides, z / times, "tree", 1.0, min(steps, 2**part.levels - 1), trusted, text)
    if isinstance(part, QuantileClipping) and part.bit_noise is not None:
        enough = (
            f"got QuantileClipping(bit_noise={float(part.bit_noise):g}), whose bits cost more than z = {z:g} allows"
        )
        checks.require(2 * float(part.bit_noise) > z, f"{enough}, need more than z / 2; try bit_noise={z:g}")
    if isinstance(talk, PoissonSampling):
        enough = talk.most is None or talk.most == n
        text = "each client comes by itself" + ("" if enough else "; those that find no room are not accounted")
        return _account(part, hides, z, "poisson", float(talk.rate), steps, trusted, text)
    if isinstance(talk, Sampling) and talk.participants < n:
        bound = "clients without replacement have a price of their own; as Poisson clients they would look cheaper"
        return _account(part, hides, z, "fixed", talk.participants / n, steps, trusted, bound)
    return _account(part, hides, z, "cyclic", 1.0, steps, trusted, "every client may take part in every round")


def _whole(part: object, before: list[Exchange]) -> None:
    """Check that a part is given each message once, as one."""
    for layer in before:
        got = f"got {type(part).__name__} behind {type(layer).__name__}, which gives it messages in parts or again"
        checks.require(not isinstance(layer, IN_PARTS), f"{got}, need them whole and once; put it first in the network")


def _sums(part: object, after: list[Exchange]) -> None:
    """Check that what is clipped stays clipped on its way into the sum."""
    *between, last = after
    wrong = [layer for layer in between if isinstance(layer, Compressed | Delayed)]
    wrong += [] if isinstance(last, Linear | SecureAggregation) else [last]
    for layer in wrong[:1]:
        name = type(getattr(layer, "compressor", layer)).__name__
        got = f"got {name} behind {type(part).__name__}, by which a client may count for more than the clip"
        checks.require(
            False, f"{got}, need the sum of what was clipped; put codecs before it, and leave rules and delays out"
        )


def _times(before: list[Exchange]) -> int:
    """How often the exchanges before a part pass it a message in one round, at most."""
    return math.prod(max(getattr(layer, "times", 1), getattr(layer, "most", 1)) for layer in before)


def _of_messages(s: Simulation, part: MessageNoise, rounds: int) -> Spent:
    z, steps = float(part.noise_multiplier) / 2, rounds * len(s.algorithm.phases)
    text = "one message in place of any other, so that it moves by twice the clip; a node sends in every round"
    rest = "nobody is trusted; whole numbers in messages have no noise, nor has the copy that a node keeps"
    return _account(part, "a node's message", z, "cyclic", 1.0, steps, text, rest)


def _of_broadcasts(s: Simulation, part: MessageNoise, rounds: int) -> Spent:
    z, steps = float(part.noise_multiplier) / 2, rounds * len(s.algorithm.phases)
    text = (
        "one message of the server in place of any other, so that it moves by twice the clip; it sends in every round"
    )
    rest = "what clients send up, whole numbers, and the server's own model, which is evaluated, are not hidden by it"
    account = _account(part, "the server's message", z, "cyclic", 1.0, steps, text, rest)
    return dataclasses.replace(account, part=f"{account.part} in network_down")
