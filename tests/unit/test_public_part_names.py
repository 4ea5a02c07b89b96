"""Configurations of runs hold public names, and those that older versions wrote still resume."""

import collections
import importlib
import pkgutil

import numpy as np
import pytest
from flax import struct

import jdl
from jdl.checks import InputError
from jdl.runs.describe import describe, differences

# What describe wrote before modules moved: the module that held the class.
OLD = {
    "jdl.algorithms.DPSGD": "jdl.algorithms.dpsgd.DPSGD",
    "jdl.problems.Quadratic": "jdl.problems.quadratic.Quadratic",
    "jdl.schedule.Fixed": "jdl.schedule.fixed.Fixed",
    "jdl.exchange.Linear": "jdl.exchange.linear.Linear",
    "jdl.oracle.DataOracle": "jdl.oracle.DataOracle",
}


def parts(algorithm):
    problem = jdl.problems.quadratic(nodes=4, dim=2)
    return {"problem": problem, "algorithm": algorithm, "topology": jdl.topology.ring(4), "rounds": 6, "eval_every": 3}


def types_in(value):
    """Every "type" of a description, with its path."""
    if isinstance(value, dict):
        own = {value["type"]} if "type" in value else set()
        return own.union(*(types_in(one) for one in value.values()))
    return set().union(*(types_in(one) for one in value)) if isinstance(value, list) else set()


def test_parts_are_named_by_the_package_that_exports_them():
    simulation = jdl.simulation(*list(parts(jdl.algorithms.DPSGD()).values())[:3])
    assert set(OLD) <= types_in(describe(simulation))


def test_a_class_of_a_users_own_is_named_by_its_module():
    @struct.dataclass
    class Mine(jdl.algorithms.DPSGD):
        pass

    simulation = jdl.simulation(*list(parts(Mine()).values())[:3])
    name = f"{__name__}.{Mine.__qualname__}"
    assert name in {text.split(" #")[0] for text in types_in(describe(simulation))}


@pytest.mark.parametrize(
    ("algorithm", "resumes"), [(jdl.algorithms.DPSGD(lr=0.1), True), (jdl.algorithms.DGD(lr=0.1), False)]
)
def test_a_run_of_before_the_move_resumes_and_another_algorithm_does_not(tmp_path, algorithm, resumes):
    run = {**parts(jdl.algorithms.DPSGD(lr=0.1)), "run_dir": tmp_path / "run", "progress": False}
    whole = jdl.run(**run)
    file = tmp_path / "run" / "config.json"
    text = file.read_text()
    for new, old in OLD.items():
        assert f'"{new}"' in text
        text = text.replace(f'"{new}"', f'"{old}"')
    file.write_text(text)
    run["algorithm"] = algorithm
    if resumes:
        again = jdl.run(**run, resume=True)
        np.testing.assert_array_equal(again.history.mean_loss, whole.history.mean_loss)
    else:
        with pytest.raises(InputError, match="another configuration"):
            jdl.run(**run, resume=True)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("jdl.algorithms.dpsgd.DPSGD", "jdl.algorithms.dgd.DGD"),
        ("jdl.schedule.fixed.Fixed", "jdl.topology.fixed.Fixed"),
        ("mine.algorithms.DPSGD", "jdl.algorithms.DPSGD"),
        ("mine.one.DPSGD", "mine.two.DPSGD"),
        ("jdl.models.resnet.Block", "jdl.models.transformer.Block"),
        ("jdl.a sentence. It ends.DPSGD", "jdl.a sentence. DPSGD"),
    ],
)
def test_other_names_differ(was, now):
    assert differences({"type": was}, {"type": now}, "algorithm") == [f"algorithm.type was {was!r}, is {now!r}"]


def test_no_two_classes_of_a_package_could_be_taken_for_each_other():
    """A public name stands for one class, and helpers of one name lie in modules of different names."""
    found = collections.defaultdict(set)
    for _, module, _ in pkgutil.walk_packages(jdl.__path__, "jdl."):
        for thing in vars(importlib.import_module(module)).values():
            if isinstance(thing, type) and thing.__module__.startswith("jdl."):
                found[thing.__module__.split(".")[1], thing.__name__].add(thing.__module__)
    several = {names: modules for names, modules in found.items() if len(modules) > 1}
    assert len(found) > 200 and len(several) > 3  # "State" of most algorithms, for one
    for (package, name), modules in several.items():
        assert name not in importlib.import_module(f"jdl.{package}").__all__, (package, name, modules)
        assert len({module.rpartition(".")[2] for module in modules}) == len(modules), modules
