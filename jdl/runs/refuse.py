"""What is refused before anything is computed: parts that lack something, and what is wrong in code of the user's."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import linecache
import re
import traceback
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jdl import checks, local, tree
from jdl.compressors import Compressor
from jdl.exchange.stack import is_compressor
from jdl.runs.fingerprint import is_users_file
from jdl.types import Algorithm, Continuing, Exchange, Federated, Oracle, Problem, PyTree

__all__ = ["algorithm_parts", "draws", "explained", "finite", "functions", "kinds"]

PYTREE = "put @flax.struct.dataclass above the class"


def kinds(problem: Any, algorithm: Any, network: Any, oracle: Any) -> None:
    """Check that each part is what its place asks for, by its class: no property is evaluated.

    Raises:
      InputError: for a class in place of an instance, an object that lacks a member (it says which), a class that JAX
        does not know as a pytree, or one exchange in place of a list.
    """
    _made("problem", problem, Problem, "make one with jdl.problems")
    federated = inspect.getattr_static(algorithm, "client_init", None) is not None
    _made("algorithm", algorithm, Federated if federated else Algorithm, "make one with jdl.algorithms")
    listed = isinstance(network, list | tuple)
    checks.require(listed, f"got network={network!r}, need a list of exchanges; put it in one: [...]")
    for part in network:
        compresses = is_compressor(part)
        kind, name = (Compressor, "compressor") if compresses else (Exchange, "exchange")
        _made(name, part, kind, "make one, e.g. jdl.exchange.Lossy(0.1) or jdl.compressors.TopK(0.1)")
    if oracle is not None:
        _made("oracle", oracle, Oracle, "make one, e.g. jdl.oracle.DataOracle()")


def _made(name: str, part: Any, kind: type, do: str) -> None:
    article = "an" if name[0] in "aeo" else "a"
    need = f"need {article} {name}"
    if isinstance(part, type):
        raise checks.InputError(f"got the class {part.__name__}, {need}; call it: {part.__name__}(...)")
    checks.require(
        not isinstance(part, types.FunctionType | types.BuiltinFunctionType | types.ModuleType),
        f"got {getattr(part, '__name__', part)!r}, {need}; {do}",
    )
    missing = [member for member in members(kind) if not _has(part, member)]
    kind_name = f"jdl.types.{kind.__name__}"
    got = f"got {article} {name} of type {type(part).__name__}"
    if len(missing) == len(members(kind)):
        raise checks.InputError(f"{got}, {need} (see {kind_name}); {do}")
    lacks = " and ".join(f"`{member}`" for member in missing)
    checks.require(not missing, f"{got} that lacks {lacks}, need all that {kind_name} names; add it")
    known = not jax.tree_util.all_leaves([part])
    checks.require(known, f"{got}, a class that JAX does not know as a pytree, need one that it does; {PYTREE}")


@functools.cache
def members(kind: type) -> tuple[str, ...]:
    """The names that a protocol asks for.

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
        return hasattr(type(part), "__getattr__") and hasattr(part, name)  # one that hands on what it is asked
    return True


def algorithm_parts(algorithm: Any, known: Iterable[str]) -> None:
    """Check that the methods named in `phases` exist, and that `needs` holds words that mean something.

    Args:
      algorithm: any method.
      known: all that a method may need.

    Raises:
      InputError: with the name that is wrong, and the nearest that is right.
    """
    name = type(algorithm).__name__
    size, pattern = (3, '("broadcast", "client", "server")') if _served(algorithm) else (2, '("send", "recv")')
    phases = algorithm.phases
    right = isinstance(phases, tuple | list) and all(
        isinstance(phase, tuple | list) and len(phase) == size and all(isinstance(one, str) for one in phase)
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
        checks.known(f"need of {name}", need, known)


def _served(algorithm: Any) -> bool:
    return isinstance(algorithm, Federated)


def draws(problem: Problem, algorithm: Algorithm | Federated) -> None:
    """Check that a problem that goes on where the round before ended advances by as much as a round draws.

    Raises:
      InputError: where rounds would skip minibatches, or see some twice.
    """
    advances = problem.advances if isinstance(problem, Continuing) else None
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


def functions(algorithm: Any, params: PyTree) -> None:
    """Check the functions among the fields of a method, and of methods inside it: optimizers and decays.

    Args:
      algorithm: any method.
      params: shapes of one model.

    Raises:
      InputError: for an optimizer that is none, that was not called, or that holds a rate of its own; a decay that is
        no function of the round.
    """
    if not dataclasses.is_dataclass(algorithm):
        return
    hints = _hints(type(algorithm))
    for field in dataclasses.fields(algorithm):
        value, name = getattr(algorithm, field.name), f"{type(algorithm).__name__}.{field.name}"
        if hints.get(field.name) == local.Optimizer or isinstance(value, optax.GradientTransformation):
            _optimizer(name, value, params)
        elif hints.get(field.name) == local.Decay | None and value is not None:
            _decay(name, value)
        elif dataclasses.is_dataclass(value):
            functions(value, params)


@functools.lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # names that the class' module does not have, in code of the user's
        return {}


# Enough for a warm-up from a rate of zero to show its sign.
PROBED_STEPS = 3


def _optimizer(name: str, optimizer: Any, params: PyTree) -> None:
    if isinstance(optimizer, str):
        local.transform(optimizer)
        return
    given = getattr(optimizer, "__name__", None) or repr(optimizer)
    names = ", ".join(sorted(local.OPTIMIZERS))
    made = callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))
    call = f"; call it: {given}(...)" if callable(optimizer) else f"; try one of {names}"
    checks.require(made, f"got {name}={given}, need a name ({names}) or an optax transform without its rate{call}")
    start, up = tree.zeros_like(params), jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), params)
    try:
        with jax.numpy_dtype_promotion("standard"):
            state, along = optimizer.init(start), 0.0
            for _ in range(PROBED_STEPS):
                update, state = optimizer.update(up, state, start)
                along += float(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(update)))
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise checks.InputError(
            f"got {name}, an optax transform that cannot be applied to a gradient of this model ({why}), need one that "
            "takes gradient, state and model alone; choose another"
        ) from error
    checks.require(
        not along < 0,
        f"got {name}, an optax transform that holds a rate of its own: it turns the gradient around, and jdl "
        "multiplies by lr itself and subtracts; give the transform without its rate (optax.identity() for optax.sgd, "
        "optax.scale_by_adam() for optax.adam), and the rate as lr",
    )


def _decay(name: str, decay: Any) -> None:
    need = "need a function of the round, t -> factor on lr, or None"
    try_ = "try lambda t: 1 / (1 + 0.01 * t)"
    checks.require(callable(decay), f"got {name}={decay!r}, {need}; {try_}")
    try:
        factor = jax.eval_shape(decay, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise checks.InputError(
            f"got {name}, which fails where t is a traced array, i32[] ({type(error).__name__}: {why}), {need} that "
            f"JAX can trace: jnp in place of float(t), math and `if`; {try_}"
        ) from error
    scalar = isinstance(factor, jax.ShapeDtypeStruct) and factor.shape == ()
    got = f"of shape {factor.shape}" if isinstance(factor, jax.ShapeDtypeStruct) else repr(factor)
    checks.require(scalar, f"got {name} that returns {got}, {need}; {try_}")


def finite(what: str, values: PyTree) -> None:
    """Check that all numbers are finite.

    Raises:
      InputError: if one is not.
    """
    for leaf in jax.tree.leaves(values):
        array = np.asarray(leaf)
        good = not np.issubdtype(array.dtype, np.floating) or np.all(np.isfinite(array))
        need = f"got {what} with numbers that are not finite (NaN or infinite), need finite ones; look where they arise"
        checks.require(bool(good), need)


@contextlib.contextmanager
def explained(algorithm: Any) -> Iterator[None]:
    """Within, an error in code of the user's becomes a sentence with its place.

    Raises:
      InputError: in place of any other exception that passed through a line of the user's.
    """
    try:
        yield
    except checks.InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        here = [frame for frame in frames if is_users_file(frame.filename)]
        inside = next((i for i, frame in enumerate(frames) if frame.name == "_method"), len(frames))
        here = [frame for frame in here if frame in frames[inside:]]
        if not here:
            raise
        where, why = here[-1], (str(error).strip().splitlines() or [""])[0][:200]
        line = linecache.getline(where.filename, where.lineno).strip()
        hint = _hint(algorithm, here)
        raise checks.InputError(
            f"got {type(algorithm).__name__} whose `{here[0].name}` fails in line {where.lineno} of {where.filename} "
            f"(`{line}`): {type(error).__name__}: {why}; {hint or 'mend it'}"
        ) from error


def _hint(algorithm: Any, frames: list[traceback.FrameSummary]) -> str | None:
    """What is forgotten most often."""
    methods = [method for _, method in inspect.getmembers(type(algorithm), inspect.isfunction)]
    method = next((method for method in methods if method.__code__.co_name == frames[0].name), None)
    with contextlib.suppress(OSError, TypeError):
        for line in inspect.getsource(method).splitlines():
            assigned, _, right = line.rpartition("=")
            if re.search(r"node\.grad\([^()]*\)(?!\[)", right) and "," not in assigned:
                return "node.grad returns (gradient, what the loss returns beside it): write node.grad(x)[0]"
    return None
