"""Rounds of jdl against bare JAX loops that were written for one task only.

python benchmarks/loop.py [--cases digits_1024 2nn_100] [--out benchmarks/results/loop.json]
"""

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

LR = 0.1


class Case(NamedTuple):
    """A task for jdl, and loops for the same task: functions that give (loop, state, rest), see `bare`."""

    problem: Any
    algorithm: Any
    topology: Any
    loops: dict[str, Callable[[], tuple]]


def even(n: int, each: int, total: int) -> Partition:
    """Every node holds so many examples."""
    rows = np.random.default_rng(0).integers(0, total, (n, each), dtype=np.int32)
    return Partition(indices=rows, counts=np.full(n, each, np.int32))


def random_images(shape: tuple[int, ...], size: int = 6000) -> Dataset:
    """Images of random bytes: speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (size + 1000, *shape)).astype(np.uint8)
    if len(shape) == 1:
        x = (x / 255).astype(np.float32)
    y = rng.integers(0, 10, size + 1000).astype(np.int32)
    return Dataset(x[:size], y[:size], x[size:], y[size:], 10, "random", "random numbers")


def regular(n: int) -> tuple[Any, np.ndarray]:
    graph = jdl.topology.random_regular(n, degree=4)
    return graph, np.asarray(graph.plan("slots").links.senders)


def digits_problem(n: int) -> Supervised:
    data = digits()
    return Supervised.from_data(data, even(n, 32, len(data.train_y)), MLP((32,), 10), batch_size=16)


def digits_case(n: int) -> Case:
    problem, (graph, senders) = digits_problem(n), regular(n)
    make = functools.partial(bare.dpsgd, problem, senders, LR)
    fast = problem.module.apply
    loops = {
        "plain": functools.partial(make, bare.plain_mlp, fenced=False),
        "layers": functools.partial(make, fast, fenced=False),
        "fenced": functools.partial(make, fast),
    }
    if n >= 4096:
        loops["chunked"] = functools.partial(make, fast, chunk=1024)
    return Case(problem, jdl.algorithms.DPSGD(lr=LR), graph, loops)


def dense_case(n: int) -> Case:
    data = random_images((784,))
    problem = Supervised.from_data(data, even(n, 600, 6000), MLP((200, 200), 10), batch_size=10)
    graph, senders = regular(n)
    make = functools.partial(bare.dpsgd, problem, senders, LR)
    fast = problem.module.apply
    loops = {
        "plain": functools.partial(make, bare.plain_mlp, fenced=False),
        "layers": functools.partial(make, fast, fenced=False),
        "fenced": functools.partial(make, fast),
    }
    return Case(problem, jdl.algorithms.DPSGD(lr=LR), graph, loops)


def logistic_case(n: int) -> Case:
    problem, (graph, senders) = jdl.problems.logistic(nodes=n, dim=100, examples=32), regular(n)
    make = functools.partial(bare.logistic, problem, senders, LR)
    loops = {
        "plain": make,
        "fenced": functools.partial(make, fenced=True),
        "by_hand": functools.partial(make, by_hand=True),
        "by_hand_fenced": functools.partial(make, by_hand=True, fenced=True),
    }
    return Case(problem, jdl.algorithms.DPSGD(lr=LR), graph, loops)


def fedavg_case(n: int) -> Case:
    problem = digits_problem(n)
    make = functools.partial(bare.fedavg, problem, 100, LR)
    fast = problem.module.apply
    loops = {
        "plain": functools.partial(make, bare.plain_mlp),
        "layers": functools.partial(make, fast),
        "floyd": functools.partial(make, fast, sampler=bare.sample),
    }
    return Case(problem, jdl.algorithms.FedAvg(lr=LR), jdl.schedule.Sampling(n, 100), loops)


def tracking_case(n: int) -> Case:
    problem, (graph, senders) = digits_problem(n), regular(n)
    make = functools.partial(bare.tracking, problem, senders, LR)
    fast = problem.module.apply
    loops = {
        "plain": functools.partial(make, bare.plain_mlp, fenced=False),
        "layers": functools.partial(make, fast, fenced=False),
        "fenced": functools.partial(make, fast),
    }
    return Case(problem, jdl.algorithms.GradientTracking(lr=LR), graph, loops)


CASES = {
    **{f"digits_{n}": functools.partial(digits_case, n) for n in (64, 256, 1024, 4096, 16384)},
    **{f"2nn_{n}": functools.partial(dense_case, n) for n in (16, 100, 256)},
    "logistic_4096": functools.partial(logistic_case, 4096),
    "fedavg_10000": functools.partial(fedavg_case, 10_000),
    "tracking_1024": functools.partial(tracking_case, 1024),
}


def rounds_of_jdl(case: Case, form: str = "auto") -> Run:
    topology = case.topology
    if form != "auto":
        topology = jdl.schedule.Fixed(topology.plan(form))
    s = jdl.simulation(case.problem, case.algorithm, topology)
    advance = jax.jit(lambda state, s, k: simulator.advance(s, state, state.t + k)[0], donate_argnums=0)
    return runner(advance, jax.jit(simulator.init)(s), s)
