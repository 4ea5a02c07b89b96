"""Mixing weights learned by gradient descent through the simulation, against Metropolis and the fastest-mixing weights.

    python experiments/learned_weights.py [--rounds 40] [--held-out 400] [--out results/learned_weights]

D-SGD with noisy gradients on quadratics of 16 nodes, for a budget of rounds. A draw is new data, a new start and new
noise; what draws have in common is the curvature of the nodes, and who is similar to whom: four groups of nodes whose
data differ by group, nodes that all differ, or nodes whose optima agree. The symmetric weights of the links, and the
rate, are learned by Adam with `jax.grad` through `jdl.simulate`, on new draws in each step: the loss is the log of the
mean over draws of the error, which is the mean over nodes of f(x_i) - f* after the last round. Then the rate of every W
is tuned on one grid and on one set of draws, and all are compared on held-out draws, in pairs. The W learned for four
groups is also used where the groups lie elsewhere on the graph.

Writes learned_weights.csv and learned_weights.png. The interval of a ratio of errors is Student's t, at 95 %, for the
mean over held-out draws of the log of the ratio.
"""

from __future__ import annotations

import csv
import functools
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from scipy import stats

import jdl
from jdl.schedule import Fixed
from jdl.show.style import COLOURS, STYLE_OF_CURVES
from jdl.topology import Topology, random_geometric, ring, torus, weighted

NODES, DIM, GROUPS = 16, 10, 4
NOISE, STEPS_AT_ONCE = 0.3, 50
FIRST_RATE = 0.15  # where learning begins
LATER = 2.5  # errors are drawn for so many budgets of rounds
RATES = np.geomspace(0.02, 1.5, 40)
SCHEMES = {"Metropolis": "metropolis", "fastest": "fastest"}
# Seeds of draws to learn from, to tune rates on, and held out.
LEARN, TUNE, HELD_OUT = 0, 1, 2


class Family(NamedTuple):
    """Draws of one kind: who is similar to whom.

    Attributes:
      A: f[n, d, d], the curvature of each node.
      similar: f[n, n], which maps independent vectors to those of the nodes; one-hot rows, the same for one group.
      zeta2: f[], the mean over nodes of the squared gradient at the optimum.
    """

    A: jax.Array
    similar: jax.Array
    zeta2: jax.Array

    @property
    def group(self) -> np.ndarray:
        """The group of each node."""
        return np.argmax(self.similar, axis=1)


class Row(NamedTuple):
    """The held-out errors of one W, and the ratio of the learned one's to them, in pairs, with its interval.

    `second_eigenvalue` is the largest modulus of an eigenvalue of W - J; above 1, gossip alone would diverge.
    `mean_error_later` is that of the same run after `LATER` budgets of rounds.
    """

    graph: str
    problem: str
    weights: str
    second_eigenvalue: float
    rate: float
    mean_error: float
    mean_error_later: float
    ratio_of_learned: float
    ratio_low: float
    ratio_high: float
    learned_is_better: float


def families() -> dict[str, Family]:
    """Three kinds of draws to learn from; "elsewhere" is for W of the four groups, which lie elsewhere there."""
    A = jdl.problems.quadratic(NODES, DIM, condition=10.0).A
    group, elsewhere = (np.random.default_rng(seed).permutation(np.arange(NODES) % GROUPS) for seed in (0, 1))
    kinds = {
        "four groups": (group, 10.0),
        "all differ": (np.arange(NODES), 10.0),
        "optima agree": (group, 0.0),
        "elsewhere": (elsewhere, 10.0),
    }
    similar = lambda group: jnp.asarray(np.eye(NODES)[group], jnp.float32)
    return {name: Family(A, similar(group), jnp.float32(zeta2)) for name, (group, zeta2) in kinds.items()}


def graphs() -> dict[str, Topology]:
    """A graph on which Metropolis and fastest weights differ, and one on which both are equal on all links."""
    return {"random geometric": random_geometric(NODES, radius=0.4, seed=1), "torus": torus(NODES)}


@functools.cache
def template() -> jdl.sim.Simulation:
    """The simulation into which weights, a rate and a draw are put."""
    with jax.ensure_compile_time_eval():  # also where the first caller is traced
        dense = Fixed(ring(NODES).plan("dense"))
        problem = jdl.problems.quadratic(NODES, DIM, noise=NOISE)
        return jdl.differentiable(jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), dense))


def errors(W: jax.Array, lr: jax.Array, family: Family, key: jax.Array, rounds: int, eval_every: int) -> jax.Array:
    """The error of one draw, f[E], every `eval_every` rounds.

    Args:
      W: f[n, n], symmetric; its rows sum to one.
      lr: the rate.
      family: of what kind the draw is.
      key: of the draw.
      rounds: the number of rounds.
      eval_every: the number of rounds between evaluations.
    """
    s, (of_optimum, of_data, of_start, of_run) = template(), jax.random.split(key, 4)
    apart = family.similar @ jax.random.normal(of_data, (NODES, DIM))
    apart = apart - jnp.mean(apart, axis=0, keepdims=True)
    apart *= jnp.sqrt(family.zeta2 / jnp.mean(jnp.sum(jnp.square(apart), axis=1)))
    problem = s.problem.replace(A=family.A, b=family.A @ jax.random.normal(of_optimum, (DIM,)) - apart)
    diagonal = jnp.diag(W)
    links = s.schedule.plan.links.replace(weights=W - jnp.diag(diagonal), used=W - jnp.diag(diagonal) != 0)
    s = s.replace(
        problem=problem,
        algorithm=s.algorithm.replace(lr=lr),
        schedule=Fixed(s.schedule.plan.replace(links=links, self_weights=diagonal)),
        key=of_run,
    )
    _, metrics = jdl.simulate(s, rounds, eval_every, params=jax.random.normal(of_start, (DIM,)))
    return metrics["mean_loss"] - problem.optimum.loss


def draws(which: int, count: int) -> jax.Array:
    """The keys of so many draws."""
    return jax.random.split(jax.random.key(which), count)


@functools.partial(jax.jit, static_argnums=(4, 5))
def errors_of_draws(W, lr, family, keys, rounds, eval_every):
    """The errors of several draws, f[K, E]."""
    return jax.vmap(lambda key: errors(W, lr, family, key, rounds, eval_every))(keys)


def matrix(weights: jax.Array, linked: jax.Array) -> jax.Array:
    """The symmetric W of the weights above the diagonal, where there are links. Weights may be negative."""
    off = jnp.triu(jnp.where(linked, weights, 0), 1)
    off = off + off.T
    return off + jnp.diag(1 - jnp.sum(off, axis=1))


def mean_error(parts: tuple, linked: jax.Array, family: Family, keys: jax.Array, rounds: int) -> jax.Array:
    """The log of the mean over draws of the error after the last round, of weights and the log of a rate."""
    weights, log_lr = parts
    return jnp.log(
        jnp.mean(errors_of_draws(matrix(weights, linked), jnp.exp(log_lr), family, keys, rounds, rounds)[:, -1])
    )


@functools.partial(jax.jit, static_argnums=(5, 6, 7))
def some_steps(parts, state, linked, family, key, rounds, batch, steps):
    """Several steps of Adam, each on a batch of new draws; their rates fall from 0.01 to 0.001 over 400 steps."""

    def step(carry, number):
        parts, state = carry
        keys = jax.random.split(jax.random.fold_in(key, number), batch)
        loss, gradient = jax.value_and_grad(mean_error)(parts, linked, family, keys, rounds)
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an integer power
            updates, state = adam().update(gradient, state)
        return (optax.apply_updates(parts, updates), state), loss

    return jax.lax.scan(step, (parts, state), jnp.arange(steps))


@functools.cache
def adam() -> optax.GradientTransformation:
    return optax.adam(optax.exponential_decay(0.01, 400, 0.1))


def learned(topology: Topology, family: Family, rounds: int, batch: int, steps: int) -> np.ndarray:
    """The learned W, which begins as Metropolis weights."""
    start = weighted(topology, "metropolis").weights.toarray()
    linked = jnp.asarray((start != 0) & ~np.eye(NODES, dtype=bool))
    parts = jnp.asarray(start, jnp.float32), jnp.log(jnp.float32(FIRST_RATE))
    state = adam().init(parts)
    for turn in range(steps // STEPS_AT_ONCE):
        key = jax.random.fold_in(jax.random.key(LEARN), turn)
        (parts, state), losses = some_steps(parts, state, linked, family, key, rounds, batch, STEPS_AT_ONCE)
        print(f"\r{(turn + 1) * STEPS_AT_ONCE:4d} steps, error {np.exp(np.mean(losses)):8.4f}", end="", file=sys.stderr)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return np.asarray(matrix(parts[0], linked), np.float64)


def tuned(W: np.ndarray, family: Family, rounds: int, count: int) -> float:
    """The rate of the grid with the smallest mean error over the draws for tuning."""
    keys = draws(TUNE, count)
    mean = lambda lr: float(errors_of_draws(as_float(W), jnp.float32(lr), family, keys, rounds, rounds)[:, -1].mean())
    return float(RATES[np.nanargmin([mean(lr) for lr in RATES])])


def as_float(W: np.ndarray) -> jax.Array:
    return jnp.asarray(W, jnp.float32)


def second(W: np.ndarray) -> float:
    """The largest modulus of an eigenvalue of W - J."""
    return float(np.abs(np.linalg.eigvalsh(W - 1 / NODES)).max())


def compared(
    graph: str, problem: str, family: Family, all_weights: dict[str, np.ndarray], rounds: int, tune: int, held_out: int
) -> tuple[list[Row], dict[str, float]]:
    """The rows of one problem, a row for each W, and the tuned rates."""
    rates = {name: tuned(W, family, rounds, tune) for name, W in all_weights.items()}
    keys, longer, rows = draws(HELD_OUT, held_out), round(LATER * rounds), []
    last = lambda name, W, t: errors_of_draws(as_float(W), jnp.float32(rates[name]), family, keys, t, t)[:, -1]
    errors = {name: np.asarray(last(name, W, rounds), np.float64) for name, W in all_weights.items()}
    for name, W in all_weights.items():
        logs = np.log(errors["learned"] / errors[name])
        half = stats.t.ppf(0.975, logs.size - 1) * logs.std(ddof=1) / np.sqrt(logs.size)
        ratio, low, high = np.exp(logs.mean() + np.array([0, -half, half]))
        better = float(np.mean(logs < 0))
        means = errors[name].mean(), float(last(name, W, longer).mean())
        rows.append(Row(graph, problem, name, second(W), rates[name], *means, ratio, low, high, better))
        if name != "learned":
            print(f"{graph:18s}{problem:14s}{name:12s}", end="")
            print(f"{errors['learned'].mean():10.4f}{errors[name].mean():10.4f}{ratio:8.3f} ({low:.3f} to {high:.3f})")
    return rows, rates


def picture(rows: list[Row], curves: dict, W: np.ndarray, group: np.ndarray, rounds: int, path: Path) -> None:
    """Errors over rounds for four groups, ratios on all problems, and W on the torus with the groups of the nodes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE_OF_CURVES):
        figure = Figure(figsize=(11, 8), dpi=130, layout="constrained")
        over_rounds, below = figure.subfigures(2, 1)
        for axes, (name, of_graph) in zip(
            np.atleast_1d(over_rounds.subplots(1, len(curves))), curves.items(), strict=True
        ):
            for colour, (scheme, curve) in zip(COLOURS, of_graph.items(), strict=False):
                front = {"linestyle": "dashed", "zorder": 3} if scheme == "Metropolis" else {}
                axes.plot(curve, color=colour, linewidth=2, label=scheme, **front)
            axes.axvline(rounds, color="#9a9a9a", linewidth=1)
            axes.set(yscale="log", xlabel="rounds; the line is the budget", title=f"four groups, {name}")
            axes.set_ylabel("error, mean over nodes and held-out draws")
            axes.yaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.yaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")
            axes.legend(frameon=False)
        ratios, graph = below.subplots(1, 2, width_ratios=(1.9, 1))
        names = list(dict.fromkeys((row.graph, row.problem) for row in rows))
        for number, scheme in enumerate(SCHEMES):
            some = [row for row in rows if row.weights == scheme]
            place = [len(names) - names.index((row.graph, row.problem)) + 0.1 - 0.2 * number for row in some]
            middle = np.array([row.ratio_of_learned for row in some])
            interval = [middle - [row.ratio_low for row in some], [row.ratio_high for row in some] - middle]
            how = {"marker": "os"[number], "color": COLOURS[number], "linestyle": "", "capsize": 2.5}
            ratios.errorbar(middle, place, xerr=interval, label=f"over that of {scheme}", **how)
        ratios.axvline(1, color="#9a9a9a", linewidth=1)
        ratios.set_yticks(range(len(names), 0, -1), [f"{problem}, {name}" for name, problem in names])
        ratios.set(xscale="log", xlabel="error of learned weights over that of others, 95 % t-interval")
        low, high = ratios.get_xlim()
        ratios.set_xticks([x for x in (0.25, 0.5, 0.7, 1, 1.5, 2, 3) if low <= x <= high])
        ratios.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ratios.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        ratios.legend(frameon=False, loc="lower right")
        weights_on(graph, group, W)
        figure.savefig(path)


def weights_on(axes: Any, group: np.ndarray, W: np.ndarray) -> None:
    """Draw a torus as a square of nodes, a colour for each group; links are as wide as their weights."""
    side = round(NODES**0.5)
    where = np.array([divmod(i, side)[::-1] for i in range(NODES)], float)
    for i, j in zip(*np.nonzero(np.triu(W, 1)), strict=True):
        step = where[j] - where[i]
        around = np.abs(step) > 1  # a link around the torus is drawn as two ends
        ends = [(where[i], where[i] - 0.55 * np.sign(step)), (where[j], where[j] + 0.55 * np.sign(step))]
        for a, b in ends if around.any() else [(where[i], where[j])]:
            colour = "#B00020" if W[i, j] < 0 else "#404040"
            axes.plot(
                *zip(a, b, strict=True), color=colour, linewidth=14 * abs(W[i, j]), zorder=1, solid_capstyle="butt"
            )
    axes.scatter(*where.T, s=230, c=[COLOURS[2:][g] for g in group], zorder=2, edgecolors="white")
    axes.set(xticks=[], yticks=[], aspect="equal", title="learned weights on the torus,\nfour groups; negative in red")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def main(
    rounds: int = 40,
    steps: int = 200,
    batch: int = 16,
    tune: int = 128,
    held_out: int = 400,
    out: Path = Path("results/learned_weights"),
) -> None:
    """Learn, compare, print, and write.

    Args:
      rounds: the budget of rounds.
      steps: the number of steps of Adam, a multiple of 50.
      batch: the number of draws in a step.
      tune: the number of draws on which rates are tuned.
      held_out: the number of draws on which weights are compared.
      out: the directory of learned_weights.csv and learned_weights.png.
    """
    begun, rows, curves, kinds = time.process_time(), [], {}, families()
    elsewhere = kinds.pop("elsewhere")
    print(f"{'':44s}{'learned':>10s}{'other':>10s}   ratio, with its interval")
    for name, topology in graphs().items():
        others = {scheme: weighted(topology, how).weights.toarray() for scheme, how in SCHEMES.items()}
        for problem, family in kinds.items():
            every = others | {"learned": learned(topology, family, rounds, batch, steps)}
            more, rates = compared(name, problem, family, every, rounds, tune, held_out)
            rows += more
            if problem == "four groups":
                rows += compared(name, "elsewhere", elsewhere, every, rounds, tune, held_out)[0]
                shown, longer = every["learned"], (family, draws(HELD_OUT, held_out), round(LATER * rounds), 1)
                curves[name] = {
                    scheme: errors_of_draws(as_float(W), jnp.float32(rates[scheme]), *longer).mean(axis=0)
                    for scheme, W in every.items()
                }
    out.mkdir(parents=True, exist_ok=True)
    with (out / "learned_weights.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows([f"{x:.5g}" if isinstance(x, float) else x for x in row] for row in rows)
    picture(rows, curves, shown, kinds["four groups"].group, rounds, out / "learned_weights.png")
    print(f"{time.process_time() - begun:.0f} s of CPU; learned_weights.csv and .png are in {out}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main)
