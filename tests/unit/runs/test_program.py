"""What is driven: one simulation, several side by side in one program, and one that two processes share."""

import dataclasses
import json
import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_driver import NEVER, Bar

import jdl
from jdl.runs.driver import Driver, Reached
from jdl.runs.pace import Pace
from jdl.runs.program import _chunk, program_of

RATES = [0.1, 0.4, 1e12]  # the last diverges


def built(lr, **options):
    problem = jdl.problems.quadratic(nodes=4, dim=3, noise=0.1)
    return jdl.simulation(problem, jdl.algorithms.DPSGD(lr=lr), jdl.topology.ring(4), **options)


class Sweep:
    """Simulations of one shape, each with a row of every array of the state."""

    def __init__(self, simulations):
        self.simulations = jax.tree.map(lambda *x: jnp.stack(x), *simulations)
        self.init = jax.jit(jax.vmap(jdl.sim.init))
        self.chunk = jax.jit(jax.vmap(_chunk, in_axes=(0, 0, None, None)))
        self.shapes = jax.eval_shape(self.init, self.simulations)

    def begin(self, state):
        return self.reached(self.init(self.simulations) if state is None else state, None)

    def advance(self, reached, until, evaluate):
        state, metrics = self.chunk(self.simulations, reached.state, jnp.int32(until), jnp.bool_(evaluate))
        return self.reached(state, metrics if evaluate else None)

    def reached(self, state, metrics):
        return Reached(state, int(jnp.max(state.t)), bool(jnp.all(state.status >= 0)), metrics)

    def row(self, reached):
        return jax.tree.map(np.asarray, reached.metrics)


def test_several_simulations_are_driven_as_one():
    simulations = [built(lr) for lr in RATES]
    sweep = Driver(Sweep(simulations), Pace(12, 4), NEVER, Bar())
    sweep.drive()
    assert [row["round"] for row in sweep.rows] == [0, 4, 8, 12] and not sweep.at.halted
    assert np.asarray(sweep.at.state.t).tolist()[:2] == [12, 12]
    program = program_of(simulations[0])
    for index, simulation in enumerate(simulations):
        alone = Driver(dataclasses.replace(program, simulation=simulation), Pace(12, 4), NEVER, Bar())
        alone.drive()
        assert alone.at.halted == (RATES[index] > 1) == bool(sweep.at.state.status[index] >= 0)
        if not alone.at.halted:
            losses = [row["mean_loss"][index] for row in sweep.rows]
            np.testing.assert_allclose(losses, [row["mean_loss"] for row in alone.rows], rtol=1e-5, atol=1e-6)
        else:
            assert alone.at.t == int(sweep.at.state.t[index]) < 12


PROCESS = """
import json, os, signal, sys
index, port, place, do = int(sys.argv[1]), *sys.argv[2:]
import jax
jax.distributed.initialize(f"localhost:{port}", 2, index)
import jdl
from jdl.runs import progress

def update(self, t, row, original=progress.Bar.update):
    if do == "stop" and t >= 6 and index == 0:
        signal.raise_signal(signal.SIGINT)  # the second process is not asked
    original(self, t, row)

progress.Bar.update = update
problem = jdl.problems.quadratic(nodes=8, dim=3, noise=0.1)
parts = problem, jdl.algorithms.DPSGD(lr=0.2), jdl.topology.ring(8)
try:
    result = jdl.run(
        *parts, rounds=20, eval_every=4, progress=False, devices=2, run_dir=place, resume=do == "resume"
    )
except jdl.checks.InputError as error:
    print(json.dumps([index, "refused", str(error)]), flush=True)
else:
    columns = {name: column.tolist() for name, column in result.history.columns.items() if name != "seconds"}
    print(json.dumps([index, result.status, columns]), flush=True)
"""


def two_processes(place, do):
    """What each of two processes says, with one device each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=1", "JDL_COMPILE_CACHE": "off"}
    call = lambda index: [sys.executable, "-c", PROCESS, str(index), str(port), str(place), do]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(call(index), env=env, **pipes) for index in (0, 1)]
    said = [process.communicate(timeout=120) for process in both]
    assert all(out for out, _ in said), said
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.mark.slow
def test_two_processes_share_a_run_which_is_stopped_by_one_and_resumed(tmp_path):
    whole = two_processes(tmp_path / "whole", "run")
    assert [one[:2] for one in whole] == [[0, "finished"], [1, "finished"]] and whole[0][2] == whole[1][2]
    problem = jdl.problems.quadratic(nodes=8, dim=3, noise=0.1)
    parts = problem, jdl.algorithms.DPSGD(lr=0.2), jdl.topology.ring(8)
    alone = jdl.run(*parts, rounds=20, eval_every=4, progress=False, devices=2)
    for name, column in whole[0][2].items():
        np.testing.assert_allclose(column, alone.history[name], rtol=1e-5, atol=1e-6, err_msg=name)

    stopped = two_processes(tmp_path / "part", "stop")
    assert [one[1] for one in stopped] == ["interrupted"] * 2 and 6 <= stopped[0][2]["round"][-1] < 20
    assert two_processes(tmp_path / "part", "resume") == whole
    refused = two_processes(tmp_path / "part", "run")
    assert [one[1] for one in refused] == ["refused"] * 2 and refused[0][2] == refused[1][2]
