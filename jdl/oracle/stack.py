"""A list of wrappers around an oracle, as one oracle."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
from flax import struct

from jdl import checks
from jdl.oracle.data_oracle import DataOracle
from jdl.oracle.queries import Queries
from jdl.types import BatchId, Data, Full, Key, Oracle, Part, Problem, PyTree, Query, Which, Wrapper

__all__ = ["PIECES", "Stack", "answers", "as_oracle", "stack_oracles"]

# The methods by which a class is known as a wrapper: what it may change, and `begin` of one with a memory.
PIECES = ("batch", "objective", "grad", "steps", "begin")

# The pieces that return two values, and what these are.
PAIRS = {"objective": "(loss, second output)", "grad": "(gradient, second output of the loss)"}

# Folded into the key of a node for each wrapper but the first, with its place; the ASCII codes of "plac".
PLACE = 0x706C6163

# Queries that the data of every problem answer.
ALWAYS = frozenset({"grad", "loss", "hvp", "full"})


@struct.dataclass
class Stack(Queries):
    """Wrappers around an oracle: the first is asked first and asks the next one, and the last asks the data.

    Args:
      wrappers: the wrappers, see `jdl.types.Wrapper`.
      inner: the oracle of the data.
    """

    wrappers: tuple[Wrapper, ...]
    inner: DataOracle = DataOracle()

    @property
    def offers(self) -> frozenset[str]:
        breaks = [getattr(wrapper, "breaks", frozenset()) for wrapper in self.wrappers]
        # A proximal operator in closed form takes no account of other examples or of another loss.
        other = any(hasattr(wrapper, piece) for wrapper in self.wrappers for piece in ("batch", "objective"))
        return self.inner.offers - frozenset({"prox"} if other else ()).union(*breaks)

    def init(self, problem: Problem, key: Key) -> PyTree:
        parts = (*self.wrappers, self.inner)
        keys = jax.random.split(key, len(parts))
        both = zip(parts, keys, strict=True)
        memory = tuple(part.init(problem, key) if hasattr(part, "init") else () for part, key in both)
        return memory if jax.tree.leaves(memory) else ()

    def begin(self, memory: PyTree, data: Data, model: PyTree) -> PyTree:
        after = []
        for part, before in zip((*self.wrappers, self.inner), self._memories(memory), strict=True):
            own = data.replace(memory=before)
            after.append(part.begin(before, own, model) if hasattr(part, "begin") else before)
        return tuple(after) if jax.tree.leaves(memory) else memory

    def piece_batch(self, data: Data, query: Query) -> PyTree:
        return self._ask("batch", self.inner.piece_batch, data, query)

    def piece_objective(self, data: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[jax.Array, PyTree]:
        return self._ask("objective", self.inner.piece_objective, data, params, batch, query)

    def piece_grad(self, data: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[PyTree, PyTree]:
        def of_objective(inner: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[PyTree, PyTree]:
            about = inner.replace(
                memory=data.memory, key=data.key
            )  # all wrappers are asked for the loss, the first one first
            return jax.grad(lambda x: self.piece_objective(about, x, batch, query), has_aux=True)(params)

        def objective(inner: Data, params: PyTree, batch: PyTree, query: Query) -> tuple[jax.Array, PyTree]:
            return self.piece_objective(inner.replace(memory=data.memory, key=data.key), params, batch, query)

        return self._ask("grad", of_objective, data, params, batch, query, objective=objective)

    def piece_steps(self, data: Data) -> jax.Array | None:
        return self._ask("steps", lambda data: self.inner.steps(data.replace(works=None)), data)

    def name_of(self, data: Data, which: Which) -> BatchId | Full | Part:
        return self.inner.name_of(data, which)

    def _ask(
        self, piece: str, last: Callable[..., Any], data: Data, *arguments: Any, objective: Callable | None = None
    ) -> Any:
        """Ask the wrappers for one piece in their order, each with the memory of its own."""
        memories = self._memories(data.memory)
        ask = lambda data, *arguments: last(data.replace(memory=memories[-1]), *arguments)
        for place, (wrapper, memory) in reversed([*enumerate(zip(self.wrappers, memories[:-1], strict=True))]):
            if hasattr(wrapper, piece):
                ask.objective = objective
                ask = _asking(piece, wrapper, ask, memory, place)
        return ask(data, *arguments)

    def _memories(self, memory: PyTree) -> tuple[PyTree, ...]:
        return memory if jax.tree.leaves(memory) else ((),) * (len(self.wrappers) + 1)


def _asking(piece: str, wrapper: Wrapper, inner: Callable[..., Any], memory: PyTree, place: int) -> Callable[..., Any]:
    """A wrapper's answer. Each but the first has a key of its own, so that two of them never draw the same noise."""

    def ask(data: Data, *arguments: Any) -> Any:
        key = data.key if place == 0 else jax.random.fold_in(data.key, PLACE + place)
        below = lambda data_, *rest: inner(data_.replace(key=data.key), *rest)
        below.objective = getattr(inner, "objective", None)
        out = getattr(wrapper, piece)(below, data.replace(memory=memory, key=key), *arguments)
        if piece in PAIRS:
            got = f"got {type(wrapper).__name__} whose `{piece}` returns {type(out).__name__}"
            pair = isinstance(out, tuple) and len(out) == 2
            checks.require(pair, f"{got}, need {PAIRS[piece]}; return both, as `inner` does")
        return out

    return ask


def stack_oracles(parts: list[Any] | tuple[Any, ...]) -> Oracle:
    """Stack wrappers: the first is asked first, and the last asks the data.

    Args:
      parts: wrappers; the last may be an oracle of the data, `DataOracle(epochs=1)`, which is `DataOracle()` if it is
        left out.

    Returns:
      The oracle; the last part itself if there are no wrappers.

    Raises:
      InputError: if a part is neither a wrapper nor an oracle, or if an oracle is not the last.

    >>> from jdl.oracle import GradientNoise
    >>> type(stack_oracles([GradientNoise(0.1)])).__name__, stack_oracles([])
    ('Stack', DataOracle(epochs=None))
    """
    flat: list[Any] = []
    for part in parts:
        flat += _parts_of(part)
    inner = flat.pop() if flat and _is_oracle(flat[-1]) else DataOracle()
    for part in flat:
        name = type(part).__name__
        checks.require(not _is_oracle(part), f"got the oracle {name} before another part, need it last; move it")
        for member in ("batch", "objective", "grad", "steps", "init", "begin"):
            callable_ = callable(getattr(part, member, lambda: None))
            checks.require(callable_, f"got the wrapper {name} whose {member!r} is no method; give it another name")
        known = not jax.tree_util.all_leaves([part])
        do = "put @flax.struct.dataclass above the class"
        checks.require(known, f"got {name}, a class that JAX does not know as a pytree, need a registered one; {do}")
    if not flat:
        return inner
    got = f"got the oracle {type(inner).__name__} below wrappers, need a jdl.oracle.DataOracle or a class derived of it"
    checks.require(isinstance(inner, DataOracle), f"{got}; write it as a wrapper, see jdl.types.Wrapper")
    return Stack(tuple(flat), inner)


def as_oracle(given: Any) -> Oracle:
    """The oracle of a simulation, from what a user gives: None, an oracle, a wrapper, or a list of them.

    Raises:
      InputError: if it is none of these; see `stack_oracles`.

    >>> as_oracle(None), as_oracle([DataOracle(epochs=2)])
    (DataOracle(epochs=None), DataOracle(epochs=2))
    """
    return stack_oracles([] if given is None else given if isinstance(given, list | tuple) else [given])


def answers(oracle: Oracle, problem: Problem) -> frozenset[str]:
    """The words of `needs` that an oracle answers about a problem.

    Args:
      oracle: what it can answer is in its `offers`.
      problem: what it has is in its `offers`.
    """
    has = getattr(problem, "offers", frozenset())
    named = {word for word in has if word.startswith("loss:")} if oracle.offers & {"grad", "loss"} else set()
    return (oracle.offers & (ALWAYS | has)) | named


def _is_oracle(part: Any) -> bool:
    return hasattr(part, "offers") and not isinstance(part, type)


def _parts_of(part: Any) -> list[Any]:
    """The wrappers and oracles of which one entry of the list consists."""
    if isinstance(part, Stack):
        return [*part.wrappers, part.inner]
    if isinstance(part, type):
        raise checks.InputError(
            f"got the class {part.__name__}, need an oracle or a wrapper; call it: {part.__name__}(...)"
        )
    good = _is_oracle(part) or any(callable(getattr(part, piece, None)) for piece in PIECES)
    pieces = ", ".join(PIECES)
    need = f"need an oracle, or a wrapper, which has one of the methods {pieces} (see jdl.types.Wrapper)"
    checks.require(good, f"got an oracle of type {type(part).__name__}, {need}; make one, e.g. jdl.oracle.DataOracle()")
    inner = getattr(part, "inner", None)
    if _is_oracle(part) or inner is None or not _is_oracle(inner):
        return [part]
    name = type(part).__name__
    warnings.warn(f"{name}(inner=...) is spelled oracle=[{name}(...), ...]", DeprecationWarning, stacklevel=4)
    return [part.replace(inner=None), *_parts_of(inner)]
