"""A user's function is known by what it does, not by its name: in configurations, and in programs that are kept."""

import functools
import json
import sys
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

import jdl
from jdl.algorithms import DPSGD
from jdl.runs import fingerprint

N = 4
RATE = 1.0
SETTINGS = {"rate": 1.0}
TABLE = np.ones(3)
mine = types.ModuleType("mine_of_this_test")


def problem():
    return jdl.problems.quadratic(nodes=N, dim=3)


def run(algorithm, rounds=3, **options):
    return jdl.run(problem(), algorithm, jdl.topology.ring(N), rounds=rounds, progress=False, **options)


def described(algorithm):
    found = sys.modules[fingerprint.__name__.replace("fingerprint", "describe")].describe(
        jdl.simulation(problem(), algorithm, jdl.topology.ring(N))
    )
    return json.dumps(found["algorithm"])


def schedule(k):
    return lambda t: 1 / (1 + k * t)


def default(k):
    def decay(t, k=k):
        return k / (1 + t)

    return decay


def nested(k):
    def decay(t):
        def inner():
            return schedule(k)(t)

        return inner()

    return decay


class Decay:
    def __init__(self, k):
        self.k = k

    def __call__(self, t):
        return self.k / (1 + t)

    def at(self, t):
        return self.k / (1 + t)


def net(power):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(x**power)

    return Net


KINDS = {
    "constant in the code": (lambda: lambda t: 0.5**t, lambda: lambda t: 0.25**t),
    "operation": (lambda: lambda t: 1 / (1 + t), lambda: lambda t: 1 / (1 - t)),
    "attribute": (lambda: lambda t: jnp.sin(t), lambda: lambda t: jnp.cos(t)),
    "closure": (lambda: schedule(0.0), lambda: schedule(5.0)),
    "array in a closure": (lambda: schedule(np.arange(3)), lambda: schedule(np.arange(3) + 1)),
    "default": (lambda: default(1.0), lambda: default(2.0)),
    "function in a function": (lambda: nested(1.0), lambda: nested(2.0)),
    "partial": (
        lambda: functools.partial(lambda t, k: k * t, k=1.0),
        lambda: functools.partial(lambda t, k: k * t, k=2.0),
    ),
    "callable": (lambda: Decay(1.0), lambda: Decay(2.0)),
    "bound method": (lambda: Decay(1.0).at, lambda: Decay(2.0).at),
    "jit": (lambda: jax.jit(schedule(1.0)), lambda: jax.jit(schedule(2.0))),
    "optax schedule": (
        lambda: optax.cosine_decay_schedule(1.0, 40),
        lambda: optax.cosine_decay_schedule(1.0, 10),
    ),
    "optax schedules joined": (
        lambda: optax.join_schedules([optax.constant_schedule(1.0), optax.constant_schedule(0.1)], [10]),
        lambda: optax.join_schedules([optax.constant_schedule(1.0), optax.constant_schedule(0.1)], [20]),
    ),
    "optax transform": (lambda: optax.trace(0.9), lambda: optax.trace(0.1)),
    "optax chain": (
        lambda: optax.chain(optax.clip(1.0), optax.scale_by_adam(b1=0.9)),
        lambda: optax.chain(optax.clip(1.0), optax.scale_by_adam(b1=0.8)),
    ),
    "flax module": (lambda: nn.Dense(2), lambda: nn.Dense(3)),
    "flax class of one name": (lambda: net(1)(), lambda: net(2)()),
    "pair of functions": (
        lambda: jdl.models.Functions(lambda key, x: x, lambda w, x: x @ w),
        lambda: jdl.models.Functions(lambda key, x: x, lambda w, x: x * w),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_twice_is_equal_and_what_does_another_thing_is_not(kind):
    first, second = KINDS[kind]
    assert fingerprint.of_value(first()) == fingerprint.of_value(first()) != fingerprint.of_value(second())


GLOBALS = {
    "a number": (lambda t: RATE * t, lambda patch, to: patch.setitem(globals(), "RATE", to)),
    "an entry of a dictionary": (lambda t: SETTINGS["rate"] * t, lambda patch, to: patch.setitem(SETTINGS, "rate", to)),
    "an array changed in place": (lambda t: TABLE[0] * t, lambda patch, to: TABLE.__setitem__(0, to)),
    "an attribute of a module": (lambda t: mine.rate * t, lambda patch, to: patch.setattr(mine, "rate", to)),
    "another function": (
        lambda t: schedule(1)(t),
        lambda patch, to: patch.setitem(globals(), "schedule", lambda k: lambda t: to * t),
    ),
    "a function that a function calls": (
        lambda t: nested(1)(t),
        lambda patch, to: patch.setitem(globals(), "schedule", lambda k: lambda t: to * t),
    ),
}


@pytest.mark.parametrize("kind", GLOBALS)
def test_globals_that_a_function_reads_are_part_of_it(kind, monkeypatch):
    monkeypatch.setattr(mine, "rate", 1.0, raising=False)
    function, change = GLOBALS[kind]
    digests = [fingerprint.of_value(function)]
    for to in (2.0, 1.0, 2.0):
        change(monkeypatch, to)
        digests.append(fingerprint.of_value(function))
    assert digests[1] != digests[2] and digests[1] == digests[3]
    TABLE[0] = 1.0


def test_a_function_that_reads_itself_or_a_circle_has_a_digest():
    loop = []
    loop.append(loop)

    def again(t):
        return again(t - 1) if loop else t

    assert fingerprint.of_value(again) == fingerprint.of_value(again)


def test_parts_of_jdl_are_known_by_public_names_and_rates_are_no_part_of_the_code():
    assert json.loads(described(DPSGD()))["type"] == "jdl.algorithms.DPSGD"
    parts = [jdl.simulation(problem(), DPSGD(lr=lr), jdl.topology.ring(N)).code for lr in (0.1, 0.2)]
    assert parts[0] == parts[1]


def test_a_program_is_made_anew_where_a_global_has_changed(monkeypatch):
    """The loss after three rounds at rate 1 and at rate 0, where nothing moves."""
    algorithm = DPSGD(lr=0.1, decay=lambda t: RATE)
    start = np.arange(3.0, dtype=np.float32)
    moved = run(algorithm, params=start).mean_model
    monkeypatch.setitem(globals(), "RATE", 0.0)
    np.testing.assert_array_equal(run(algorithm, params=start).mean_model, start)
    assert np.abs(moved - start).max() > 0.01


@struct.dataclass
class Pull:
    """Gossip without gradients, towards a global."""

    needs = frozenset({"peers", "row_stochastic"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return state, state

    def recv(self, state, inbox, node):
        return jnp.full_like(state, RATE), {}

    def model(self, state):
        return state


def test_a_method_of_ones_own_that_reads_a_global_is_traced_anew(monkeypatch):
    built = [run(Pull()).mean_model[0]]
    monkeypatch.setitem(globals(), "RATE", 3.0)
    built.append(run(Pull()).mean_model[0])
    monkeypatch.setattr(Pull, "recv", lambda self, state, inbox, node: (jnp.full_like(state, 7.0), {}))
    built.append(run(Pull()).mean_model[0])
    assert built == [1.0, 3.0, 7.0]


def test_a_score_that_reads_a_global_is_read_anew(monkeypatch):
    score = lambda history: RATE * history["suboptimality"][-1]
    built = jdl.simulation(problem(), DPSGD(), jdl.topology.ring(N))
    first = jdl.tune(built, 3, values=[0.1], score=score).score
    monkeypatch.setitem(globals(), "RATE", 2.0)
    assert jdl.tune(built, 3, values=[0.1], score=score).score == pytest.approx(2 * first)


@pytest.mark.parametrize("kind", ["optax transform", "class"])
def test_resuming_with_another_function_is_refused(kind, tmp_path, interrupt):
    if kind == "class":
        first, second = Pull(), struct.dataclass(type("Pull", (Pull,), {"model": lambda self, state: 2 * state}))()
    else:
        first, second = (DPSGD(optimizer=make()) for make in KINDS[kind])
    assert run(first, run_dir=tmp_path / "a").status == "interrupted"
    interrupt.undo()
    with pytest.raises(jdl.checks.InputError, match=r"another configuration: simulation\.algorithm"):
        run(second, run_dir=tmp_path / "a", resume=True)
    first = Pull() if kind == "class" else DPSGD(optimizer=KINDS[kind][0]())  # the same, made anew
    assert run(first, run_dir=tmp_path / "a", resume=True).status == "finished"
