"""The result of a run."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jax.numpy as jnp
import numpy as np

from jdl import tree
from jdl.engine import metrics
from jdl.engine import sim as simulator
from jdl.engine.metrics import EVALUATED
from jdl.engine.sampled import sampled_nodes
from jdl.engine.sim import RunState, Simulation
from jdl.runs import export
from jdl.runs.audit import membership
from jdl.runs.compose import key_of_seed
from jdl.runs.history import History
from jdl.runs.model_files import save_models
from jdl.runs.node_facts import NodeFacts
from jdl.runs.privacy import DELTA, Spent, largest, line, spent
from jdl.runs.surroundings import of_simulation, surroundings, titled
from jdl.types import PyTree

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas
    import xarray

    from jdl.theory import Prediction

__all__ = ["Live", "Origin", "Result"]


class Origin(Protocol):
    """Where a result has its simulation, last state and models from: from the run itself, or from its directory."""

    def simulation(self) -> Simulation: ...

    def state(self) -> RunState: ...

    def models(self) -> PyTree: ...

    def described(self) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Live:
    """The origin of the result of a run of this process.

    Attributes:
      made: the composed simulation.
      reached: the last state.
      delta: the delta at which the account of privacy is shown.
      start: the model, or the models, with which the run began; None if its seed drew them.
    """

    made: Simulation
    reached: RunState
    delta: float = DELTA
    start: PyTree | None = None

    @functools.cached_property
    def epsilon(self) -> float | None:
        """The largest epsilon that a private part has spent; None if there is no account."""
        return largest(self.made, int(self.reached.t), self.delta)

    def simulation(self) -> Simulation:
        """The composed simulation."""
        return self.made

    def state(self) -> RunState:
        """The last state."""
        return self.reached

    def models(self) -> PyTree:
        """The models of all nodes, or of a server."""
        return simulator.models(self.made, self.reached)

    def described(self) -> dict[str, Any]:
        """The types and numbers of the parts that the method meets."""
        return of_simulation(self.made)


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a run, which has finished, reached its goal, diverged or been interrupted.

    `jdl.run` returns one, and `jdl.load` gives it again from the directory of the run. `simulation` and `sim` are there
    where the run was made in this process or by the command line; otherwise `jdl.load` is given the parts.

    Args:
      name: the label of the run.
      history: the evaluations, as arrays and as a data frame; `nodes` has the metrics of every node.
      node_facts: who is honest, the group and the number of examples of each node.
      seed: the seed of the run; None where a directory of an older version does not say.
      status: "finished", "reached", "diverged" or "interrupted"; "running" if it was loaded while the run went on.
      message: the status in a sentence.
      rounds: the number of rounds that are done.
      seconds: the time of the rounds in seconds, without compilation.
      compile_seconds: the time of compilation in seconds.
      origin: where the simulation, the last state and the models are.
      run_dir: the directory of the files, if there is one.
    """

    name: str
    history: History
    node_facts: NodeFacts
    seed: int | None
    status: str
    message: str
    rounds: int
    seconds: float
    compile_seconds: float
    origin: Origin = dataclasses.field(repr=False, compare=False)
    run_dir: Path | None = None

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.node_facts.n

    @property
    def title(self) -> str:
        """The name with what the method meets where that is not usual: network, schedule, attackers."""
        return titled(self.name, self.origin.described(), self.node_facts.honest)

    @property
    def simulation(self) -> Simulation:
        """The composed simulation.

        Raises:
          InputError: if the result was loaded, and the parts of its run are not known.
        """
        return self.origin.simulation()

    @property
    def sim(self) -> RunState:
        """The last state; of a run that is loaded, that of its newest checkpoint.

        Raises:
          InputError: if the result was loaded, and the parts of its run are not known or there is no checkpoint.
        """
        return self.origin.state()

    @property
    def models(self) -> PyTree:
        """The models of all nodes, stacked, `[n, ...]`; with a server, its one model, `[1, ...]`.

        Raises:
          InputError: if the result was loaded, and its directory holds neither models nor a checkpoint of known parts.
        """
        return self.origin.models()

    @property
    def mean_model(self) -> PyTree:
        """The average of the models of all nodes."""
        return tree.mean_rows(self.models)

    @property
    def eval_nodes(self) -> np.ndarray:
        """The ids of the nodes whose models were evaluated, before the end at least: i32[k] in increasing order."""
        if EVALUATED not in self.history:
            return np.arange(self.n, dtype=np.int32)
        honest = self.node_facts.honest
        unknown = self.seed is None or honest is None
        key = self.simulation.key if unknown else key_of_seed(self.seed)
        honest = np.asarray(self.simulation.who.honest) if unknown else honest
        among = None if np.all(honest) else jnp.asarray(honest)
        return np.asarray(sampled_nodes(key, self.n, int(self.history[EVALUATED].min()), among))

    @property
    def nodes(self) -> pandas.DataFrame:
        """The metrics of every node as a pandas data frame, with a row for each evaluation and node.

        The columns are `round`, `node`, `degree` (the number of links into the node in the round that follows; there is
        none with a server), `honest`, `group`, `num_examples`, and each metric with a number for each node, such as
        `own_accuracy`.
        """
        import pandas

        history, n = self.history, self.n
        rounds = history["round"] if len(history) else np.zeros(0, int)
        numbers = dict(history.nodes)
        columns = {"round": np.repeat(rounds, n), "node": np.tile(np.arange(n), len(rounds))}
        if "degree" in numbers:
            columns["degree"] = numbers.pop("degree").astype(int).reshape(-1)
        columns |= {name: np.tile(values, len(rounds)) for name, values in self.node_facts.columns.items()}
        return pandas.DataFrame(columns | {name: values.reshape(-1) for name, values in numbers.items()})

    @property
    def nodes_frame(self) -> pandas.DataFrame:
        """The former name of `nodes`."""
        return self.nodes

    @property
    def summary(self) -> dict[str, Any]:
        """The last evaluation and the ending of the run as JSON. Missing values, and those not finite, are null."""
        last = self.history.rows[-1] if len(self.history) else {}
        numbers = {name: None for name in ("mean_model_accuracy", "mean_accuracy", "worst_accuracy")}
        numbers |= {name: value if math.isfinite(value) else None for name, value in last.items() if name != "seconds"}
        numbers.pop("round", None)
        epsilon = self.origin.epsilon if isinstance(self.origin, Live) else None
        if epsilon is not None:
            numbers |= {"epsilon": epsilon if math.isfinite(epsilon) else None, "delta": self.origin.delta}
        return {
            "nodes": self.n,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 3),
            "compile_seconds": round(self.compile_seconds, 3),
            **numbers,
            "status": self.status,
            "message": self.message,
            "run_dir": str(self.run_dir) if self.run_dir else None,
        }

    def privacy(self, delta: float = 1e-5, accountant: str = "rdp") -> list[Spent]:
        """What each private part of the run has spent, (epsilon, delta), and what this assumes; see `Spent`.

        Without private parts the list is empty.

        Args:
          delta: above 0 and below 1; smaller than one over the number of examples, or of clients.
          accountant: "rdp", or "pld" where it has a bound, see `jdl.privacy.epsilon`.

        Raises:
          InputError: if no account holds, if the parts of a loaded result are not known, or if dp-accounting is not
            installed (the extra `privacy`).
        """
        return spent(self.simulation, self.rounds, delta, accountant)

    def membership(self) -> np.ndarray:
        """How well the model of node j tells the examples of node i from the test set, f[n, m]; see `runs.audit`.

        `jdl.privacy_matrix` draws it.

        Raises:
          InputError: if the problem has no single examples or no test set, or if the parts of a loaded result are not
            known.
        """
        return membership(self.models, self.simulation.problem)

    def plot(
        self, path: str | Path | None = None, theory: bool | Prediction = False, x: str = "rounds"
    ) -> matplotlib.figure.Figure:
        """Draw the learning curves.

        Args:
          path: the file to write, if any; its ending gives the format.
          theory: whether to lay over the curves what `jdl.theory.predict` predicts of them, or such a prediction.
          x: what is along the axes: "rounds", "megabytes" (sent by a node), "simulated_seconds", or any column.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if there is no column x; or if theory has no exact prediction, naming the part that is not linear.
        """
        from jdl.runs.predicted import pictured

        start = getattr(self.origin, "start", None)
        return pictured(self.title, self.history, self.n, lambda: [self.simulation], path, theory, start, x)

    def plot_nodes(
        self, metric: str | None = None, by: str | None = None, path: str | Path | None = None
    ) -> matplotlib.figure.Figure:
        """Draw a metric of every node: its distribution over nodes, or against what nodes differ in.

        Args:
          metric: the name of a metric in `nodes`; by default the first of them.
          by: None for the distribution at each evaluation; "group" for that in each group; "degree", "num_examples" or
            another column of `nodes` for a dot for each node.
          path: the file to write, if any; its ending gives the format.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if there is no such metric or column.
        """
        from jdl.show import node_plots

        return node_plots.nodes(self.nodes, metric, by, path)

    def confusion(self, path: str | Path | None = None) -> matplotlib.figure.Figure:
        """Draw the confusion matrix of all models together on the test set; see `jdl.metrics.confusion`.

        Args:
          path: the file to write, if any; its ending gives the format.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if the problem has no test set of classes, or if the parts of a loaded result are not known.
        """
        from jdl.show.confusion import confusion

        matrices = np.asarray(metrics.confusion(self.models, self.simulation))
        return confusion(matrices.sum(axis=0), path=path)

    def save_models(self, path: str | Path) -> Path:
        """Write the models of all nodes to a file, which `jdl.load_models` reads.

        Args:
          path: the file, `.npz` or `.safetensors` (the extra `export`).

        Returns:
          The path.

        Raises:
          InputError: for another ending, if safetensors is not installed, or if the models are not known.
        """
        return save_models(path, self.models, round=self.rounds)

    def save_mean_model(self, path: str | Path) -> Path:
        """Write the average of the models of all nodes to a file, see `save_models`."""
        return save_models(path, self.mean_model, round=self.rounds)

    def table(self, format: str = "text") -> str:
        """The last evaluation as a table in "text", "markdown", "latex", "csv" or "html".

        Raises:
          InputError: if there is no such format.
        """
        from jdl.show import report

        return export.formatted(report.rows_of({self.title: self}), format)

    def to_xarray(self) -> xarray.Dataset:
        """The evaluations as an `xarray.Dataset` (the extra `export`) with the dimensions `round` and `node`.

        Metrics of every node have their names after "node_"; `honest`, `group` and `num_examples` are coordinates.

        Raises:
          InputError: if xarray is not installed.
        """
        names = ("name", "seed", "status", "message", "rounds", "seconds")
        about = {name: getattr(self, name) for name in names}
        return export.dataset(self.history, [self.node_facts], about)

    def _of(self) -> str:
        """Of how many nodes the last evaluation is, where it is not of all.

        A run that finishes is evaluated at all nodes at its end, unless the user gave a number of them.
        """
        nodes, n = self.summary.get(EVALUATED), self.n
        return f" (of a sample of {nodes:,} of {n:,} nodes)" if nodes not in (None, n) else ""

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.message}"]
        lines += [f"  {label}: {text}" for label, text in self.facts(self.summary)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        facts = self.facts(self.summary)
        rows = "".join(f"<tr><th style='text-align:left'>{label}</th><td>{text}</td></tr>" for label, text in facts)
        return f"<b>{self.name}</b>: {self.message}<table>{rows}</table>"

    def facts(self, s: dict[str, Any]) -> list[tuple[str, str]]:
        """Lines of a summary, pairs of a label and a text."""
        facts, of = surroundings(self.origin.described(), self.node_facts.honest), self._of()
        if s.get("mean_accuracy") is not None:
            mean, worst, centre = (s[name] for name in ("mean_accuracy", "worst_accuracy", "mean_model_accuracy"))
            facts.append(("test accuracy", f"mean {mean:.1%}, worst node {worst:.1%}{of}, mean model {centre:.1%}"))
        if s.get("own_accuracy") is not None:
            mean, worst = s["own_accuracy"], s["worst_own_accuracy"]
            facts.append(("accuracy on own data", f"mean {mean:.1%}, worst node {worst:.1%}{of}"))
        elif s.get("own_loss") is not None:
            facts.append(("loss on own data", f"mean {s['own_loss']:.4g}, worst node {s['worst_own_loss']:.4g}{of}"))
        if s.get("mean_model_loss") is not None:
            facts.append(("loss of the mean model", f"{s['mean_model_loss']:.4g}"))
        if s.get("suboptimality") is not None:
            facts.append(("above the optimum", f"{s['suboptimality']:.3g}"))
        if s.get("consensus_distance") is not None:
            facts.append(("consensus distance", f"{s['consensus_distance']:.3g}"))
        if s.get("bits_sent") is not None:
            megabytes = s["bits_sent"] / 8e6
            facts.append(("sent", f"{megabytes:,.1f} MB in all, {megabytes / s['nodes']:,.3f} MB a node"))
        if s.get("simulated_seconds") is not None:
            idle = s.get("idle_share")
            waited = f", of which nodes wait {idle:.0%}" if idle is not None else ""
            spent_joules = f", {s['joules']:,.4g} J in all" if s.get("joules") else ""
            facts.append(("simulated time", f"{s['simulated_seconds']:,.4g} s{waited}{spent_joules}"))
        account = line(self.origin.made, self.rounds, self.origin.delta) if isinstance(self.origin, Live) else None
        if account is not None:
            facts.append(("privacy", account))
        facts.append(("time", f"{self.seconds:.1f} s, and {self.compile_seconds:.1f} s to compile"))
        if EVALUATED in self.history:
            nodes, n = int(self.history[EVALUATED].min()), self.n
            facts.append(("evaluations", f"of {nodes:,} of {n:,} nodes{', the last one of all' * (not of)}"))
        if self.run_dir:
            facts.append(("files", str(self.run_dir)))
        return facts
