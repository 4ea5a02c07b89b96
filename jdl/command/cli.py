"""The command line: `jdl run`, `sweep`, `topo`, `list`, `resume`, `show`, `runs`. It turns flags into parts of jdl."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import rich.console
import tyro

import jdl
from jdl import checks
from jdl.command import catalogue, choices, defaults, flags, sweep
from jdl.command.budget import USUAL, require_same_noise
from jdl.command.clock import with_usual
from jdl.command.fixed import ABOUT, BriefSweep, List, Resume, Runs, Show, Sweep, quiet_where_nobody_reads
from jdl.command.listed import list_runs
from jdl.command.record import build, record, topology_of
from jdl.command.seeds import graph
from jdl.command.shown import show
from jdl.command.unknown import refuse
from jdl.command.until import until_in
from jdl.engine.placement import cores, find_devices, use_cores
from jdl.runs import baselines, privacy
from jdl.runs.place import Place
from jdl.runs.result import Result
from jdl.runs.results import Results
from jdl.runs.run import run
from jdl.show import plots, report
from jdl.show.drawing import draw
from jdl.show.graph_report import graph_report
from jdl.show.graph_table import graph_table

__all__ = ["COMMANDS", "main"]


COMMANDS = {"run": flags.Common, "sweep": Sweep, "topo": flags.Graph, "list": List, "resume": Resume}
COMMANDS |= {"show": Show, "runs": Runs}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit.

    The exit status is 0 if the command was carried out (even if a run diverged), 2 for bad input, 130 if interrupted.

    Args:
      argv: the words of the command; by default those of the process.
    """
    with warnings.catch_warnings():
        warnings.showwarning = functools.partial(_print_note, warnings.showwarning)
        try:
            code = quiet_where_nobody_reads(_main, list(sys.argv[1:] if argv is None else argv))
        except checks.InputError as error:
            print(f"jdl: {error}", file=sys.stderr)
            code = 2
    sys.exit(code)


def _print_note(usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any) -> None:
    """Print a note of jdl as one line on standard error, and any other warning as Python does."""
    if issubclass(category, checks.Note):
        print(f"jdl: {message}", file=sys.stderr)
    else:
        usual(message, category, *place)


def _main(argv: list[str]) -> int:
    if argv[:1] == ["--version"]:
        print(f"jdl {jdl.__version__}")
        return 0
    commands, chosen, quiet, usual = dict(COMMANDS), None, False, {}
    argv = with_usual(choices.with_new_names(argv))
    if argv and not argv[0].startswith("-"):
        argv[0] = checks.known("command", argv[0], COMMANDS)
        first, _ = _parse(choices.Choices, argv[1:], argv[0], add_help=False)
        quiet = first.json
        if argv[0] == "run":
            chosen = choices.choose(first)
            commands["run"], usual = flags.flags_of(chosen), defaults.usual(chosen.problem)
        elif argv[0] == "topo":
            chosen = choices.choose_graph(_parse(choices.FirstGraph, argv[1:], "topo", add_help=False)[0])
            commands["topo"] = flags.flags_of(chosen, flags.Graph)
    if argv[:1] != ["sweep"]:
        commands["sweep"] = BriefSweep
    given = {"run": {"baselines": not quiet, **usual}, "resume": {"dir": tyro.MISSING, "baselines": not quiet}}
    named = [
        Annotated[kind, tyro.conf.subcommand(name, default=kind(**given.get(name, {})))]
        for name, kind in commands.items()
    ]
    command = argv[0] if argv and argv[0] in COMMANDS else ""
    given, unknown = _parse(Union[tuple(named)], argv or ["--help"], command)  # noqa: UP007 (made of a list)
    match given:
        case List():
            _no_more(unknown, "list")
            return _list(given.names, given.json)
        case Show():
            _no_more(unknown, "show")
            return show(given)
        case Runs():
            _no_more(unknown, "runs")
            return list_runs(given)
        case Resume():
            _no_more(
                unknown, "resume", ": a run resumes with the settings it began with; begin a new run for other settings"
            )
            return _resume(given)
        case Sweep():
            return sweep.command(given, unknown)
    refuse(unknown, chosen, type(given))
    if isinstance(given, flags.Graph):
        return _topo(given, chosen)
    return _run(given, record(given, chosen))


def _parse(kind: Any, argv: list[str], command: str, add_help: bool = True) -> tuple[Any, list[str]]:
    """Parse the arguments.

    Returns:
      The arguments as an object, and the unknown ones.

    Raises:
      InputError: if tyro refuses an argument; its message is taken out of the box that tyro draws.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(kind, args=argv, prog="jdl", description=ABOUT, return_unknown_args=True, add_help=add_help)
    except SystemExit as stop:
        if not stop.code:
            raise
        message = _unboxed(complaint.getvalue())
        raise checks.InputError(f"{message}; see `{f'jdl {command}'.strip()} --help`") from None


def _unboxed(box: str) -> str:
    """The first paragraph under the title of a message of tyro, which may be drawn in a box."""
    _, *lines = (line.strip("│ ") for line in box.strip().splitlines())
    paragraphs = itertools.groupby(lines, key=lambda line: bool(line.strip("─-╭╮╰╯ ")))
    lines = next((list(paragraph) for real, paragraph in paragraphs if real), [])
    return " ".join(" ".join(lines).split()).rstrip(".")


def _no_more(unknown: list[str], command: str, why: str = "") -> None:
    words = " ".join(unknown)
    checks.require(not unknown, f"got {words!r}, which `jdl {command}` does not take{why}; see `jdl {command} --help`")


def _list(names: tuple[str, ...], as_json: bool) -> int:
    found = catalogue.catalogue()
    every = {entry.name for entries in found.values() for entry in entries}
    chosen = {checks.known("name", name, every) for name in names} or every
    if as_json:
        shown = {kind: [entry._asdict() for entry in found[kind] if entry.name in chosen] for kind in found}
        print(json.dumps({catalogue.KINDS[kind]: entries for kind, entries in shown.items()}, indent=2))
        return 0
    width = max(map(len, every)) + 2
    for heading, entries in catalogue.groups().items():
        kind = heading.partition(",")[0]
        shown = [entry for entry in entries if entry.name in chosen]
        if shown:
            print(heading)
        for entry in shown:
            print(f"  {entry.name:<{width}}{entry.summary}")
            more = {"sends": entry.sends, "memory": entry.memory, "published in": entry.paper} if names else {}
            if names:
                more["options"] = catalogue.said_options(catalogue.maker(kind, entry.name))
            for what, text in more.items():
                if text:
                    print(textwrap.fill(f"{what}: {text}", 118, initial_indent="    ", subsequent_indent="      "))
    return 0


def _topo(given: Any, chosen: choices.Chosen) -> int:
    find_devices()
    nodes = checks.whole("nodes", given.nodes, 1)
    part = topology_of(given, chosen)
    made = graph(part, nodes)
    settings = {"gamma": given.gamma, "eps": given.eps, "rounds": given.sampled_rounds, "seed": given.seed}
    found = {**graph_report(made, **settings), "name": part["name"], "weights": part.get("weights")}
    for warning in found["warnings"]:
        print(f"jdl: warning: {warning}", file=sys.stderr)
    if given.plot is not None:
        draw(made, given.plot, seed=given.seed)
    if given.json:
        print(json.dumps(found))
        return 0
    console = rich.console.Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(graph_table(found))
    if given.plot is not None:
        console.print(f"drawn in {given.plot}", markup=False, soft_wrap=True)
    return 0


def _run(given: Any, command: dict[str, Any]) -> int:
    topology = command["topology"]["name"] if command["topology"] else "alone"
    name = f"{command['algorithm']['name']}-{topology}-{command['nodes']}"
    path = Path("runs", name) if given.out is None else Path(given.out)
    place = _place(path, numbered=given.out is None)
    place.check()
    return _simulate(given, command, place, resume=False)


def _place(path: Path, numbered: bool = False) -> Place:
    return Place(path, numbered, argument="--out", again="jdl resume {path}")


def _resume(given: Resume) -> int:
    out = checks.path(given.dir)
    config = out / "config.json"
    need = "which holds no config.json" if out.is_dir() else "which is no directory"
    checks.require(config.is_file(), f"got run directory {out}, {need}; name one that `jdl run` made")
    try:
        kept = json.loads(config.read_text())
        command, every = kept["command"], kept["run"].get("eval_every")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise checks.InputError(f"got {config}, which cannot be read ({error}); restore it, or run anew") from error
    checks.require(
        command is not None,
        f"got run directory {out}, whose run was made from Python; resume it there, with the same objects and "
        f"jdl.run(..., run_dir={str(out)!r}, resume=True)",
    )
    before = command["rounds"]
    if given.rounds is not None:
        require_same_noise(command, given.rounds)
        command |= {"rounds": checks.whole("--rounds", given.rounds, 1), "eval_every": every}
    checks.require(not (given.until and given.no_until), "got --until and --no-until, need one of them; leave one out")
    if given.until or given.no_until:
        command |= {"until": until_in(given.until)}
    with contextlib.suppress(ValueError, KeyError, TypeError, OSError):  # there is no summary yet, or it is incomplete
        if json.loads((out / "summary.json").read_text())["status"] == "finished" and command["rounds"] == before:
            print(f"the run in {out} is finished; these are its results", file=sys.stderr)
    return _simulate(given, command, _place(out), resume=True)


def _simulate(given: Any, command: dict[str, Any], place: Place, resume: bool) -> int:
    if not given.compile_cache:
        os.environ["JDL_COMPILE_CACHE"] = "off"
    devices = command.get("devices")
    with contextlib.suppress(checks.InputError):  # a program that has already computed keeps its devices
        use_cores(max(cores(), devices) if isinstance(devices, int) else None)
    find_devices()
    label, others = report.label(command), {}
    try:
        arguments = build(command)
        command |= {"rounds": arguments["rounds"]}  # so that `jdl resume` knows it
        result = run(**arguments, run_dir=place, resume=resume, progress=given.progress, command=command)
        if given.baselines and result.status in ("finished", "reached"):
            others = baselines.baselines(result, given.progress)
    except KeyboardInterrupt:
        begun = not place.numbered and (place.path / "config.json").exists()
        print(f"jdl: interrupted{f'; go on with `{place.go_on}`' if begun else ''}", file=sys.stderr)
        return 130
    _show(given, command, label, result, others)
    return 130 if result.status == "interrupted" else 0


def _show(given: Any, command: dict[str, Any], label: str, result: Result | Results, others: dict[str, Any]) -> None:
    """Write the curves to a file, and print the numbers as JSON or as a table."""
    run_dir = result.run_dir
    if len(result.history):
        references = {name: other.history for name, other in others.items()}
        path = run_dir / "curves.png"
        plots.curves({result.name: result.history}, path, references=references, nodes=command["nodes"])
    if given.json:
        parts = {kind: command.get(kind) for kind in ("algorithm", "topology", "problem", "partition")}
        names = {kind: part["name"] if part else None for kind, part in parts.items()}
        print(result.message, file=sys.stderr)
        print(json.dumps(names | report.with_ends(result.summary)))
        return
    console = rich.console.Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if len(result.history):
        order = (baselines.ALONE, label, baselines.CENTRALISED)
        rows = {label: result, **others}
        console.print(report.table({name: rows[name] for name in order if name in rows}))
    style = "bold" if result.status in ("finished", "reached") else "bold red"
    console.print(result.message, style=style, markup=False)
    one = result[0] if isinstance(result, Results) else result
    account = privacy.line(one.simulation, one.rounds, (command.get("dp") or USUAL)["delta"])
    if account is not None:
        console.print(f"privacy: {account}", markup=False, soft_wrap=True)
    files = ", ".join(sorted(path.name for path in run_dir.iterdir()))
    console.print(f"kept in {run_dir}: {files}", markup=False, soft_wrap=True)
