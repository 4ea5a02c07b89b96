"""The largest stable rate of ten methods over eight graphs, exactly, beside the step sizes that the literature proves.

    python experiments/stable_rates.py [--nodes 16] [--condition 10] [--out runs/stable_rates]

`jdl.theory.stable_rates` finds the rates at which the mean squared distance to the fixed point shrinks, here on
quadratics whose Hessians have the same eigenvalues and different eigenvectors at each node. Rates are in units of
1 / L, with L the largest curvature of any node. The mean of the Hessians is flatter, so that methods that mix well may
go beyond 2 / L; the caption says how far gradient descent on the mean objective goes. Random matchings are replaced by
some draws, so that their column has an error of sampling.

Where small rates diverge, as of D2 if an eigenvalue of W is below -1/3, the cell is hatched and gives the interval that
is stable; where every rate diverges it says so. jdl refuses a method that needs a symmetric W over a directed graph,
which is marked as well. FedAvg talks to a server, has no graph, and so one number. Beside the map are the step sizes
of theorems (see `jdl.theory.bounds`), as the range of their share of the exact largest rate over the graphs to which
they apply. It writes stable_rates.csv, a row for each method and graph, and stable_rates.png.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

import jdl
from jdl import algorithms, topology
from jdl.show import style
from jdl.theory import bounds
from jdl.topology import Topology

if TYPE_CHECKING:
    import pandas

LOCAL_STEPS = 4
FEDAVG = f"FedAvg, {LOCAL_STEPS} local steps"
METHODS = {
    "D-PSGD": algorithms.DPSGD,
    "DGD": algorithms.DGD,
    "DSGDm, momentum 0.9": functools.partial(algorithms.DSGDm, momentum=0.9),
    "EXTRA": algorithms.EXTRA,
    "D2": algorithms.D2,
    "exact diffusion": algorithms.ExactDiffusion,
    "gradient tracking": algorithms.GradientTracking,
    "DIGing": algorithms.DIGing,
    "Aug-DGM": algorithms.AugDGM,
    FEDAVG: functools.partial(algorithms.FedAvg, local_steps=LOCAL_STEPS),
}
# The step size that a theorem proves, of (graph, L, mu).
BOUNDS: dict[str, tuple[str, Callable[[Topology, float, float], float]]] = {
    "DGD": ("Lian et al. 2017", lambda graph, L, mu: bounds.dsgd_largest_rate(graph, L)),
    "EXTRA": ("Li, Yan 2021", lambda graph, L, mu: bounds.extra_largest_rate(graph, L).tight),
    "D2": ("Tang et al. 2018, equal Hessians", lambda graph, L, mu: bounds.d2_largest_rate(graph, L)),
    "exact diffusion": ("Li, Shi, Yan 2019", lambda graph, L, mu: bounds.exact_diffusion_largest_rate(L)),
    "gradient tracking": ("Pu, Nedic 2021", bounds.stochastic_tracking_largest_rate),
    "DIGing": ("Qu, Li 2018", bounds.gradient_tracking_largest_rate),
    FEDAVG: ("Khaled et al. 2020", lambda graph, L, mu: bounds.local_sgd_largest_rate(L, LOCAL_STEPS)),
}
STABLE, REFUSED, UNSTABLE = "stable", "refused", "unstable at every rate"
SERVER = "a server"
MIDDLE = 0.62  # colours up to here are dark


def graphs(n: int) -> dict[str, Any]:
    """Static graphs, one of them directed, a cycle of graphs, and a random schedule."""
    return {
        "ring": topology.ring(n),
        "torus": topology.torus(n),
        "star": topology.star(n),
        "two cliques": topology.two_cliques(n),
        "complete": topology.complete(n),
        "exponential": topology.exponential(n),
        "one-peer exponential": topology.one_peer_exponential(n),
        "random matching": jdl.schedule.Matching(n),
    }


def links_of(method: str, graph: Any, n: int) -> Any:
    """Who talks: a server with all clients, or a graph. Static graphs of one form share the programs of a method."""
    if method == FEDAVG:
        return jdl.schedule.Sampling(n, n)
    return jdl.schedule.Fixed(graph.plan("dense")) if isinstance(graph, Topology) else graph


def cell(problem: Any, method: str, graph: Any, samples: int) -> dict[str, Any]:
    """The interval of stable rates of a method over a graph, or why there is none."""
    try:
        simulation = jdl.simulation(problem, METHODS[method](lr=0.1), links_of(method, graph, problem.n))
    except jdl.checks.InputError as error:
        return {"status": REFUSED, "why": str(error)}
    try:
        low, high = jdl.theory.stable_rates(simulation, samples=samples)
    except jdl.checks.InputError as error:
        return {"status": UNSTABLE, "why": str(error)}
    L = float(problem.smoothness)
    return {"status": STABLE, "low": low * L, "high": high * L}


def proved(problem: Any, method: str, graph: Any) -> dict[str, Any]:
    """The step size of a theorem times L, where there is one and its assumptions hold."""
    source, bound = BOUNDS.get(method, ("", None))
    if bound is None or (method != FEDAVG and not isinstance(graph, Topology)):
        return {}
    L, mu = float(problem.smoothness), float(problem.strong_convexity)
    try:
        return {"bound": bound(graph, L, mu) * L, "source": source}
    except jdl.checks.InputError:
        return {}


def table_of(problem: Any, samples: int) -> pandas.DataFrame:
    """A row for each method and graph."""
    import pandas

    rows = []
    for method in METHODS:
        begun = time.monotonic()
        of_method = []
        for name, graph in {SERVER: None}.items() if method == FEDAVG else graphs(problem.n).items():
            found = cell(problem, method, graph, samples) | proved(problem, method, graph)
            of_method.append({"method": method, "graph": name, **found})
        shown = [f"{row['high']:.3f}" if row["status"] == STABLE else row["status"] for row in of_method]
        print(f"{method:24s} {', '.join(shown)}; {time.monotonic() - begun:.0f} s", flush=True)
        rows += of_method
    return pandas.DataFrame(rows)


def share(rows: pandas.DataFrame) -> str:
    """Whose step size it is, and which share of the exact largest rate, over the graphs to which it applies."""
    rows = rows.dropna(subset=["bound", "high"])
    if rows.empty:
        return ""
    ends = [100 * f(rows["bound"] / rows["high"]) for f in (np.min, np.max)]
    texts = dict.fromkeys(f"{value:.0f}" if value >= 9.5 else f"{value:.2g}" for value in ends)
    return f"{rows['source'].iloc[0]}: {' to '.join(texts)} %"


def text_of(cell: pandas.Series) -> str:
    """The largest stable rate, the interval where small rates diverge, or why there is none."""
    if cell["status"] != STABLE:
        return "refused" if cell["status"] == REFUSED else "unstable"
    return f"{cell['low']:#.3g} to {cell['high']:#.3g}" if cell["low"] > 0 else f"{cell['high']:#.3g}"


def draw(frame: pandas.DataFrame, caption: str, path: Path) -> None:
    """The largest stable rates as a map; where small rates, or all, diverge, it is hatched."""
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    names = list(frame.loc[frame["graph"] != SERVER, "graph"].unique())
    colours = LogNorm(frame["high"].min(), frame["high"].max())
    values = np.full((len(METHODS), len(names)), np.nan)
    with style.picture((12.5, 5.6), path, grid=False) as figure:
        axes = figure.subplots()
        beside = len(names) - 0.4
        for row, method in enumerate(METHODS):
            of_method = frame[frame["method"] == method].set_index("graph")
            for name, one in of_method.iterrows():
                column, width = (0, len(names)) if name == SERVER else (names.index(name), 1)
                values[row, column : column + width] = one["high"]
                if one["status"] == UNSTABLE or one["low"] > 0:
                    hatched = {"facecolor": "none", "hatch": "////", "edgecolor": "#a8a8a8", "linewidth": 0}
                    axes.add_patch(Rectangle((column - 0.5, row - 0.5), width, 1, **hatched))
                text = text_of(one) + (", all clients of a server, without a graph" if name == SERVER else "")
                ink = "white" if one["status"] == STABLE and colours(one["high"]) < MIDDLE else style.INK
                middle = column + (width - 1) / 2
                axes.text(middle, row, text, ha="center", va="center", fontsize=9.5, color=ink)
            axes.text(beside, row, share(of_method), va="center", fontsize=9.5)
        axes.imshow(np.ma.masked_invalid(values), cmap="viridis", norm=colours, aspect="auto", zorder=0)
        axes.text(beside, -0.62, "share of it that a theorem proves", va="bottom", fontsize=9.5, weight="bold")
        axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
        axes.set_yticks(range(len(METHODS)), list(METHODS))
        axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False, bottom=False)
        axes.spines[:].set_visible(False)
        figure.supxlabel(caption, fontsize=9.5)


def main(
    nodes: int = 16, dim: int = 2, condition: float = 10.0, samples: int = 64, out: Path = Path("runs/stable_rates")
) -> None:
    """Find the largest stable rates, and write them.

    Args:
      nodes: the number of nodes, a number of which all graphs can be made, such as 16.
      dim: the number of parameters.
      condition: L / mu of every node.
      samples: how many draws stand for a random matching.
      out: the directory of the table and the picture.
    """
    problem = jdl.problems.quadratic(nodes, dim, condition)
    frame = table_of(problem, samples)
    out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out / "stable_rates.csv", index=False, float_format="%.7g")
    mean = 2 * float(problem.smoothness) / float(np.linalg.eigvalsh(problem.A.mean(axis=0)).max())
    about = f"largest stable rate times L, {nodes} nodes, quadratics of condition {condition:g}"
    rest = "Hatched: small rates diverge. Refused: the method needs a symmetric W."
    caption = f"{about}; gradient descent on their mean: {mean:.2f}. {rest}"
    draw(frame, caption, out / "stable_rates.png")


if __name__ == "__main__":
    tyro.cli(main)
