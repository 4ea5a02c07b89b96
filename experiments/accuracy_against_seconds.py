"""Which method is accurate first, in seconds and in joules, if a tenth of the nodes is ten times slower?

    python experiments/accuracy_against_seconds.py [--nodes 64] [--seconds 300] [--seeds 3] [--out benchmarks/results]

Handwritten digits over 64 nodes, divided by Dirichlet distributions over the classes with concentration 1; the
64-32-10 network, minibatches of 16. A step takes 0.1 s, and 1 s at a tenth of the nodes, drawn once. Each node has a
line of 1 Mbit/s in each direction, shared fairly, and 20 ms of latency, so that a model to four neighbours takes 0.31 s
beside it. A node that computes takes 5 W, and a sent bit half a microjoule; waiting is free.

- D-PSGD over a random 4-regular graph: a step, then its result is sent; all wait for the slow, one hop a round.
- DGD over the same graph sends the model on which it computes, so that messages travel beside the steps.
- DiLoCo (a server) and GossipDiLoCo (a random partner a round): ten steps of AdamW between two messages.
- FedAvg, five steps a round, with all clients: it waits for everybody; for the first nine tenths; or for 1.5 s.
- MoDeST: five steps of D-PSGD at 16 trainers of a round, of whose models the aggregator takes the first 13. Its curve
  is that of the models of the next trainers; those of nodes that rest are old.
- AD-PSGD, gossip learning, and D-PSGD without waiting, over the same graph and without rounds: events are planned by
  the same steps. An exchange of AD-PSGD keeps both nodes busy for 0.1 s. What gossip learning sends is under way for
  0.1 s, and what D-PSGD sends to four neighbours for 0.34 s. A node of gossip learning sends once in the time of a
  step, and works on what arrives at once, as often as it arrives: this flatters it, since a slow node is given as many
  steps as its neighbours send models. Joules are those of gradients and bits.

Rates are the usual ones of jdl on the digits, 0.3, and 0.01 with AdamW; they are not tuned for this task. It writes
accuracy_against_seconds.csv, a row for each method: seconds, joules and megabytes a node until a mean test accuracy of
90 % (linear between evaluations, mean over seeds), the accuracy at the end, and the share of time in which nodes wait;
and accuracy_against_seconds.png.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl.clock import Clock, Deadline, FairShare, First, SlowShare, slow
from jdl.engine.rounds import plan_at
from jdl.show import style
from jdl.show.intervals import interval

LEVEL, WATTS, JOULES_PER_BIT = 0.9, 5.0, 5e-7
SPENT = {"simulated_seconds": "seconds", "joules": "joules", "megabytes": "megabytes a node"}
TITLES = {"simulated_seconds": "simulated time, s", "joules": "energy of all nodes, J"}


class Method(NamedTuple):
    """A line of the figure.

    Args:
      algorithm: the method.
      topology: makes, from the number of nodes, what it mixes over, or a function from seconds to planned events; with
        a server, None.
      every: rounds between evaluations; without rounds, a window of the plan.
      wait: makes, from the number of nodes, the rule for whom a server, or a peer, waits.
      fresh: whether only the models of those who work in the next round count.
    """

    algorithm: Any
    topology: Callable[[int], Any] = lambda n: None
    every: int = 1
    wait: Callable[[int], Any] = lambda n: None
    fresh: bool = False


def regular(nodes: int) -> Any:
    """A random 4-regular graph."""
    return jdl.topology.random_regular(nodes, 4)


def methods() -> dict[str, Method]:
    """The methods by name. Further ones are added here."""
    fedavg = jdl.algorithms.FedAvg(lr=0.3, local_steps=5)
    found = {
        "D-PSGD": Method(jdl.algorithms.DPSGD(lr=0.3), regular, 6),
        "DGD": Method(jdl.algorithms.DGD(lr=0.3), regular, 6),
        "GossipDiLoCo": Method(jdl.algorithms.GossipDiLoCo(lr=0.01), jdl.schedule.Matching),
        "DiLoCo": Method(jdl.algorithms.DiLoCo(lr=0.01)),
        "FedAvg, all": Method(fedavg),
        "FedAvg, first 90 %": Method(fedavg, every=8, wait=lambda n: First(int(0.9 * n))),
        "FedAvg, 1.5 s": Method(fedavg, every=4, wait=lambda n: Deadline(1.5)),
    }
    sample = lambda n: jdl.schedule.Modest(n, trainers=n // 4)
    local = jdl.algorithms.DPSGD(lr=0.3, local_steps=5)
    found["MoDeST"] = Method(local, sample, 4, lambda n: First(int(0.8 * (n // 4)) + 1), fresh=True)
    # A model takes 0.08 s on a line, after 0.02 s of latency.
    pairs = functools.partial(jdl.schedule.Waves.pairs, law="constant", transfer=0.1)
    push = functools.partial(jdl.schedule.Messages.push, law="constant", latency=0.02, transfer=0.08)
    publish = functools.partial(jdl.schedule.Messages.publish, law="constant", latency=0.02, transfer=0.32)
    found["AD-PSGD"] = Method(jdl.algorithms.ADPSGD(lr=0.3), planned(pairs))
    found["gossip learning"] = Method(jdl.algorithms.GossipLearning(lr=0.3), planned(push))
    found["D-PSGD, no waiting"] = Method(jdl.algorithms.DPSGD(lr=0.3), planned(publish))
    return found


def planned(events: Callable[..., Any]) -> Callable[[int], Any]:
    """Makes the waves of events over the regular graph, in which a tenth of the nodes is slow."""
    return lambda n: lambda seconds: events(regular(n), seconds_per_step=slow(n), horizon=seconds)


def trainers(models: Any, state: Any, s: Any) -> jax.Array:
    """The mean accuracy of the models of those who work in the next round."""
    accuracy = jax.vmap(lambda model: s.problem.evaluate(model)["accuracy"])(models)
    works = plan_at(s, state)[0].works
    return jnp.sum(jnp.where(works, accuracy, 0)) / jnp.sum(works)


def until(x: np.ndarray, accuracy: np.ndarray, level: float = LEVEL) -> float:
    """Where a curve first reaches a level, linear between evaluations; infinite if it does not."""
    first = int(np.argmax(accuracy >= level))
    if not accuracy[first] >= level:
        return np.inf
    pair = slice(max(first - 1, 0), first + 1)
    return float(np.interp(level, accuracy[pair], x[pair]))


def row_of(name: str, history: Any, nodes: int) -> dict[str, Any]:
    """What a method spends until the level, and where it is at the end: means over seeds."""
    accuracy = accuracy_of(history)
    unknown = np.full(accuracy.shape, np.nan)
    idle = history["idle_share"] if "idle_share" in history else unknown
    columns = {"idle_share": idle, "mean_accuracy": accuracy, "joules": joules_of(history)}
    columns["simulated_seconds"] = seconds_of(history)
    columns["megabytes"] = history["bits_sent"] / 8e6 / nodes
    each = range(accuracy.shape[1])
    spent = {
        f"{title} until {LEVEL:.0%}": np.mean([until(columns[x][:, i], accuracy[:, i]) for i in each])
        for x, title in SPENT.items()
    }
    last = {column: float(columns[column][-1].mean()) for column in ("mean_accuracy", "idle_share")}
    return {"method": name, **{k: f"{v:.4g}" for k, v in (spent | last).items()}, "rounds": int(history["round"][-1])}


def accuracy_of(history: Any) -> np.ndarray:
    """The accuracy that counts, at each evaluation and seed."""
    return history["trainers"] if "trainers" in history else history["mean_accuracy"]


def joules_of(history: Any) -> np.ndarray:
    """What all nodes have spent, at each evaluation and seed: by the clock, or by counts where events were planned."""
    return history["joules"] if "joules" in history else history["energy"]


def seconds_of(history: Any) -> np.ndarray:
    """The seconds of each evaluation and seed; those of a plan are the same for all seeds."""
    return np.broadcast_to(history["simulated_seconds"].T, history["mean_accuracy"].T.shape).T


def draw(histories: dict[str, Any], path: Path) -> None:
    """The accuracy against seconds, and against joules, with intervals over seeds."""
    with style.picture((12.5, 5.0), path) as figure:
        panels = figure.subplots(1, len(TITLES), sharey=True)
        for axes, (x, title) in zip(panels, TITLES.items(), strict=True):
            for number, (name, history) in enumerate(histories.items()):
                mean, low, high = interval(accuracy_of(history)[1:], "t")
                along = (seconds_of if x == "simulated_seconds" else joules_of)(history)[1:].mean(axis=1)
                dashes = style.DASHES[number // len(style.COLOURS)]
                colour = style.COLOURS[number % len(style.COLOURS)]
                idle = f" (idle {history['idle_share'][-1].mean():.0%})" if "idle_share" in history else ""
                label = name + idle
                axes.plot(along, mean, color=colour, linestyle=dashes, linewidth=1.8, label=label)
                axes.fill_between(along, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.axhline(LEVEL, color=style.INK, linewidth=0.8, linestyle=":")
            axes.set(xscale="log", xlabel=title)
            axes.xaxis.set_major_formatter("{x:g}")
        panels[0].set(ylabel="test accuracy, mean over nodes", ylim=(0.1, 1))
        panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def main(
    nodes: int = 64, seconds: float = 300.0, seeds: int = 3, out: Path = Path("benchmarks/results"), rounds: int = 4000
) -> None:
    """Which method is accurate first?"""
    data = jdl.data.partition.Dirichlet(alpha=1.0)
    problem = jdl.problems.digits(nodes=nodes, partition=data, batch_size=16)
    links = FairShare(up=1e6, down=1e6, latency=0.02)
    histories, rows = {}, []
    for name, method in methods().items():
        clock = Clock(SlowShare(0.1), links, method.wait(nodes), watts=WATTS, joules_per_bit=JOULES_PER_BIT)
        over, how = method.topology(nodes), {"clock": clock, "rounds": rounds, "eval_every": method.every}
        if callable(over) and not hasattr(over, "init"):
            over = over(seconds)
            how = {"rounds": over.waves, "eval_every": over.waves_per_window}
            how["metrics"] = {"energy": jdl.metrics.energy(slow(nodes), WATTS, JOULES_PER_BIT)}
        if method.fresh:
            how["metrics"] = {"trainers": trainers}
        histories[name] = jdl.run(
            problem, method.algorithm, over, **how, seeds=seeds, until={"simulated_seconds": seconds}, label=name
        ).history
        rows.append(row_of(name, histories[name], nodes))
        print(rows[-1], flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "accuracy_against_seconds.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    draw(histories, out / "accuracy_against_seconds.png")


if __name__ == "__main__":
    tyro.cli(main)
