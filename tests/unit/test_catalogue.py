"""The catalogue against the files on disk, and its reading of docstrings against a docstring written here."""

import inspect
import itertools
import json
from pathlib import Path

import pytest

import jdl
from jdl.command import catalogue, flags


def test_algorithms_are_called_as_their_files():
    files = {path.stem for path in Path(jdl.algorithms.__file__).parent.rglob("*.py")} - {"__init__", "_skeleton"}
    assert set(catalogue.members("algorithms")) == files


def test_topologies_are_what_n_alone_makes():
    names = set(catalogue.members("topologies"))
    assert {"ring", "torus", "complete", "exponential", "random_regular", "one_peer_exponential", "matching"} <= names
    others = {"sampling", "sleeping", "fixed", "cyclic", "circulant", "from_graph", "from_weights", "lambda_2"}
    assert "cliques_of" not in names  # which takes n alone, and makes an array
    assert not names & others


def test_exchanges_and_problems_are_what_needs_no_other_part():
    some = {"linear", "top_k", "lossy", "choco", "sign_flip", "coordinate_median", "half_precision", "low_rank"}
    some |= {"codec_chain", "rotated", "error_feedback"}  # made of parts that have a name
    others = {"stack", "compressed", "per_module", "identity"}  # made of arrays, or of no use
    assert some <= set(catalogue.members("exchanges")) and not others & set(catalogue.members("exchanges"))
    assert {"digits", "quadratic", "logistic"} <= set(catalogue.members("problems"))


def test_partitions_are_the_rules():
    classes = {cls.__name__ for cls in catalogue.members("partitions").values()}
    assert classes == set(jdl.data.partition.__all__) - {"Partition"}
    told = {option.name: option.help for option in flags.options_of("partitions", "dirichlet")}
    assert list(told) == ["alpha", "minimum"] and all(told.values())
    assert "partition" not in {option.name for option in flags.options_of("problems", "digits")}


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_everything_has_a_summary_and_methods_say_what_they_send(kind):
    for entry in catalogue.catalogue()[kind]:
        assert entry.summary.endswith(".") and "\n" not in entry.summary
        assert entry.sends or kind in ("oracles", "problems", "partitions", *catalogue.CLOCKS), entry.name
        assert entry.paper or kind != "algorithms", entry.name
    assert json.loads(json.dumps([entry._asdict() for entry in catalogue.catalogue()[kind]]))


def test_algorithms_are_grouped_by_family_and_topologies_by_how_they_change_and_exchanges_by_what_they_do():
    found = {heading: [entry.name for entry in entries] for heading, entries in catalogue.groups().items()}
    root = Path(jdl.algorithms.__file__).parent
    folders = {path.name: {file.stem for file in path.glob("*.py")} - {"__init__"} for path in root.iterdir()}
    families = {name.removeprefix("algorithms, "): set(listed) for name, listed in found.items() if "algo" in name}
    assert families == {name: files for name, files in folders.items() if files}
    assert [*families] == ["gossip", "asynchronous", "corrected", "dual", "compressed", "outer", "federated"]
    assert [*found][-6:] == ["oracles", "problems", "partitions", "step times", "links", "waits"]
    for heading, name in (("codecs", "top_k"), ("faults", "lossy"), ("attacks", "alie"), ("robust rules", "krum")):
        assert name in found[f"exchanges, {heading}"]
    assert sum(map(len, found.values())) == sum(map(len, catalogue.catalogue().values()))
    for heading, name in (
        (catalogue.ONE, "ring"),
        (catalogue.DRAWN, "random_regular"),
        (catalogue.CYCLE, "one_peer_exponential"),
        (catalogue.SCHEDULE, "matching"),
    ):
        assert name in found[f"topologies, {heading}"]


def choosy(n: int, share: float | None = None, both: bool = False, maybe: bool | None = None, name: str = "x"):
    """Args: none that are explained."""


def test_optional_numbers_and_switches_are_options():
    kinds = {option.name: option.type for option in catalogue.options(choosy)}
    assert kinds == {"share": float | None, "both": bool, "maybe": bool | None, "name": str}


def example(n: int, rate: float = 0.5, many: int = 3, name: str | None = None, how: object = None):
    """One line.

    More on a second paragraph, n: not an argument.

    Sends:
      a number,
      and another.

    Memory:
      none.

    Args:
      rate: how fast; see
        elsewhere.
      many: a word: another.
      name: of whom.

    References:
      Somebody 1999, A paper: with a colon.
      Somebody else 2001.
    """


def test_docstring_sections_become_lines():
    entry = catalogue.entry("example", example)
    assert entry == (
        "example",
        "One line.",
        "Somebody 1999, A paper: with a colon. Somebody else 2001.",
        "a number, and another.",
        "none.",
    )


def test_an_empty_section_is_null():
    entry = catalogue.entry("ring", jdl.topology.ring)
    assert entry.paper is None and json.dumps(entry.paper) == "null"


def test_options_are_the_plain_arguments_with_their_words():
    assert catalogue.options(example) == [
        ("rate", float, 0.5, "how fast; see elsewhere"),
        ("many", int, 3, "a word: another"),
        ("name", str | None, None, "of whom"),
    ]


def like(lr: float = 0.1, local_steps: int = 2):
    """One line.

    Args:
      lr: as in `DPSGD`.
      local_steps: as in `DPSGD`; two are enough.
    """


def test_options_said_to_be_as_in_another_class_are_looked_up_there():
    own = {option.name: option.help for option in catalogue.options(jdl.algorithms.DPSGD)}
    found = {option.name: option.help for option in catalogue.options(like)}
    assert found == {"lr": own["lr"], "local_steps": f"{own['local_steps']}; two are enough"} and all(own.values())
    assert "decay" not in own  # a function cannot be spelled on a command line


def test_a_compressor_inside_a_part_has_its_options_there():
    assert [(one.name, one.default) for one in catalogue.options(jdl.exchange.Choco)] == [
        ("gamma", 0.2),
        ("fraction", 0.1),
        ("index", "log2"),
        ("compressor", None),
    ]
    made = catalogue.make("exchanges", "choco", gamma=0.3, fraction=0.4)
    assert (made.gamma, made.compressor) == (0.3, jdl.compressors.TopK(0.4))
    for name, cls in catalogue.members("algorithms").items():
        options = [one.name for one in catalogue.options(cls)]
        assert len(set(options)) == len(options), name


def flags_of(kind):
    parts = {
        name: [flags.spelled(kind, one) for one in flags.options_of(kind, name)] for name in catalogue.members(kind)
    }
    assert all(len(set(names)) == len(names) for names in parts.values())
    return set().union(*parts.values())


def test_no_two_flags_of_a_run_share_a_name():
    kinds = {kind: flags_of(kind) for kind in catalogue.FLAG if kind not in flags.PREFIXED}
    kinds["run"] = set(inspect.signature(flags.Common).parameters)
    for one, other in itertools.combinations(kinds, 2):
        assert not kinds[one] & kinds[other], (one, other)


def test_no_two_parts_share_a_name():
    """Each has a group of flags, a field of the whole by its name; parts of a clock stand inside `--clock` alone."""
    kinds = {kind: set(catalogue.members(kind)) for kind in catalogue.FLAG}
    kinds["run"] = {"down", *inspect.signature(flags.Common).parameters}
    for one, other in itertools.combinations(kinds, 2):
        assert not kinds[one] & kinds[other], (one, other)


def test_no_option_of_a_partition_is_an_argument_of_a_problem():
    """A command line has one flag for both."""
    makers = [
        make for make in catalogue.members("problems").values() if "partition" in inspect.signature(make).parameters
    ]
    taken = {name for make in makers for name in inspect.signature(make).parameters}
    for rule in catalogue.members("partitions").values():
        assert makers and not set(inspect.signature(rule).parameters) & taken


def test_no_flag_of_a_graph_is_called_as_one_of_topo_itself():
    taken = {"topology", *inspect.signature(flags.Graph).parameters}
    for topology in (*catalogue.members("topologies"), "from_file"):
        own = {flags.spelled("topologies", one) for one in catalogue.options(catalogue.maker("topologies", topology))}
        assert not own & taken, topology
