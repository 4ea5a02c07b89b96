"""The figures of `loop.py` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turns import digits, shown

Figures = Mapping[str, Any]


def tables(cases: Mapping[str, Figures]) -> str:
    """A table for each kind of case that is there."""
    kinds = {
        "digits 2nn lenet logistic fedavg tracking": of_loops,
        "sizes": of_sizes,
        "first": of_first_calls,
        "run": of_runs,
        "torch": of_torch,
    }
    parts = []
    for words, write in kinds.items():
        mine = {name: figures for name, figures in cases.items() if name.partition("_")[0] in words.split()}
        skipped = [f"{name}: {figures['skipped']}" for name, figures in mine.items() if "skipped" in figures]
        mine = {name: figures for name, figures in mine.items() if "skipped" not in figures}
        parts += ["\n".join(skipped)] if skipped else []
        parts += [write(mine)] if mine else []
    return "\n\n".join(parts)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def of_loops(cases: Mapping[str, Figures]) -> str:
    """jdl over the loops; a copy is one pass over all models."""
    head = ["case", "jdl, us a node", "best loop", "its us a node", "jdl / best (goal 1.05)", "jdl / plain"]
    rows = []
    for name, of in cases.items():
        micro = of["microseconds_a_node"]
        plain = shown(of["jdl_over_plain"]) if of["jdl_over_plain"] else "not run"
        ratios = [shown(of["jdl_over_best"]), plain, shown(of["jdl_over_copy"])]
        rows.append([name, digits(micro["jdl"]), of["best"], digits(micro[of["best"]]), *ratios])
    return markdown([*head, "jdl / copy of the models"], rows)


def of_sizes(cases: Mapping[str, Figures]) -> str:
    """The time a node against the number of nodes."""
    of = cases["sizes"]
    rows = [
        [n, digits(micro), shown(of["over_least"][n]), shown(of["over_64"][n])]
        for n, micro in of["microseconds_a_node"].items()
    ]
    goal = "over the least of n = 64 to 16,384 (goal 1.3; n = 65,536: 1.6)"
    return markdown(["n", "us a node", goal, "over n = 64"], rows)


def of_first_calls(cases: Mapping[str, Figures]) -> str:
    """Seconds before the first round."""
    head = ["first call", "jdl / loop, trace and compile (goal 1.5)", "with the first state"]
    parts = ("state", "trace", "compile")
    head += [f"{name}, s: {', '.join(parts)}" for name in ("jdl", "loop")]
    rows = []
    for name, of in cases.items():
        seconds = [", ".join(f"{of['seconds'][who][part]['median']:.2f}" for part in parts) for who in ("jdl", "loop")]
        rows.append([name, shown(of["round"]), shown(of["with_state"]), *seconds])
    return markdown(head, rows)


def of_runs(cases: Mapping[str, Figures]) -> str:
    """`jdl.run` over its rounds."""
    head = ["jdl.run", "rounds", "run / rounds alone (goal 1.15)", "whole call / rounds alone", "rounds alone, s"]
    rows = []
    for name, of in cases.items():
        ratios = shown(of["run_over_rounds"]), shown(of["call_over_rounds"])
        rows.append([name, str(of["rounds"]), *ratios, f"{of['seconds']['rounds']['median']:.2f}"])
    return markdown(head, rows)


def of_torch(cases: Mapping[str, Figures]) -> str:
    """PyTorch over jdl."""
    head = [
        "round of D-PSGD",
        "jdl, us a node",
        "PyTorch, us a node",
        "the fastest of its ways",
        "PyTorch / jdl (goal 1.5)",
    ]
    rows = []
    for name, of in cases.items():
        micro = of["microseconds_a_node"]
        best = of["best"]
        rows.append([name, digits(micro["jdl"]), digits(micro[best]), best, shown(of["torch_over_jdl"])])
    return markdown(head, rows)
