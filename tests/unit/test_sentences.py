"""Sentences that users read where they misspell, or use a part where it cannot work."""

import dataclasses
import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl.checks import InputError, Note
from jdl.local import rate
from jdl.runs import predicted
from jdl.runs.ending import ending
from jdl.runs.seeds import seeds_of
from jdl.runs.surroundings import of_simulation, surroundings

ROOMS = (jdl.algorithms, jdl.compressors, jdl.exchange, jdl.oracle, jdl.problems, jdl.schedule)


def test_a_misspelled_field_of_any_part_is_named_with_the_one_that_was_meant():
    with pytest.raises(InputError, match="got fractoin, TopK has fraction, index; did you mean fraction"):
        jdl.compressors.TopK(fractoin=0.1)
    with pytest.raises(TypeError, match="got probabilty, Lossy has probability, inner; did you mean probability"):
        jdl.exchange.Lossy().replace(probabilty=0.2)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'compressor'"):
        jdl.exchange.Compressed()
    parts = [getattr(room, name) for room in ROOMS for name in room.__all__]
    parts = [part for part in parts if isinstance(part, type) and dataclasses.is_dataclass(part)]
    assert len(parts) > 150
    for part in parts:
        with pytest.raises(InputError, match=f"got no_such_field, {part.__name__} has "):
            part(no_such_field=1)


def with_codec(codec):
    """CHOCO over a codec, a message of which is one array of 64 numbers."""
    network = [jdl.exchange.Choco(compressor=codec)]
    return jdl.simulation(jdl.problems.quadratic(4, dim=64), jdl.algorithms.DPSGD(), jdl.topology.ring(4), network)


def test_a_codec_that_does_not_contract_is_named_when_it_is_built_and_where_it_diverged():
    """By hand: 64 entries at one level have the variance min(64 / 1, sqrt(64) / 1) = 8; a tenth scaled, 64 / 6 - 1."""
    said = r"Choco needs a codec that contracts.*QSGD\(levels=1\) is up to 8 for an array of 64 .* contractive=True"
    with pytest.warns(Note, match=f"a run may diverge at any rate: {said}") as caught:
        built = with_codec(jdl.compressors.QSGD(levels=1))
    assert caught[0].filename == __file__  # a note names the line of the user
    status, message = ending(built, diverged_round=3, t=3, rounds=9, rows=[], go_on=None)
    assert status == "diverged" and "Choco needs a codec that contracts" in message and "rate" not in message
    with pytest.warns(Note, match=r"RandK\(fraction=0.1\) is up to 9.67 .* try scaled=False in RandK"):
        with_codec(jdl.compressors.RandK(0.1, scaled=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = with_codec(jdl.compressors.QSGD(levels=1, contractive=True))
    assert "try a smaller rate" in ending(built, diverged_round=3, t=3, rounds=9, rows=[], go_on=None)[1]


def test_a_result_names_network_attackers_and_schedule_where_they_are_not_usual(tmp_path):
    problem, ring = jdl.problems.quadratic(8), jdl.topology.ring(8)
    network = [jdl.exchange.SignFlip(strength=3.0), jdl.compressors.TopK(0.5), jdl.exchange.CoordinateMedian()]
    crashes = jdl.schedule.Crashes(jdl.schedule.Fixed.of(ring), fail=0.1)
    parts = {"network": network, "attackers": [1, 5], "oracle": [jdl.oracle.GradientNoise(0.5)], "progress": False}
    result = jdl.run(problem, jdl.algorithms.DPSGD(), crashes, rounds=2, run_dir=tmp_path / "a", **parts)
    expected = [
        "  network: SignFlip(strength=3), TopK(fraction=0.5), CoordinateMedian",
        "  attackers: 2 of 8 nodes",
        "  schedule: Crashes(fail=0.1, recover=0.2)",
        "  data by: GradientNoise(sigma=0.5)",
    ]
    assert repr(result).splitlines()[1:5] == expected
    assert repr(jdl.load(tmp_path / "a")).splitlines()[1:5] == expected
    assert result.title.startswith("dpsgd through SignFlip(strength=3), TopK(fraction=0.5), CoordinateMedian, by Crash")
    assert result.title.endswith("data by GradientNoise(sigma=0.5), 2 of 8 nodes dishonest")
    plain = jdl.simulation(problem, jdl.algorithms.DPSGD(), ring)
    assert surroundings(of_simulation(plain), np.ones(8, bool)) == []


def test_theory_lies_over_curves_that_began_at_params(monkeypatch):
    """Whether the prediction is right from any start is a matter of jdl.theory.predict, which is asked for this one."""

    def asked(simulations, rounds, params):
        raise InputError(f"asked from {params.tolist()}")

    monkeypatch.setattr(predicted, "predict", asked)
    parts = jdl.problems.quadratic(4, dim=2), jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(4)
    result = jdl.run(*parts, rounds=2, params=jnp.full(2, 3.0), progress=False)
    with pytest.raises(InputError, match=r"asked from \[3.0, 3.0\]"):
        result.plot(theory=True)


def test_a_schedule_of_optax_is_a_decay_and_an_array_of_whole_numbers_is_seeds():
    """By hand: the cosine falls from 1 to 0 in ten rounds, and is a half after five."""
    cosine = optax.cosine_decay_schedule(1.0, 10)
    lr = jdl.algorithms.DPSGD(lr=0.4, decay=cosine)
    jdl.simulation(jdl.problems.quadratic(4), lr, jdl.topology.ring(4))  # which traces it under strict promotion
    assert float(rate(jnp.float32(0.4), cosine, jnp.int32(5))) == pytest.approx(0.2)
    assert seeds_of(np.arange(3), 0) == (0, 1, 2) and seeds_of(np.int64(2), 5) == (5, 6)
    with pytest.raises(InputError, match="need a number of seeds, or a list of whole numbers"):
        seeds_of(np.array([0.5]), 0)
