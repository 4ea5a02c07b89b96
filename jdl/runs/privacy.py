"""What a run has spent of privacy: one account for each private part, with what the account assumes."""

from __future__ import annotations

import dataclasses

from jdl import checks, privacy
from jdl import plan as plans
from jdl.engine.state import Simulation
from jdl.exchange.stack import layers
from jdl.oracle import PrivateGradients
from jdl.runs.accounts import AT_A_SERVER, Spent, accounts, of_gradients
from jdl.types import Plan

__all__ = ["DELTA", "Spent", "largest", "line", "noise_multiplier", "say_expected", "spent"]

DELTA = 1e-5  # of an account where nobody says another one


def spent(simulation: Simulation, rounds: int, delta: float = 1e-5, accountant: str = "rdp") -> list[Spent]:
    """What each private part of a simulation spends in some rounds; an empty list without such parts.

    Args:
      simulation: the composed simulation.
      rounds: how many rounds.
      delta: above 0 and below 1.
      accountant: "rdp" or "pld", see `jdl.privacy.epsilon`; "pld" where it has a bound.

    Raises:
      InputError: if no account holds for a part, with the reason, and if dp-accounting is not installed.
    """
    return [_priced(account, delta, accountant) for account in accounts(simulation, rounds)]


def noise_multiplier(simulation: Simulation, rounds: int, epsilon: float, delta: float = 1e-5) -> float:
    """The noise multiplier of the private gradients of a simulation with which some rounds spend at most epsilon.

    Args:
      simulation: the composed simulation, whose oracle holds `PrivateGradients` of any noise above 0.
      rounds: how many rounds.
      epsilon: the budget, above 0.
      delta: above 0 and below 1.

    Raises:
      InputError: if there are no private gradients, if no account holds for them, and if dp-accounting is missing.
    """
    parts = [part for part in getattr(simulation.oracle, "wrappers", ()) if isinstance(part, PrivateGradients)]
    checks.require(len(parts) == 1, f"got {len(parts)} PrivateGradients in the oracle, need one; give one")
    account = of_gradients(simulation, parts[0], rounds)
    how = {"sampling": account.sampling}
    z = privacy.noise_multiplier(epsilon, delta, account.sampling_rate, account.steps, **how)
    return z * float(parts[0].noise_multiplier) / account.noise_multiplier  # a batch may count an example twice


def say_expected(simulation: Simulation, plan: Plan) -> None:
    """A note where a server divides by the number of all rows of a round, of which only some take part by chance.

    Args:
      simulation: the composed simulation.
      plan: the plan of its first round.
    """
    for part in layers(simulation.exchange):
        if isinstance(part, AT_A_SERVER) and part.expected is None and plan.active is not None:
            name, rows = type(part).__name__, plans.rows(plan)
            checks.note(
                f"{name} divides by all {rows} clients, of which each comes by chance, so that steps are too small; "
                "give expected=, the mean number of clients in a round"
            )


def line(simulation: Simulation, rounds: int, delta: float = 1e-5) -> str | None:
    """The account of a run in one line of its summary; None if no part is private or no round is done."""
    try:
        found = spent(simulation, rounds, delta) if rounds else []
    except checks.InputError as error:
        return f"not accounted: {error}"
    return "; ".join(map(str, found)) or None


def largest(simulation: Simulation, rounds: int, delta: float = DELTA) -> float | None:
    """The largest epsilon of the private parts of a run, for a table; None without an account.

    Args:
      simulation: the composed simulation.
      rounds: how many rounds.
      delta: above 0 and below 1.
    """
    try:
        return max((one.epsilon for one in spent(simulation, rounds, delta)), default=None) if rounds else None
    except checks.InputError:  # `line` says why
        return None


def _priced(account: Spent, delta: float, accountant: str) -> Spent:
    has_bound = accountant == "rdp" or account.sampling in ("poisson", "cyclic")
    how = {"sampling": account.sampling, "accountant": accountant if has_bound else "rdp"}
    z, rate = account.noise_multiplier, account.sampling_rate
    epsilon = privacy.epsilon(z, delta, rate, account.steps, **how)
    return dataclasses.replace(account, epsilon=epsilon, delta=delta)
