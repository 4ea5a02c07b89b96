"""The tasks of `loop.py`: each for jdl, and bare loops for the same task."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import bare
import jax
import numpy as np
from turns import Run, runner

import jdl
from jdl import sim as simulator
from jdl.data import Dataset, Partition
from jdl.data.readers.embedded import digits
from jdl.models import MLP, McMahanCNN
from jdl.problems import Supervised
from jdl.schedule.sampling import sample


class Task(NamedTuple):
    """A task for jdl, and loops for the same task: functions that give (loop, state, *rest), see `bare`.

    rounds: those of a run by `jdl.run`.
    """

    problem: Any
    algorithm: Any
    topology: Any
    loops: dict[str, Callable[[], tuple]]
    rounds: int = 600


def even(n: int, each: int, total: int) -> Partition:
    """Every node holds so many examples."""
    rows = np.random.default_rng(0).integers(0, total, (n, each), dtype=np.int32)
    return Partition(indices=rows, counts=np.full(n, each, np.int32))


def random_images(shape: tuple[int, ...], size: int = 6000) -> Dataset:
    """Images of random bytes, or vectors: speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (size + 1000, *shape)).astype(np.uint8)
    x = x if len(shape) > 1 else (x / 255).astype(np.float32)
    y = rng.integers(0, 10, size + 1000).astype(np.int32)
    return Dataset(x[:size], y[:size], x[size:], y[size:], 10, "random", "random numbers")


def regular(n: int) -> tuple[Any, np.ndarray]:
    """A random 4-regular graph, and the neighbours of every node."""
    graph = jdl.topology.random_regular(n, degree=4)
    return graph, np.asarray(graph.plan("slots").links.senders)


def digits_problem(n: int) -> Supervised:
    """The network 64-32-10, batches of 16."""
    data = digits()
    return Supervised.from_data(data, even(n, 32, len(data.train_y)), MLP((32,), 10), batch_size=16)


def dense_problem(n: int) -> Supervised:
    """The network 784-200-200-10, batches of 10."""
    data = random_images((784,))
    return Supervised.from_data(data, even(n, 600, len(data.train_y)), MLP((200, 200), 10), batch_size=10)


def gossip(problem: Supervised, rounds: int = 600) -> Task:
    """D-PSGD of a dense network."""
    n, (graph, senders) = problem.n, regular(problem.n)
    make = functools.partial(bare.dpsgd, problem, senders)
    loops = layers_or_not(make, bare.plain_mlp, problem.module.apply)
    if n <= 64:
        loops["product"] = functools.partial(make, problem.module.apply, by_product=True)
    if n >= 4096:
        loops["chunked"] = functools.partial(make, problem.module.apply, chunk=1024)
    return Task(problem, jdl.algorithms.DPSGD(lr=bare.LR), graph, loops, rounds)


def layers_or_not(make: Callable, plain: Callable, layers: Callable) -> dict[str, Callable]:
    """All in plain JAX; with the layers and the generator of jdl; and with its fence."""
    return {
        "plain": functools.partial(make, plain, draw=bare.by_jax, fenced=False),
        "layers": functools.partial(make, layers, fenced=False),
        "fenced": functools.partial(make, layers),
    }


def lenet(n: int) -> Task:
    """D-PSGD of a network with convolutions, which goes fastest some nodes at a time."""
    data = random_images((28, 28, 1))
    module = McMahanCNN(channels=(16, 32), hidden=128)
    problem = Supervised.from_data(data, even(n, 64, len(data.train_y)), module, batch_size=32)
    graph, senders = regular(n)
    make = functools.partial(bare.dpsgd, problem, senders)
    # Not measured with `lax.conv`: a node takes 16 times as long, nearly all of it for the gradients of the kernels.
    loops = {"one by one": functools.partial(make, module.apply, chunk=1)}
    loops |= {f"chunks of {size}": functools.partial(make, module.apply, chunk=size) for size in (4, 8)}
    return Task(problem, jdl.algorithms.DPSGD(lr=bare.LR), graph, loops)


def logistic(n: int) -> Task:
    """D-PSGD of logistic regression on full batches: 32 examples of 100 features a node."""
    problem, (graph, senders) = jdl.problems.logistic(nodes=n, dim=100, examples=32), regular(n)
    make = functools.partial(bare.logistic, problem, senders)
    loops = {
        "plain": make,
        "fenced": functools.partial(make, fenced=True),
        "by hand": functools.partial(make, by_hand=True),
        "by hand, fenced": functools.partial(make, by_hand=True, fenced=True),
    }
    return Task(problem, jdl.algorithms.DPSGD(lr=bare.LR), graph, loops, 200)


def fedavg(n: int) -> Task:
    """FedAvg with 100 clients a round."""
    problem = digits_problem(n)
    make = functools.partial(bare.fedavg, problem, 100)
    loops = layers_or_not(make, bare.plain_mlp, problem.module.apply)
    loops["fenced, jdl's sampler"] = functools.partial(make, problem.module.apply, sampler=sample)
    return Task(problem, jdl.algorithms.FedAvg(lr=bare.LR), jdl.schedule.Sampling(n, 100), loops)


def tracking(n: int) -> Task:
    """Gradient tracking."""
    problem, (graph, senders) = digits_problem(n), regular(n)
    make = functools.partial(bare.tracking, problem, senders)
    loops = layers_or_not(make, bare.plain_mlp, problem.module.apply)
    return Task(problem, jdl.algorithms.GradientTracking(lr=bare.LR), graph, loops)


TASKS: dict[str, Callable[[], Task]] = {
    **{f"digits_{n}": lambda n=n: gossip(digits_problem(n)) for n in (64, 256, 1024, 4096, 16_384, 65_536)},
    **{f"2nn_{n}": lambda n=n: gossip(dense_problem(n), 40) for n in (16, 100, 256)},
    "lenet_32": lambda: lenet(32),
    "logistic_4096": lambda: logistic(4096),
    "fedavg_10000": lambda: fedavg(10_000),
    "tracking_1024": lambda: tracking(1024),
}


def advancing(halt: bool = False) -> Callable:
    """A fresh compiled function `state = advance(state, simulation, rounds)`."""
    step = lambda state, s, rounds: simulator.advance(s, state, state.t + rounds, halt)[0]
    return jax.jit(step, donate_argnums=0)


def rounds_of_jdl(task: Task) -> Run:
    """The rounds of jdl, without evaluations, on one device."""
    s = jdl.simulation(task.problem, task.algorithm, task.topology, devices=1)
    return runner(advancing(), jax.jit(simulator.init)(s), s)
