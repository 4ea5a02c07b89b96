"""Marks in the arguments of a sweep, and the points that they expand to."""

import copy
import dataclasses
import functools
import itertools
import pickle

import flax.struct
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import checks, problems, topology
from jdl.algorithms import DPSGD, GradientTracking, SlowMo
from jdl.checks import InputError
from jdl.compressors import RandK, TopK
from jdl.data.partition import Dirichlet
from jdl.exchange import Delayed, Lossy
from jdl.sweeps.over import over
from jdl.sweeps.points import points, points_of
from jdl.types import static


def labels(**arguments):
    return [point.labels for point in points(arguments)]


def test_several_marks_are_a_grid_whose_last_varies_fastest():
    found = points({"algorithm": DPSGD(lr=over(0.1, 0.3)), "rounds": over(5, 6, 7), "seed": 4})
    grid = list(itertools.product((0.1, 0.3), (5, 6, 7)))
    assert [(one.arguments["algorithm"].lr, one.arguments["rounds"]) for one in found] == grid
    assert [tuple(one.labels.values()) for one in found] == grid
    assert {tuple(one.labels) for one in found} == {("lr", "rounds")}
    assert all(one.arguments["seed"] == 4 and type(one.arguments["algorithm"]) is DPSGD for one in found)


def test_without_marks_there_is_one_point():
    assert points({"rounds": 5}) == [({}, {"rounds": 5})]


def test_marks_inside_chosen_values_belong_to_the_choice():
    method = over(DPSGD(lr=over(0.1, 0.3)), GradientTracking(lr=over(0.1, 0.2, 0.4)), DPSGD(lr=7.0, local_steps=2))
    found = points({"algorithm": method})
    assert [(type(one.arguments["algorithm"]).__name__, one.arguments["algorithm"].lr) for one in found] == [
        ("DPSGD", 0.1), ("DPSGD", 0.3), ("GradientTracking", 0.1), ("GradientTracking", 0.2), ("GradientTracking", 0.4),
        ("DPSGD", 7.0),
    ]  # fmt: skip
    assert [one.labels.get("lr") for one in found] == [0.1, 0.3, 0.1, 0.2, 0.4, None]
    assert [one.labels["algorithm"] for one in found][::2] == [
        "dpsgd(local_steps=1)",
        "gradient_tracking",
        "gradient_tracking",
    ]
    assert found[-1].labels == {"algorithm": "dpsgd(lr=7.0, local_steps=2)"}


def test_marks_stand_in_lists_dicts_static_fields_and_recipes():
    small = functools.partial(problems.digits, over(8, 16), partition=over("iid", "shards"))
    assert labels(problem=small) == [{"nodes": n, "partition": rule} for n in (8, 16) for rule in ("iid", "shards")]
    assert points({"problem": small})[3].arguments["problem"].args == (16,)
    assert points({"problem": small})[3].arguments["problem"].keywords == {"partition": "shards"}
    network = points({"network": [Lossy(0.5), over(TopK(0.1), RandK(0.1))]})
    assert [type(one.arguments["network"][1]) for one in network] == [TopK, RandK]
    assert network[0].arguments["network"][0] == Lossy(0.5)
    assert labels(metrics={"gap": over(np.mean, np.median)}) == [{"gap": "mean"}, {"gap": "median"}]
    steps = points({"algorithm": DPSGD(local_steps=over(1, 4))})
    assert [one.arguments["algorithm"].local_steps for one in steps] == [1, 4]


def test_other_arguments_stay_the_same_objects():
    problem, ring = problems.quadratic(4), topology.ring(4)
    for point in points({"problem": problem, "topology": ring, "rounds": over(1, 2)}):
        assert point.arguments["problem"] is problem and point.arguments["topology"] is ring


def test_choosing_runs_the_checks_of_the_part_alone():
    @flax.struct.dataclass
    class Part:
        word: str = static("a")

        def __post_init__(self):
            checks.require(self.word != "bad", "got word='bad'")

    assert [one.arguments["oracle"].word for one in points({"oracle": Part(over("a", "b"))})] == ["a", "b"]
    with pytest.raises(InputError, match="got word='bad'"):
        points({"oracle": Part(over("a", "bad"))})


def test_marks_of_one_name_go_together():
    rings = over(topology.ring(8), topology.ring(16), name="n")
    recipe = functools.partial(problems.digits, nodes=over(8, 16, name="n"))
    found = points({"problem": recipe, "topology": rings, "rounds": over(1, 2)})
    assert [one.labels for one in found] == [{"n": n, "rounds": rounds} for n in (8, 16) for rounds in (1, 2)]
    assert [one.arguments["topology"].n for one in found] == [8, 8, 16, 16]
    pairs = labels(algorithm=over(DPSGD(), GradientTracking(), name="a"), rounds=over(1, 2, name="a"))
    assert pairs == [{"a": "dpsgd, 1"}, {"a": "gradient_tracking, 2"}]
    named = over({"weak": 1, "strong": 2}, name="a")
    assert labels(algorithm=DPSGD(lr=over(0.1, 0.2, name="a")), rounds=named) == [{"a": "weak"}, {"a": "strong"}]


def test_a_name_is_kept_into_chosen_values():
    method = over(DPSGD(lr=over(0.1, 0.2, name="a")), GradientTracking())
    found = points({"rounds": over(1, 2, name="a"), "algorithm": method})
    assert [one.arguments["algorithm"].lr for one in found[::2]] == [0.1, 0.2]
    assert [one.arguments["rounds"] for one in found] == [1, 1, 2, 2]


def test_one_mark_in_two_places_is_one_axis():
    rate = over(0.1, 0.2)
    found = points({"algorithm": SlowMo(base=DPSGD(lr=rate), lr=rate)})
    assert [(one.arguments["algorithm"].lr, one.arguments["algorithm"].base.lr) for one in found] == [
        (0.1, 0.1),
        (0.2, 0.2),
    ]


def test_axes_are_named_by_the_shortest_path_that_tells_them_apart():
    assert list(labels(algorithm=SlowMo(base=DPSGD(lr=over(0.1, 0.2)), lr=over(1.0, 2.0)))[0]) == [
        "algorithm.lr",
        "base.lr",
    ]
    both = labels(network=[over(TopK(0.1), TopK(0.2)), Lossy(over(0.1, 0.2))])[0]
    assert list(both) == ["network", "probability"]
    two = labels(network=[TopK(over(0.1, 0.2)), over(Lossy(0.1), Lossy(0.2)), TopK(over(0.3, 0.4))])[0]
    assert list(two) == ["network.0.fraction", "network", "network.2.fraction"]
    parts = labels(network=[Lossy(over(0.1, 0.2)), Delayed(probability=over(0.1, 0.2))])[0]
    assert list(parts) == ["lossy.probability", "delayed.probability"]
    # Places that never occur together share their axis.
    either = over(DPSGD(lr=over(0.1, 0.2)), SlowMo(base=DPSGD(lr=over(0.1, 0.2))))
    assert {tuple(one) for one in labels(algorithm=either)} == {("algorithm", "lr")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((topology.ring(8), topology.ring(16), topology.torus(16)), ["ring(8)", "ring(16)", "torus"]),
        ((TopK(0.1), TopK(0.2), RandK(0.1)), ["top_k(fraction=0.1)", "top_k(fraction=0.2)", "rand_k"]),
        (([], [Lossy(0.1)], [Lossy(0.2), TopK(0.1)]), ["none", "lossy", "lossy, top_k"]),
        (([Lossy(0.1)], [Lossy(0.2)]), ["lossy(probability=0.1)", "lossy(probability=0.2)"]),
        ((None, True, 1, 0.5, "a"), [None, True, 1, 0.5, "a"]),
        ((np.float64(0.5), jnp.float32(0.25)), [0.5, 0.25]),
        ((np.eye(4), np.ones((4, 4)), np.eye(5)), ["array 4x4", "array 4x4 #2", "array 5x5"]),
        ((lambda t: 1 / (1 + t), lambda t: 1 / (2 + t)), ["lambda", "lambda #2"]),
        ((optax.identity(), optax.scale_by_adam()), ["identity", "scale_by_adam"]),
        ((problems.quadratic(4), problems.quadratic(8)), ["quadratic(4)", "quadratic(8)"]),
        (
            (topology.random_regular(16, 4, seed=0), topology.random_regular(16, 4, seed=1)),
            ["random_regular", "random_regular #2"],
        ),
        (
            (topology.random_regular(16, 4), topology.random_regular(16, 6)),
            ["random_regular(degree=4)", "random_regular(degree=6)"],
        ),
    ],
)  # fmt: skip
def test_labels_say_what_differs(values, expected):
    found = [one["topology"] for one in labels(topology=over(*values))]
    assert found == expected and list(map(type, found)) == list(map(type, expected))


def test_users_name_values():
    assert labels(topology=over({"sparse": topology.ring(16), 4: topology.torus(16)})) == [
        {"topology": "sparse"},
        {"topology": 4},
    ]


def test_a_mark_directly_in_a_mark_is_one():
    assert [one["rounds"] for one in labels(rounds=over(over(1, 2), 3))] == [1, 2, 3]
    with pytest.raises(InputError, match="directly within a mark"):
        over(over(1, 2, name="a"), 3)


# What follows refuses, each in a sentence.


@pytest.mark.parametrize(
    "call",
    [
        lambda mark: topology.ring(mark),
        lambda mark: topology.random_regular(8, mark),
        lambda mark: topology.erdos_renyi(8, mark),
        lambda mark: topology.circulant("c", 8, mark),
        lambda mark: problems.digits(mark),
        lambda mark: problems.digits(8, partition=mark),
        lambda mark: Dirichlet(alpha=mark),
        lambda mark: checks.fields(DPSGD(lr=mark)),
        lambda mark: checks.known("form", mark, ["dense"]),
        lambda mark: mark.n,
        lambda mark: 2 * mark,
        lambda mark: mark / 2,
        lambda mark: 1 < mark,
        lambda mark: float(mark),
        lambda mark: range(mark),
        lambda mark: list(mark),
        lambda mark: len(mark),
        lambda mark: mark[0],
        lambda mark: mark or 1,
        lambda mark: np.asarray(mark),
        lambda mark: np.array([mark, 1.0]),
        lambda mark: jnp.asarray(mark),
        lambda mark: jnp.array([mark, 1.0]),
    ],
)
def test_a_mark_that_is_used_as_a_value_says_where_marks_stand(call):
    with pytest.raises(
        InputError, match=r"got over\(0\.1, 0\.3\) where its value is needed.*over\(f\(0\.1\), f\(0\.3\)"
    ):
        call(over(0.1, 0.3))


def test_marks_can_be_copied_and_are_no_functions():
    mark = over({"a": 1, "b": 2}, name="x")
    for other in (pickle.loads(pickle.dumps(mark)), copy.deepcopy(mark)):
        assert repr(other) == repr(mark) == "over('a', 'b', name='x')"
    assert not callable(mark) and not hasattr(mark, "n") and not dataclasses.is_dataclass(mark)
    assert repr(over(1, 2, 3, 4, 5, 6)) == "over(1, 2, 3, ..., 6)"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: over(), "without values"),
        (lambda: over({}), "without values"),
        (lambda: over([0.1, 0.3]), r"one value that is a list.*write over\(\*values\)"),
        (lambda: over(range(3)), "one value that is a list"),
        (lambda: over(np.arange(3)), "one value that is a list"),
        (lambda: over(x for x in (1, 2)), "one value that is a list"),
        (lambda: over(1, 2, name=""), "need a word"),
        (lambda: over(1, 2, name=3), "need a word"),
        (lambda: over(1, 2, name="round"), "a column of every table"),
        (lambda: over({(1, 2): 3}), "labels that are words or numbers"),
        (lambda: labels(rounds=over(5, 5)), "at rounds, whose values 1 and 2 are equal"),
        (lambda: labels(algorithm=over(DPSGD(0.1), DPSGD(0.2), DPSGD(0.1))), "whose values 1 and 3 are equal"),
        (lambda: labels(params={"w": {over(1, 2)}}), "within a set at params.w"),
        (
            lambda: labels(rounds=over(1, 2), algorithm=DPSGD(lr=over(1.0, 2.0, name="rounds"))),
            "two axes of the name 'rounds'",
        ),
        (
            lambda: labels(algorithm=DPSGD(lr=over(0.1, 0.2, name="a")), rounds=over(1, 2, 3, name="a")),
            r"at algorithm.lr with 2 values and over\(1, 2, 3, name='a'\) at rounds with 3",
        ),
        (
            lambda: labels(
                rounds=over(1, 2, name="a"), algorithm=over(DPSGD(lr=over(1.0, 2.0, 3.0, name="a")), DPSGD())
            ),
            r"at rounds with 2 values and .* at algorithm.lr with 3",
        ),
        (lambda: points_of([]), "need a list of dicts"),
        (lambda: points_of([3]), "need a list of dicts"),
        (lambda: points_of({"rounds": 3}), "need a list of dicts"),
        (lambda: points_of([{"rounds": 1}, {"rounds": 1}]), "points 1 and 2, which are equal"),
        (lambda: points_of([{"rounds": 1, "label": "a"}, {"rounds": 2}]), "number 2 has no label"),
        (lambda: points_of([{"rounds": 1, "label": "a"}, {"rounds": 2, "label": "a"}]), "which are equal"),
    ],
)
def test_mistakes_are_sentences(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_marks_in_arrays_are_refused():
    array = np.empty(2, object)
    array[0] = over(1, 2)
    with pytest.raises(InputError, match=r"within an array at params\.w"):
        points({"params": {"w": array}})


def test_listed_points_are_labelled_by_what_differs():
    found = points_of(
        [
            {"algorithm": DPSGD(lr=0.1), "rounds": 3, "seed": 1},
            {"algorithm": DPSGD(lr=0.2), "rounds": 3, "seed": 1},
            {"algorithm": DPSGD(lr=0.1), "rounds": 4, "seed": 1, "topology": topology.ring(4)},
        ]
    )
    assert [one.labels for one in found] == [
        {"algorithm": "dpsgd(lr=0.1)", "rounds": 3},
        {"algorithm": "dpsgd(lr=0.2)", "rounds": 3},
        {"algorithm": "dpsgd(lr=0.1)", "rounds": 4, "topology": "ring"},
    ]
    assert found[2].arguments["rounds"] == 4
    own = points_of([{"rounds": 1, "label": "short"}, {"rounds": over(2, 3), "label": "long"}])
    assert [(one.labels, one.arguments) for one in own] == [
        ({"label": "short"}, {"rounds": 1}),
        ({"label": "long", "rounds": 2}, {"rounds": 2}),
        ({"label": "long", "rounds": 3}, {"rounds": 3}),
    ]


def test_a_thousand_points_expand_quickly():
    many = over(*np.linspace(0.01, 1, 40).tolist())
    found = points({"problem": problems.quadratic(4), "algorithm": DPSGD(lr=many), "rounds": over(*range(1, 26))})
    assert len(found) == 1000 == len({tuple(one.labels.values()) for one in found})
