"""Checks of the parts of a simulation, before anything is computed."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.compressors import Compressor
from jdl.engine import clock
from jdl.engine.metrics import COLUMNS
from jdl.exchange.stack import is_compressor
from jdl.problems import offers
from jdl.roles import attacking
from jdl.runs.signatures import COMPRESSOR, EXCHANGE, PROBLEM, check_calls
from jdl.types import Algorithm, Exchange, Federated, Problem, PyTree, Roles

__all__ = ["algorithm_parts", "draws", "finite", "kinds", "members", "metrics", "own", "roles"]

# Columns of a history, of `Result.nodes`, or of the files and the table of a sweep, that are no metrics.
TAKEN = {"round", "seconds", "bits_sent", "messages_sent", "megabytes", "node", "seed", "degree", "honest", "group"}
TAKEN |= {"num_examples", "job", "point", "seeds", "diverged", *clock.COLUMNS}

PYTREE = "put @flax.struct.dataclass above the class"


def kinds(problem: Any, algorithm: Any, network: Any, network_down: Any) -> None:
    """Check that each part implements its protocol. The members are looked up; no property is evaluated.

    Args:
      problem: implements `jdl.types.Problem`.
      algorithm: implements `jdl.types.Algorithm` or `jdl.types.Federated`.
      network: a list of exchanges and compressors.
      network_down: a list of exchanges and compressors.

    Raises:
      InputError: if a part is a class and not an instance, lacks a member (the sentence names it), or is not a pytree
        for JAX; if a network is not a list.
    """
    for part in (problem, algorithm, network, network_down):
        checks.settled(part)
    _check_part("problem", problem, Problem, "make one with jdl.problems")
    federated = inspect.getattr_static(algorithm, "client_init", None) is not None
    _check_part("algorithm", algorithm, Federated if federated else Algorithm, "make one with jdl.algorithms")
    for name, value in (("network", network), ("network_down", network_down)):
        listed = isinstance(value, list | tuple)
        checks.require(listed, f"got {name}={value!r}, need a list of exchanges; put it in one: [...]")
    for part in (*network, *network_down):
        compresses = is_compressor(part)
        kind, name = (Compressor, "compressor") if compresses else (Exchange, "exchange")
        _check_part(name, part, kind, "make one, e.g. jdl.exchange.Lossy(0.1) or jdl.compressors.TopK(0.1)")
        check_calls(part, COMPRESSOR if compresses else EXCHANGE)
        for words in () if compresses else ("needs", "breaks"):
            given, what = getattr(part, words), f"{type(part).__name__}.{words}"
            a_set = isinstance(given, set | frozenset)
            checks.require(a_set, f"got {what}={given!r}, need a set of words; write frozenset({{'peers'}})")
    check_calls(problem, PROBLEM)
    down = f"got network_down with {type(algorithm).__name__}, which has no server"
    checks.require(federated or not network_down, f"{down}; put these exchanges in network")


def _check_part(name: str, part: Any, kind: type, do: str) -> None:
    """Check that one part implements the protocol `kind`."""
    article = "an" if name[0] in "aeo" else "a"
    need = f"need {article} {name}"
    if isinstance(part, type):
        raise checks.InputError(f"got the class {part.__name__}, {need}; call it: {part.__name__}(...)")
    if isinstance(part, types.FunctionType | types.BuiltinFunctionType | types.ModuleType):
        raise checks.InputError(f"got {part.__name__!r}, {need}; {do}")
    missing = [member for member in members(kind) if not _has(part, member)]
    kind_name = f"{'jdl.compressors' if kind is Compressor else 'jdl.types'}.{kind.__name__}"
    got = f"got {article} {name} of type {type(part).__name__}"
    if len(missing) == len(members(kind)):
        raise checks.InputError(f"{got}, {need} (see {kind_name}); {do}")
    lacks = " and ".join(f"`{member}`" for member in missing)
    checks.require(not missing, f"{got} that lacks {lacks}, need all that {kind_name} names; add it")
    known = not jax.tree_util.all_leaves([part])
    checks.require(known, f"{got}, a class that JAX does not know as a pytree, need a registered one; {PYTREE}")


@functools.cache
def members(kind: type) -> tuple[str, ...]:
    """The names of the members that a protocol requires.

    >>> members(Exchange)
    ('apply', 'breaks', 'init', 'needs')
    """
    protocols = [base for base in kind.__mro__ if getattr(base, "_is_protocol", False) and base is not typing.Protocol]
    names = {name for base in protocols for name in (*vars(base), *inspect.get_annotations(base))}
    return tuple(sorted(name for name in names if not name.startswith("_") or name == "__call__"))


def _has(part: Any, name: str) -> bool:
    try:
        inspect.getattr_static(part, name)
    except AttributeError:
        return hasattr(type(part), "__getattr__") and hasattr(part, name)  # a wrapper that forwards its attributes
    return True


def algorithm_parts(algorithm: Any, known: Iterable[str]) -> None:
    """Check that the methods named in `phases` exist, and that every need in `needs` is a known one.

    Args:
      algorithm: any method.
      known: the names of all needs.

    Raises:
      InputError: if a name is unknown; the sentence suggests the nearest known name.
    """
    name = type(algorithm).__name__
    served = isinstance(algorithm, Federated)
    size, pattern = (3, '("broadcast", "client", "server")') if served else (2, '("send", "recv")')
    phases = algorithm.phases
    right = isinstance(phases, tuple | list) and all(
        isinstance(phase, tuple | list) and len(phase) == size and all(isinstance(name, str) for name in phase)
        for phase in phases
    )
    checks.require(right and phases, f"got {name}.phases={phases!r}, need a tuple of {pattern}; write ({pattern},)")
    public = [method for method, _ in inspect.getmembers(type(algorithm), callable) if not method.startswith("_")]
    for method in (method for phase in phases for method in phase):
        near = " or ".join(checks.nearest(method, public)[:2])
        sentence = f"got {name} whose phases name {method!r}, a method that it lacks; write it, or did you mean {near}?"
        checks.require(callable(getattr(algorithm, method, None)), sentence)
    needs = algorithm.needs
    a_set = isinstance(needs, set | frozenset) and all(isinstance(need, str) for need in needs)
    checks.require(a_set, f"got {name}.needs={needs!r}, need a set of words; write frozenset({{'peers', 'grad'}})")
    for need in sorted(needs - set(known)):
        if not need.startswith("loss:"):
            checks.known(f"need of {name}", need, known)
    if served != ("server" in needs):
        got = "has `client_init` and does not need 'server'" if served else "needs 'server' and has no `client_init`"
        raise checks.InputError(f"got {name} that {got}, need both or neither; see jdl.types.Federated")


def draws(problem: Problem, algorithm: Algorithm | Federated) -> None:
    """Check that data in a fixed order advance in a round by as many minibatches as the method draws in it.

    Args:
      problem: any problem; only one that offers "advances" is checked.
      algorithm: any method.

    Raises:
      InputError: if rounds would skip minibatches, or draw some twice.
    """
    advances = problem.advances if "advances" in offers.of(problem) else None
    if advances is None:
        return
    name, drawn = type(algorithm).__name__, getattr(algorithm, "draws_per_round", 1)
    sentence = f"got {name}, which draws another number of minibatches in every round, and data of steps_per_round="
    checks.require(drawn is not None, f"{sentence}{advances}, need as many; give the problem sampling='round'")
    says = "" if hasattr(algorithm, "draws_per_round") else ", or the method a property `draws_per_round`"
    checks.require(
        advances == drawn,
        f"got {name}, which draws {drawn} minibatches a round, and data of steps_per_round={advances}, need as many; "
        f"give the problem steps_per_round={drawn}, or sampling='round'{says}",
    )


def finite(what: str, values: PyTree) -> None:
    """Check that all numbers of a pytree are finite.

    Args:
      what: the name of the argument, for the sentence.
      values: a pytree of arrays.

    Raises:
      InputError: if a number is infinite or NaN.
    """
    for leaf in jax.tree.leaves(values):
        array = np.asarray(leaf)
        good = not np.issubdtype(array.dtype, np.floating) or np.all(np.isfinite(array))
        need = f"got {what} with numbers that are not finite (NaN or infinite), need finite ones; look where they arise"
        checks.require(bool(good), need)


def roles(given: Roles | None, attackers: Any, n: int) -> Roles | None:
    """Check that roles are of n nodes, one of which is honest, or make them of attackers.

    Args:
      given: the roles, or None.
      attackers: a share or a number of dishonest nodes, their ids, or None.
      n: the number of nodes.

    Returns:
      The roles, or None.

    Raises:
      InputError: if they are of another number of nodes or of another type, if nobody is honest, or if both are given.
    """
    if attackers is not None:
        both = "got roles and attackers, need one of them; give roles=jdl.roles.of(honest=..., group=...)"
        checks.require(given is None, both)
        return attacking(attackers, n)
    if given is None:
        return None
    try_ = "try jdl.roles.draw(n, dishonest=0.25), or jdl.roles.of(honest=...)"
    checks.require(isinstance(given, Roles), f"got roles={given!r}, need Roles; {try_}")
    for name, kinds, needed in (("honest", "b", "True or False"), ("group", "iu", "a whole number")):
        got = np.asarray(getattr(given, name))
        good = got.shape == (n,) and got.dtype.kind in kinds
        says = f"got roles with {name} of shape {got.shape} and type {got.dtype}"
        checks.require(good, f"{says}, need {needed} for each of {n} nodes; {try_}")
    checks.require(bool(np.any(given.honest)), f"got roles in which nobody is honest, need an honest node; {try_}")
    return given


def metrics(given: Any) -> tuple[tuple[str, Callable[..., Any]], ...]:
    """The user's own metrics as pairs of a name and a function.

    Args:
      given: a dict of functions by name, or None.

    Raises:
      InputError: if it is something else, or if a name is that of another column.
    """
    need = "need a dict of functions (models, state, simulation) -> f[] or f[n]; write metrics={'name': function}"
    checks.require(given is None or isinstance(given, Mapping), f"got metrics={given!r}, {need}")
    for name, function in (given or {}).items():
        good = isinstance(name, str) and name.isidentifier() and callable(function)
        checks.require(good, f"got metrics with {name!r}: {function!r}, {need}")
        # A number for each node has the columns mean_NAME and std_NAME, which the built-in metrics have, too.
        taken = {*COLUMNS, *TAKEN} & {name, f"mean_{name}", f"std_{name}"}
        checks.require(not taken, f"got a metric named {name!r}, which is a column already; choose another name")
    return tuple((given or {}).items())


def own(asked: bool, problem: Problem) -> None:
    """Check that a problem can tell what each node meets, if that is asked for.

    Raises:
      InputError: if it cannot.
    """
    checks.require(isinstance(asked, bool), f"got own={asked!r}, need True or False; leave own out")
    name = type(problem).__name__
    need = f"got own=True and the problem {name}, which does not know each node's own test data"
    checks.require(not asked or "own" in offers.of(problem), f"{need}, need one that offers 'own'; leave own out")
