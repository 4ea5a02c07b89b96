"""Old names keep working: each warns, names the new spelling, and makes the same thing."""

import jax
import numpy as np
import pytest

import jdl
from jdl.compressors import HalfPrecision, TopK
from jdl.exchange import Chebyshev, Choco, Compressed, Lossy
from jdl.schedule import Availability, EventTriggered, GilbertElliott, Matcha, Matching, Sampling, Windowed

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
    "schedule.adaptive": ((Matching(6), 0.1), {}, lambda: EventTriggered(Matching(6), 0.1)),
}


def at(name):
    package, _, last = name.rpartition(".")
    for part in package.split("."):
        owner = getattr(jdl, part) if part == package.split(".")[0] else getattr(owner, part)
    return getattr(owner, last)


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


CLASSES = {"schedule.Markov": GilbertElliott, "schedule.Workers": Availability, "schedule.WhenApart": EventTriggered}


@pytest.mark.parametrize("name", CLASSES)
def test_an_old_class_is_the_new_one(name):
    with pytest.warns(DeprecationWarning, match=rf"^jdl\.{name} is spelled jdl\.schedule\.{CLASSES[name].__name__}$"):
        assert at(name) is CLASSES[name]


def test_old_names_are_not_listed():
    packages = {name.split(".")[0] for name in MADE}
    listed = {f"{package}.{name}" for package in packages for name in getattr(jdl, package).__all__}
    assert not listed & set(MADE)
    with pytest.raises(AttributeError, match=r"module 'jdl.exchange' has no attribute 'losy'"):
        _ = jdl.exchange.losy
