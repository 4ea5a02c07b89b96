"""Parts that lack something, and mistakes in code of the user's: a sentence that names what is wrong."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

import jdl
from jdl import checks, tree
from jdl.types import number, static

N, DIM = 4, 3
P = jdl.problems.quadratic(nodes=N, dim=DIM)
RING = jdl.topology.ring(N)
DPSGD, FedAvg = jdl.algorithms.DPSGD, jdl.algorithms.FedAvg


def refused(algorithm=None, problem=P, topology=RING, **options):
    with pytest.raises(checks.InputError) as error:
        jdl.simulation(problem, algorithm or DPSGD(), topology, **options)
    return str(error.value)


@struct.dataclass
class Right:
    """Gossip with a gradient step, from which the wrong ones below differ in one place."""

    lr: float = number(0.1, minimum=0)
    twice: bool = static(False)
    needs = frozenset({"peers", "row_stochastic", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        g, _ = node.grad(state)
        return tree.axpy(-self.lr, g, state), state

    def recv(self, state, inbox, node):
        return inbox, {}

    def model(self, state):
        return state


def other(**members):
    return struct.dataclass(type("Mine", (Right,), {"__annotations__": {}, **members}))()


class Pair(NamedTuple):
    x: jax.Array
    y: jax.Array


def one_value(self, state, inbox, node):
    return inbox


def state_of_two(self, state, inbox, node):
    return Pair(inbox, inbox)


def message_alone(self, state, node):
    return state


def three(self, state, node):
    return state, state, {}


def whole_grad(self, state, node):
    g = node.grad(state)
    return tree.axpy(-self.lr, g, state), state


def typo_inside(self, state, node):
    return state + nodde.t, state  # noqa: F821


def tracer_as_bool(self, state, node):
    return (state if state[0] > 0 else -state), state


MISTAKES = {
    "recv without info": ({"recv": one_value}, "`recv` returns one value of type", "need (state, info)"),
    "recv that returns a state of two": (
        {"recv": state_of_two},
        "`recv` returns one value of type Pair",
        "(state, info)",
    ),
    "send without state": ({"send": message_alone}, "`send` returns one value of type", "need (message, state)"),
    "send of three": ({"send": three}, "`send` returns 3 values", "need (message, state)"),
    "grad as it comes": ({"send": whole_grad}, "`whole_grad` fails in line", "write node.grad(x)[0]"),
    "a name that is not there": ({"send": typo_inside}, "`typo_inside` fails in line", "name 'nodde' is not defined"),
    "an if on a number": ({"send": tracer_as_bool}, "TracerBoolConversionError", "(`return (state if state[0] > 0"),
    "a phase of one": ({"phases": (("send",),)}, "Mine.phases=", 'write (("send", "recv"),)'),
    "phases not in a tuple": ({"phases": ("send", "recv")}, "Mine.phases=", 'write (("send", "recv"),)'),
    "no phases": ({"phases": ()}, "Mine.phases=()", 'write (("send", "recv"),)'),
    "a phase that is not there": (
        {"phases": (("sned", "recv"),)},
        "name 'sned', a method that it lacks",
        "did you mean send",
    ),
    "a need that is none": (
        {"needs": frozenset({"peer"})},
        "need of Mine 'peer', which does not exist",
        "did you mean peers",
    ),
    "needs in a list": ({"needs": ["peers"]}, "Mine.needs=['peers'], need a set of words", "frozenset("),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("mapping", ["auto", "loop"])
def test_mistakes_in_a_method_of_ones_own_are_named(name, mapping):
    members, *words = MISTAKES[name]
    said = refused(other(**members), mapping=mapping)
    assert all(word in said for word in words), said


def test_the_right_one_is_taken():
    jdl.simulation(P, Right(), RING)
    jdl.simulation(P, other(), RING)


class Plain:
    needs, phases = Right.needs, Right.phases
    init, send, recv, model = Right.init, Right.send, Right.recv, Right.model


class Subclass(DPSGD):
    pass


@pytest.mark.parametrize("algorithm", [Plain(), Subclass(), dataclasses.dataclass(Plain)()])
def test_a_class_that_jax_does_not_know_is_told_what_to_put_above_it(algorithm):
    assert "JAX does not know as a pytree" in (said := refused(algorithm)) and "@flax.struct.dataclass above" in said


def lacking(kind, *names):
    members = {name: value for name, value in vars(kind).items() if name not in (*names, "__dict__", "__weakref__")}
    return type("Lacks", (), members)()


def test_what_is_lacking_is_named():
    assert "that lacks `model`, need all that jdl.types.Algorithm names" in refused(lacking(Plain, "model"))
    assert "that lacks `model` and `phases`" in refused(lacking(Plain, "model", "phases"))
    assert "that lacks `full_batch` and `optimum`, need all that jdl.types.Problem" in refused(problem=WithoutOptimum())
    assert "got the class DPSGD, need an algorithm; call it: DPSGD(...)" in refused(DPSGD)
    assert "got an algorithm of type str" in refused("dpsgd")
    assert "got 'quadratic', need a problem; make one with jdl.problems" in refused(problem=jdl.problems.quadratic)
    assert "got an exchange of type str" in refused(network=["lossy"])
    assert "got the class Lossy, need an exchange; call it: Lossy(...)" in refused(network=[jdl.exchange.Lossy])
    assert "got the class TopK, need an exchange; call it: TopK(...)" in refused(network=[jdl.compressors.TopK])
    assert "got 'stack', need an exchange" in refused(network=[jdl.exchange.stack])
    assert "got an oracle of type" in refused(oracle=DPSGD())


class WithoutOptimum:
    n, num_examples = N, P.num_examples
    init, batch, loss, evaluate = P.init, P.batch, P.loss, P.evaluate


@struct.dataclass
class Costly(jdl.problems.Quadratic):
    """Whose optimum must not be computed to see what kind of object this is."""

    @property
    def optimum(self):
        raise AssertionError("the optimum was computed")


def test_a_problem_is_checked_by_its_class_without_evaluating_its_properties():
    problem = Costly(A=P.A, b=P.b, noise=P.noise)
    jdl.simulation(problem, DPSGD(), RING)


def test_a_quadratic_made_as_documented_with_a_number_for_a_field():
    built = jdl.simulation(jdl.problems.Quadratic(A=P.A, b=P.b), DPSGD(), RING)
    assert jdl.sim.init(built).nodes.x.shape == (N, DIM)


RATED = {
    "sgd": lambda: optax.sgd(0.1),
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "adam": lambda: optax.adam(1e-3),
    "adamw": lambda: optax.adamw(1e-3, weight_decay=0.1),
    "rmsprop": lambda: optax.rmsprop(1e-3),
    "lion": lambda: optax.lion(1e-3),
    "chain": lambda: optax.chain(optax.clip(1.0), optax.scale(-0.1)),
    "warm-up from zero": lambda: optax.sgd(optax.linear_schedule(0.0, 1.0, 10)),
    "injected": lambda: optax.inject_hyperparams(optax.sgd)(0.1),
}


@pytest.mark.parametrize("name", RATED)
@pytest.mark.parametrize("method", [DPSGD, FedAvg])
def test_an_optimizer_with_a_rate_of_its_own_is_refused(name, method):
    said = refused(method(optimizer=RATED[name]()), topology=RING if method is DPSGD else None)
    assert f"{method.__name__}.optimizer, an optax transform that holds a rate of its own" in said
    assert "give the transform without its rate" in said


UNRATED = {
    "identity": optax.identity,
    "trace": lambda: optax.trace(0.9),
    "adam": optax.scale_by_adam,
    "adam with decay": lambda: optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(0.1)),
    "clip": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_rms()),
    "scaled up": lambda: optax.scale(2.0),
    "lion": optax.scale_by_lion,
    "masked": lambda: optax.masked(optax.scale(2.0), True),
}


@pytest.mark.parametrize("name", UNRATED)
def test_one_without_is_taken(name):
    with jax.numpy_dtype_promotion("standard"):
        jdl.simulation(P, DPSGD(optimizer=UNRATED[name]()), RING)


FIELDS = {
    "lr of each node": ({"lr": np.full(N, 0.1)}, "DPSGD.lr=an array of shape (4,), need one number"),
    "lr in a list": ({"lr": [0.1]}, "DPSGD.lr=[0.1], need one number"),
    "lr of text": ({"lr": "0.1"}, "DPSGD.lr='0.1', need one number"),
    "lr of nothing": ({"lr": None}, "DPSGD.lr=None, need one number"),
    "lr of truth": ({"lr": True}, "DPSGD.lr=True, need one number"),
    "lr of a function": ({"lr": lambda t: 0.1}, "with decay=lambda t"),
    "lr not a number": ({"lr": float("nan")}, "DPSGD.lr=nan, need a number of at least 0"),
    "optimizer not called": ({"optimizer": optax.adam}, "call it: adam(...)"),
    "optimizer of a number": ({"optimizer": 3}, "DPSGD.optimizer=3, need a name"),
    "optimizer unknown": ({"optimizer": "adm"}, "did you mean adam"),
    "decay of a number": ({"decay": 0.5}, "DPSGD.decay=0.5, need a function of the round"),
    "decay with float": ({"decay": lambda t: 0.9 ** float(t)}, "DPSGD.decay, which fails where t is a traced array"),
    "decay of a pair": ({"decay": lambda t: (1.0, 2.0)}, "DPSGD.decay that returns"),
    "decay of a vector": ({"decay": lambda t: jnp.ones(3) * t.astype(jnp.float32)}, "returns of shape (3,)"),
    "steps of a fraction": ({"local_steps": 2.0}, "need a whole number of at least 1; try DPSGD.local_steps=2"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_a_part_are_checked_for_type_and_shape(name):
    fields, words = FIELDS[name]
    assert words in refused(DPSGD(**fields))


def test_fields_of_truth_and_words():
    assert "FedAvg.weighted='no', need True or False" in refused(FedAvg(weighted="no"), topology=None)
    assert "Right.twice=1, need True or False; try Right.twice=False" in refused(Right(twice=1))
    assert "BEER.start=0, need a word; try BEER.start='zero'" in refused(jdl.algorithms.BEER(start=0))


def walk(steps):
    x, y = np.eye(8, 3, dtype=np.float32), np.arange(8, dtype=np.int32) % 2
    data = jdl.data.Dataset(x, y, x, y, num_classes=2, name="eight", source="")
    return jdl.problems.supervised(data, nodes=N, model="linear", sampling="epochs", steps_per_round=steps)


@pytest.mark.parametrize(
    ("algorithm", "draws"),
    [
        (DPSGD(local_steps=5), 5),
        (jdl.algorithms.GradientTracking(), 1),
        (jdl.algorithms.SlowMo(base=DPSGD(local_steps=5)), 5),
        (jdl.algorithms.SlowMo(local_steps=3), 3),
        (jdl.algorithms.SwarmSGD(local_steps=2), 2),
    ],
)
def test_a_method_says_how_many_minibatches_a_round_it_draws(algorithm, draws):
    jdl.simulation(walk(draws), algorithm, RING)
    said = refused(algorithm, walk(draws + 1))
    assert f"which draws {draws} minibatches a round, and data of steps_per_round={draws + 1}" in said


def test_steps_that_vary_are_refused_where_data_go_on_by_the_round():
    method = jdl.algorithms.SwarmSGD(local_steps=2, geometric=True)
    assert "draws another number of minibatches in every round" in refused(method, walk(2))
    jdl.simulation(P, method, RING)


def test_a_field_called_local_steps_means_nothing_by_itself():
    @struct.dataclass
    class Mine(Right):
        local_steps: int = static(5)

    jdl.simulation(walk(1), Mine(), RING)
    said = refused(Mine(), walk(5))
    assert "which draws 1 minibatches a round" in said and "or the method a property `draws_per_round`" in said


SEEDS = (0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**40, 2**63, 2**63 + 1, 2**64 - 1)


def test_every_seed_of_64_bits_is_another_one_and_small_ones_are_as_they_were():
    keys = [jdl.simulation(P, DPSGD(), RING, seed=seed).key for seed in SEEDS]
    data = [tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys]
    assert len(set(data)) == len(SEEDS)
    assert data[:4] == [tuple(np.asarray(jax.random.key_data(jax.random.key(seed))).tolist()) for seed in SEEDS[:4]]
    assert "got seed=18446744073709551616, need one below 2**64; try seed=0" in refused(seed=2**64)
    assert "got seed=-1" in refused(seed=-1) and "got seed=1.5" in refused(seed=1.5)


def test_whole_numbers_written_as_floats_are_answered_with_themselves():
    with pytest.raises(checks.InputError, match=r"got rounds=10\.0, need a whole number of at least 1; try rounds=10$"):
        jdl.run(P, DPSGD(), RING, rounds=10.0)
    for odd in (2.5, float("nan"), float("inf"), "ten"):
        with pytest.raises(checks.InputError, match=r"try rounds=1$"):
            jdl.run(P, DPSGD(), RING, rounds=odd)
