"""Exact prediction over measurement: three methods on four graphs, heterogeneous quadratics with gradient noise.

    python experiments/theory_over_measured.py [--rounds 400] [--seeds 32] [--out runs/theory_over_measured]

D-PSGD, gradient tracking and D2 run with every seed, and `jdl.theory.predict` derives from their compiled rounds what
the mean over seeds should be. D2 is stable only if the eigenvalues of W are above -1/3, so it takes (I + W) / 2 where
they are not; the table names the weights. The exponential graph has links in both directions, since D2 needs a
symmetric W. Nothing is fitted: the prediction knows the problem, the rate, the graph and the first models.

It writes theory_over_measured.csv, for each evaluation after the start the measured mean, the predicted one, its
standard error over so many seeds, and the difference in standard errors, z; and theory_over_measured.png. It prints the
largest |z| and the share of evaluations inside the 95 % band. The evaluations of one run depend on each other, so that
this share scatters about 95 % by more than that of independent draws. On the complete graph nodes agree, and the
consensus distance, predicted to be zero, has no z.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

import jdl
from jdl.show import style
from jdl.topology import Topology

if TYPE_CHECKING:
    import pandas

METHODS = {
    "D-PSGD": jdl.algorithms.DPSGD,
    "gradient tracking": jdl.algorithms.GradientTracking,
    "D2": jdl.algorithms.D2,
}
COLUMNS = ("mean_loss", "suboptimality", "consensus_distance")
DRAWN = "mean_loss"
LEVEL = 0.95
# A smaller consensus distance is zero, and what float32 makes of it is rounding: models that W = J has made equal.
ROUNDING = 1e-10


def graphs(n: int) -> dict[str, Topology]:
    """Four graphs with links in both directions."""
    jumps = [2**j for j in range((n - 1).bit_length())]
    both = dict.fromkeys(shift if 2 * shift <= n else shift - n for jump in jumps for shift in (jump, n - jump))
    return {
        "ring": jdl.topology.ring(n),
        "torus": jdl.topology.torus(n),
        "exponential": jdl.topology.circulant("exponential in both directions", n, tuple(both)),
        "complete": jdl.topology.complete(n),
    }


def for_method(method: str, graph: Topology) -> Topology:
    """The graph, for D2 with (I + W) / 2 in place of W if an eigenvalue of W is at or below -1/3."""
    lowest = np.linalg.eigvalsh(graph.weights.toarray())[0]
    return jdl.topology.weighted(graph, "lazy") if method == "D2" and lowest < -1 / 3 + 1e-9 else graph


def beside(results: Any, labels: dict[str, str]) -> pandas.DataFrame:
    """The measured mean over seeds and the predicted one, a row for each column and evaluation."""
    import pandas

    history = results.history
    prediction = jdl.theory.predict([one.simulation for one in results], history["round"])
    frames = []
    for name in COLUMNS:
        rows = {"round": prediction.rounds, "measured": np.asarray(history[name], float).mean(axis=1)}
        rows |= {"predicted": prediction.columns[name], "error": prediction.deviations[name] / np.sqrt(len(results))}
        rows["low"], rows["high"] = prediction.band(name, LEVEL)
        frames.append(pandas.DataFrame({**labels, "column": name, **rows}))
    frame = pandas.concat(frames, ignore_index=True)
    frame = frame[frame["round"] > 0]  # the first models are known, so that nothing is random there
    z = (frame["measured"] - frame["predicted"]) / frame["error"]
    return frame.assign(z=z.where((frame["column"] != "consensus_distance") | (frame["predicted"] > ROUNDING)))


def draw(frame: pandas.DataFrame, least: float, caption: str, path: Path) -> None:
    """A panel for each method, a colour for each graph: measured as a line, predicted as dots with a band."""
    frame = frame[frame["column"] == DRAWN]
    with style.picture((11, 4.4), path) as figure:
        panels = figure.subplots(1, len(METHODS), sharey=True)
        for axes, method in zip(panels, METHODS, strict=True):
            of_method = frame[frame["method"] == method]
            for colour, (name, rows) in zip(style.COLOURS, of_method.groupby("graph", sort=False), strict=False):
                x, predicted, measured, low, high = (
                    rows[one].to_numpy() - (0 if one == "round" else least)
                    for one in ("round", "predicted", "measured", "low", "high")
                )
                lazy = " with (I + W) / 2" if (rows["weights"] == "(I + W) / 2").all() else ""
                axes.plot(x, measured, color=colour, linewidth=1.4, label=f"{name}{lazy}")
                axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
                axes.plot(x, predicted, color=style.INK, linewidth=1.6, linestyle=(0, (1, 2.2)), zorder=3)
            axes.set(title=method, xlabel="round", yscale="log")
            axes.legend(frameon=False, fontsize=9, loc="upper right")
        panels[0].set_ylabel("loss above that of the optimum,\nmean over nodes and seeds")
        figure.supxlabel(caption, fontsize=9.5)


def main(
    nodes: int = 16,
    dim: int = 5,
    lr: float = 0.1,
    noise: float = 0.3,
    heterogeneity: float = 1.0,
    rounds: int = 400,
    eval_every: int = 10,
    seeds: int = 32,
    out: Path = Path("runs/theory_over_measured"),
) -> None:
    """Measure, predict, and write both.

    Args:
      nodes: the number of nodes, a number of which a torus can be made.
      dim: the number of parameters.
      lr: the rate of all methods.
      noise: the standard deviation of each coordinate of a gradient.
      heterogeneity: zeta^2, the mean over nodes of the squared gradient at the optimum.
      rounds: the number of rounds.
      eval_every: the number of rounds between evaluations.
      seeds: the number of runs whose mean is compared.
      out: the directory of the table and the picture.
    """
    import pandas

    problem = jdl.problems.quadratic(nodes, dim, condition=10.0, heterogeneity=heterogeneity, noise=noise)
    frames = []
    for method, algorithm in METHODS.items():
        for name, graph in graphs(nodes).items():
            taken = for_method(method, graph)
            # All graphs in one form share the compiled programs of a method.
            links = jdl.schedule.Fixed(taken.plan("dense"))
            how = {"rounds": rounds, "eval_every": eval_every, "seeds": range(seeds), "progress": False}
            results = jdl.run(problem, algorithm(lr=lr), links, **how)
            labels = {"method": method, "graph": name, "weights": "W" if taken is graph else "(I + W) / 2"}
            frames.append(beside(results, labels))
            z = frames[-1]["z"].abs()
            weights = "" if taken is graph else ", with (I + W) / 2"
            print(f"{method + ' on ' + name + weights:48s} largest |z| {z.max():.2f}", flush=True)
    frame = pandas.concat(frames, ignore_index=True)
    compared = frame.dropna(subset="z")
    inside = compared["measured"].between(compared["low"], compared["high"])
    inside = inside.groupby(compared["column"], sort=False).mean()
    within = ", ".join(f"{share:.1%} of {name}" for name, share in inside.items())
    print(f"largest |z| of {len(compared)} evaluations {compared['z'].abs().max():.2f}; inside the 95 % band: {within}")
    out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out / "theory_over_measured.csv", index=False, float_format="%.6g")
    caption = f"solid: measured, mean over {seeds} seeds; dotted with its 95 % band: predicted"
    draw(frame, float(problem.optimum.loss), caption, out / "theory_over_measured.png")


if __name__ == "__main__":
    tyro.cli(main)
