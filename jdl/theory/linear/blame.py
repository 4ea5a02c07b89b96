"""Which part of a simulation keeps its rounds from being affine."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jdl.compressors import Identity
from jdl.engine import sim as simulator
from jdl.engine.rounds import step
from jdl.engine.sim import Simulation
from jdl.exchange import Linear
from jdl.exchange.stack import layers
from jdl.oracle import DataOracle, GradientNoise
from jdl.oracle.stack import stack_oracles
from jdl.problems.quadratic import quadratic

__all__ = ["what_is_not_affine"]

# Exact rounds stay far below this, relative to the size of a state.
ROUNDING = 1e-6


def what_is_not_affine(s: Simulation) -> str:
    """A sentence that names the parts of a simulation that are not affine.

    All parts are replaced by affine ones, then put back one at a time.
    """
    plain = s.replace(oracle=_oracle(s, ()), exchange=Linear(), exchange_down=None, problem=quadratic(s.problem.n, 2))
    named = []
    if not _is_affine(plain):
        named = _of_algorithm(plain) or [f"the algorithm {type(s.algorithm).__name__}"]
    else:
        if not _is_affine(plain.replace(problem=s.problem)):
            named.append(f"the problem {type(s.problem).__name__} (its gradient is not affine)")
        named += [
            _name(layer)
            for exchange, down in ((s.exchange, False), (s.exchange_down, True))
            for layer in (layers(exchange) if exchange is not None else ())
            if not _is_affine(plain.replace(**{"exchange_down" if down else "exchange": _alone(layer)}))
        ]
        named += [
            f"the oracle {type(wrapper).__name__}"
            for wrapper in getattr(s.oracle, "wrappers", ())
            if not isinstance(wrapper, GradientNoise) and not _is_affine(plain.replace(oracle=_oracle(s, (wrapper,))))
        ]
    named = named or _by_removal(s)
    remembers = f"{type(s.algorithm).__name__}, whose state combines models with a number that depends on earlier draws"
    parts = " and ".join(named) or remembers
    need = "need rounds that are affine in what nodes hold"
    return f"got {parts}, {need}; exact prediction is for quadratic losses and linear methods and exchanges"


def _oracle(s: Simulation, wrappers: tuple) -> object:
    inner = getattr(s.oracle, "inner", s.oracle)
    return stack_oracles([*wrappers, inner if isinstance(inner, DataOracle) else DataOracle()])


def _of_algorithm(s: Simulation) -> list[str]:
    """The local optimizer, or the compressors, of an algorithm that is affine without them."""
    optimizer, name = getattr(s.algorithm, "optimizer", "sgd"), type(s.algorithm).__name__
    if optimizer != "sgd" and _is_affine(s.replace(algorithm=s.algorithm.replace(optimizer="sgd"))):
        return [f"the optimizer {optimizer if isinstance(optimizer, str) else type(optimizer).__name__} of {name}"]
    codecs = {
        field.name: value
        for field in dataclasses.fields(s.algorithm)
        if type(value := getattr(s.algorithm, field.name)).__module__.startswith("jdl.compressors")
    }
    bare = s.replace(algorithm=s.algorithm.replace(**dict.fromkeys(codecs, Identity())))
    found = codecs and _is_affine(bare)
    return (
        [f"the compressor {type(codec).__name__} of {type(s.algorithm).__name__}" for codec in codecs.values()]
        if found
        else []
    )


def _by_removal(s: Simulation) -> list[str]:
    """The wrappers without which the simulation is affine; for parts that do not fit the stand-ins for others."""
    wrappers = getattr(s.oracle, "wrappers", ())
    rest = lambda one: tuple(wrapper for wrapper in wrappers if wrapper is not one)
    return [
        f"the oracle {type(wrapper).__name__}"
        for wrapper in wrappers
        if _is_affine(s.replace(oracle=_oracle(s, rest(wrapper)))) and not _is_affine(s)
    ]


def _name(layer: object) -> str:
    codec = getattr(layer, "compressor", None)
    return f"the exchange {type(layer).__name__}" if codec is None else f"the compressor {type(codec).__name__}"


def _alone(layer: object) -> object:
    return layer.replace(inner=Linear()) if hasattr(layer, "inner") else layer


def _is_affine(s: Simulation) -> bool:
    """Whether three rounds map the middle of two starts to the middle of their results.

    Rounds that raise an error count as affine, since a part may not fit the stand-in for another part.
    """
    key = jax.random.key(7)
    model = jax.eval_shape(s.problem.init, s.key)
    draw = lambda i: jax.tree.map(lambda x: 5 * jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype), model)
    first, second = draw(0), draw(1)
    middle = jax.tree.map(lambda x, y: (x + y) / 2, first, second)

    def after(start):
        state = simulator.init(s, start)
        for _ in range(3):
            state = step(s, state)[0]
        return simulator.models(s, state)

    try:
        ends = jax.jit(jax.vmap(after))(jax.tree.map(lambda *x: jnp.stack(x), first, second, middle))
    except Exception:
        return True
    leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(ends)]
    size = max(np.abs(leaf).max() for leaf in leaves)
    return all(np.abs((leaf[0] + leaf[1]) / 2 - leaf[2]).max() <= ROUNDING * size for leaf in leaves)
