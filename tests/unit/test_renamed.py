"""Old names keep working: each warns, names the new spelling, and makes the same thing."""

import importlib
import json
import operator

import compiled
import jax
import numpy as np
import pytest

import jdl
from jdl.command import catalogue, choices, cli
from jdl.command.record import build
from jdl.compressors import ErrorFeedback, HalfPrecision, TopK
from jdl.exchange import Chebyshev, Choco, Compressed, Lossy
from jdl.runs import checkpoint
from jdl.runs.describe import describe, differences
from jdl.runs.public_names import renewed
from jdl.schedule import Availability, EventTriggered, GilbertElliott, Matcha, Matching, Sampling, Windowed

PAIR = np.eye(20, dtype=np.float32), np.arange(20) % 2
RING = jdl.topology.ring(5)

MADE = {
    "exchange.lossy": ((0.2,), {}, lambda: Lossy(0.2)),
    "exchange.choco": ((0.5,), {"fraction": 0.2}, lambda: Choco(0.5, TopK(0.2))),
    "exchange.top_k": ((0.3,), {}, lambda: Compressed(TopK(0.3))),
    "exchange.narrow": (("float16",), {}, lambda: Compressed(HalfPrecision("float16"))),
    "exchange.Narrow": ((), {}, lambda: Compressed(HalfPrecision("bfloat16"))),
    "exchange.chebyshev": ((), {"times": 3}, lambda: Chebyshev(3)),
    "compressors.Cast": ((), {}, lambda: HalfPrecision("float16")),
    "schedule.matching": ((6,), {}, lambda: Matching(6)),
    "schedule.sampling": ((6,), {"participants": 2}, lambda: Sampling(6, 2)),
    "schedule.matcha": ((6,), {"degree": 3, "seed": 1}, lambda: Matcha.for_nodes(6, degree=3, seed=1)),
    "schedule.markov_links": ((RING, 0.1), {}, lambda: GilbertElliott.of(RING, 0.1)),
    "schedule.workers": ((4, 0.5), {}, lambda: Availability.for_nodes(4, 0.5)),
    "schedule.periodic": ((Matching(6), 3), {}, lambda: Windowed(Matching(6), every=3)),
    "schedule.late": ((Matching(6),), {"start": 3}, lambda: Windowed(Matching(6), start=3)),
    "data.partition.dirichlet": (
        (np.arange(40) % 4, 3, 0.3, 2),
        {},
        lambda: jdl.data.partition.Dirichlet(0.3)(np.arange(40) % 4, 3, seed=2),
    ),
    "problems.regress": (
        (PAIR, 2),
        {},
        lambda: jdl.problems.logistic_regression(PAIR, nodes=2),
    ),
    "schedule.adaptive": ((Matching(6), 0.1), {}, lambda: EventTriggered(Matching(6), 0.1)),
}


def at(name):
    return operator.attrgetter(name)(jdl)


def same(one, other):
    """Whether two parts are of one class, with the same fields."""
    leaves, others = jax.tree.flatten(one), jax.tree.flatten(other)
    equal = all(np.array_equal(x, y) for x, y in zip(leaves[0], others[0], strict=True))
    return type(one) is type(other) and equal and leaves[1] == others[1]


@pytest.mark.parametrize("name", MADE)
def test_an_old_name_makes_the_same_and_says_how_it_is_spelled(name):
    arguments, options, new = MADE[name]
    with pytest.warns(DeprecationWarning, match=rf"^jdl\.{name}\(\.\.\.\) is spelled jdl\."):
        made = at(name)(*arguments, **options)
    assert same(made, new())


FOUND = {
    "schedule.Markov": GilbertElliott,
    "schedule.Workers": Availability,
    "schedule.WhenApart": EventTriggered,
    "oracle.Minibatch": jdl.oracle.DataOracle,
    "sim.Sim": jdl.sim.RunState,
    "topology.Neighbours": jdl.topology.EffectiveNeighbours,
    "types.Draw": jdl.types.BatchId,
    "types.Packed": jdl.types.Sized,
    "data.picture": importlib.import_module("jdl.show.partition_picture"),
}


@pytest.mark.parametrize("name", FOUND)
def test_an_old_class_or_module_is_the_new_one(name):
    last = FOUND[name].__name__.rpartition(".")[2]
    with pytest.warns(DeprecationWarning, match=rf"{name} is spelled jdl\.[\w.]*\.{last}$"):
        assert at(name) is FOUND[name]


def test_an_old_keyword_is_the_new_one(tmp_path):
    W = np.array([[0.5, 0.5], [1.0, 0.0]])
    np.savetxt(tmp_path / "W.csv", W, delimiter=",")
    with pytest.warns(DeprecationWarning, match=r"^from_weights\(kind=.*\) is spelled from_weights\(stochastic=.*\)$"):
        assert jdl.topology.from_weights(W, kind="row").stochastic == "row"
    with pytest.warns(DeprecationWarning, match=r"^from_file\(kind=.*\) is spelled from_file\(stochastic=.*\)$"):
        assert jdl.topology.from_file(2, str(tmp_path / "W.csv"), kind="row").stochastic == "row"


def test_old_names_are_not_listed():
    old = {*MADE, *FOUND}
    packages = {name.rpartition(".")[0] for name in old}
    listed = {f"{package}.{name}" for package in packages for name in at(package).__all__}
    assert len(packages) > 5 and not listed & old
    with pytest.raises(AttributeError, match=r"module 'jdl.exchange' has no attribute 'losy'"):
        _ = jdl.exchange.losy


# ---- commands and run directories of before ----------------------------------------------------------------------


def summary_of(capsys, *words):
    """The JSON that a command prints, and what it says on standard error."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert not stop.value.code, err
    return json.loads(out), err


@pytest.mark.filterwarnings("always:note")
def test_an_old_command_line_runs_with_a_note(capsys, tmp_path):
    small = ["--problem", "quadratic", "--nodes", "8", "--rounds", "2", "--json"]
    old = ["run", *small, "--topology", "markov", "--network", "narrow", "top_k", "--narrow.dtype", "float16"]
    new = ["run", *small, "--topology", "gilbert_elliott", "--network", "half_precision", "top_k"]
    found, err = summary_of(capsys, *old, "--out", tmp_path / "old")
    expected, quiet = summary_of(capsys, *new, "--half_precision.dtype", "float16", "--out", tmp_path / "new")
    assert "note: the topology markov is called gilbert_elliott" in err
    assert "note: the exchange narrow is called half_precision" in err and "note" not in quiet
    for name in ("bits_sent", "messages_sent", "mean_loss", "topology"):
        assert found[name] == expected[name], name
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("old", "new")]
    assert configs[0]["simulation"] == configs[1]["simulation"] and configs[0]["command"] == configs[1]["command"]


@pytest.mark.parametrize(("before", "now"), [("learn", "supervised"), ("regress", "logistic_regression")])
def test_an_old_name_of_a_problem_is_taken_with_a_note(before, now):
    with pytest.warns(jdl.checks.Note, match=f"the problem {before} is called {now}"):
        assert choices.choose(choices.Choices(problem=before)).problem == now
    assert catalogue.maker("problems", before) is getattr(jdl.problems, now)


def test_a_command_kept_by_an_older_version_builds_the_same():
    old = {
        "topology": {"name": "markov", "degree": 4, "fail": 0.05, "recover": 0.2, "seed": 0},
        "algorithm": {"name": "dpsgd", "lr": 0.1},
        "problem": {"name": "digits", "hidden": 0, "batch_size": 0, "test_fraction": 0.2, "seed": 0},
        "partition": {"name": "shards", "shards_per_node": 3},
        "network": [{"name": "narrow", "dtype": "float16"}, {"name": "choco", "gamma": 0.3, "fraction": 0.2}],
        **{"nodes": 8, "rounds": 2, "eval_every": None, "checkpoint_every": None, "seed": 0, "mapping": "auto"},
    }
    made = build(old)
    assert made["network"] == [HalfPrecision("float16"), Choco(0.3, TopK(0.2))]
    assert same(made["topology"], GilbertElliott.for_nodes(8))
    expected = jdl.problems.digits(8, jdl.data.partition.Shards(3), hidden=0)
    np.testing.assert_array_equal(made["problem"].indices, expected.indices)


def test_a_description_by_an_older_version_is_of_the_same_run():
    """As config.json held it when classes were named by their modules, and `narrow` was an exchange."""
    parts = jdl.problems.quadratic(nodes=6, dim=2), jdl.algorithms.DPSGD(), GilbertElliott.for_nodes(6)
    now = describe(jdl.simulation(*parts, network=[HalfPrecision("float16"), Lossy(0.1)]))
    before = json.loads(json.dumps(now))
    before["schedule"]["type"] = "jdl.schedule.markov.Markov"
    before["oracle"]["type"] = "jdl.oracle.Minibatch"
    plan = before["schedule"]["plan"]
    plan["kind"] = plan.pop("stochastic")
    before["exchange"] = {"type": "jdl.exchange.Narrow", "dtype": "float16", "inner": now["exchange"]["inner"]}
    assert differences(before, now) and not differences(renewed(before), now)
    before["exchange"]["dtype"] = "bfloat16"
    assert differences(renewed(before), now) == [
        "exchange.compressor.dtype was 'bfloat16', is 'float16'",
    ]


def test_a_checkpoint_by_an_older_version_is_read(tmp_path, monkeypatch):
    parts = jdl.problems.quadratic(nodes=6, dim=2), jdl.algorithms.DPSGD(), GilbertElliott.for_nodes(6)
    sim = compiled.init(jdl.simulation(*parts, network=[ErrorFeedback(TopK())]))
    named = checkpoint._named(sim)
    old = {name.replace(".schedule_state", ".talk").replace(".exchange_state", ".link"): named[name] for name in named}
    assert len(old.keys() - named.keys()) > 1
    saved, read = (checkpoint.Checkpoints(tmp_path / "checkpoint") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_named", lambda state: old)
        saved.save(0, sim, {"rows": 3})
    found, progress = read.restore(0, jax.eval_shape(lambda: sim))
    assert same(found, sim) and progress == {"rows": 3}
