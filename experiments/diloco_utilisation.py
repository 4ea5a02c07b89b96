"""How long do machines compute in DiLoCo, and how long do they wait? The clock against measurements of a real run.

    python experiments/diloco_utilisation.py [--out runs/diloco_utilisation]

The share of time in which four machines compute, over local steps H and bandwidth, from `jdl.timing`: the clock alone,
without learning. On it the measurements of a public repository, Adnan082/diloco-measured on GitHub (README, and the
telemetry of its 48 runs): DiLoCo on four machines with a GPU each, a model of 30,846,720 numbers of 32 bits, lines held
at 50 Mbit/s to 5 Gbit/s, the median of three runs. One step took 25.3 ms there, the median over all runs.

The machines averaged by an all-reduce over a ring, in which each sends and receives 2 (n - 1) / n of a model. Here a
server with a line that is never full sends (n - 1) / n of a model to each and receives as much: the same time. Nothing
is fitted to the measurements but the time of a step. They end in the middle of a round: for H = 32 there were 35 steps
for each exchange of models, and for H = 128, 180. So the clock is compared with rounds of as many steps as there were.

It writes diloco_utilisation.csv, a row for each measurement, and diloco_utilisation.png: the surface with the
measurements on it, and beside it the measured share against that of the clock.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

import jdl
from jdl.show import style

if TYPE_CHECKING:
    import pandas

MACHINES, NUMBERS, STEP = 4, 30_846_720, 0.0253
BANDWIDTHS = (50e6, 200e6, 1e9, 5e9)
# Of each H: the steps for each exchange of models in the measured rounds, and the share of time spent computing.
MEASURED = {
    1: (1, (0.0007, 0.0032, 0.0174, 0.0776)),
    8: (8, (0.0054, 0.0246, 0.1219, 0.3952)),
    32: (35, (0.0230, 0.0962, 0.3558, 0.6761)),
    128: (180, (0.1143, 0.3480, 0.7085, 0.8604)),
}


def utilisation(local_steps: int, bandwidth: float) -> float:
    """The share of the time in which machines compute."""
    links = jdl.clock.FairShare(up=bandwidth, down=bandwidth, latency=0.0, server=1e30)
    clock = jdl.clock.Clock(step=STEP, links=links)
    method = jdl.algorithms.DiLoCo(local_steps=local_steps)
    simulation = jdl.simulation(jdl.problems.quadratic(MACHINES, dim=2), method, clock=clock)
    times = jdl.timing(simulation, rounds=4, eval_every=4, bits=32 * NUMBERS * (MACHINES - 1) / MACHINES)
    return 1 - float(times.idle_share[-1])


def compared() -> pandas.DataFrame:
    """The clock beside each measurement."""
    import pandas

    rows = [
        {"H": H, "steps": steps, "bandwidth": bandwidth, "measured": share, "clock": utilisation(steps, bandwidth)}
        for H, (steps, shares) in MEASURED.items()
        for bandwidth, share in zip(BANDWIDTHS, shares, strict=True)
    ]
    table = pandas.DataFrame(rows)
    return table.assign(ratio=table["clock"] / table["measured"])


def draw(table: pandas.DataFrame, path: Path) -> None:
    """The surface with the measurements in circles of the same colours, and beside it each one against its clock."""
    steps, rates = 2 ** np.arange(9), np.geomspace(2.5e7, 1e10, 11)
    surface = np.array([[utilisation(int(count), float(rate)) for rate in rates] for count in steps])
    percent = lambda share, _=None: f"{share:.0%}" if share >= 0.01 or not share else f"{share:.1%}"
    with style.picture((10.4, 4.3), path) as figure:
        axes, beside = figure.subplots(1, 2, width_ratios=(1.35, 1))
        look = {"cmap": "viridis", "vmin": 0, "vmax": 1}
        image = axes.pcolormesh(rates, steps, surface, shading="gouraud", **look)
        lines = axes.contour(rates, steps, surface, levels=[0.1, 0.25, 0.5, 0.75, 0.9], colors="white", linewidths=0.8)
        axes.clabel(lines, fmt=percent, fontsize=9, inline_spacing=2)
        found = {
            "c": table["measured"],
            "s": 75,
            "edgecolors": "white",
            "linewidths": 1.4,
            "clip_on": False,
            "zorder": 3,
        }
        axes.scatter(table["bandwidth"], table["steps"], **found, **look)
        axes.set(xscale="log", yscale="log", xlabel="bandwidth of a line, bit/s")
        axes.set(ylabel="local steps for each exchange of models", yticks=steps, yticklabels=steps)
        axes.minorticks_off()
        axes.set_title("the clock (surface), measured (circles)", fontsize=10.5)
        figure.colorbar(image, label="share of time spent computing", format=percent)
        for colour, (bandwidth, rows) in zip(style.COLOURS, table.groupby("bandwidth"), strict=False):
            name = f"{bandwidth / 1e6:,.0f} Mbit/s" if bandwidth < 1e9 else f"{bandwidth / 1e9:,.0f} Gbit/s"
            beside.plot(rows["measured"], rows["clock"], "o", color=colour, markersize=7, label=name, clip_on=False)
        ends = np.array([5e-4, 1.0])
        beside.plot(ends, ends, color=style.INK, linewidth=0.8, zorder=0)
        beside.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
        beside.set(xlabel="measured share", ylabel="share that the clock says")
        for axis in (beside.xaxis, beside.yaxis):
            axis.set_major_formatter(percent)
        beside.set_title("16 measurements", fontsize=10.5)
        beside.legend(frameon=False, fontsize=9, loc="upper left")


def main(out: Path = Path("runs/diloco_utilisation")) -> None:
    """How long do machines compute in DiLoCo, and how long do they wait?"""
    out.mkdir(parents=True, exist_ok=True)
    table = compared()
    table.to_csv(out / "diloco_utilisation.csv", index=False)
    draw(table, out / "diloco_utilisation.png")
    shares = {name: "{:.2%}".format for name in ("measured", "clock")}
    print(table.to_string(index=False, formatters=shares))
    ratio = table["ratio"]
    print(
        f"The clock says {ratio.min():.2f} to {ratio.max():.2f} times what was measured, {ratio.median():.2f} times in"
    )
    print(f"the median; the largest difference is {100 * (table['clock'] - table['measured']).abs().max():.1f} points.")


if __name__ == "__main__":
    tyro.cli(main)
