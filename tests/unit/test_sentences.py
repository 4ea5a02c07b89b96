"""Sentences that users read where they misspell, or use a part where it cannot work."""

import dataclasses

import pytest

import jdl
from jdl.checks import InputError

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
