"""Rounds in loops that can be reversed, with a memory that grows with the square root of the number of rounds.

To reverse a loop of T steps, JAX stores what each step computes. Here the loop is cut into segments of about sqrt(T)
steps, and the forward pass stores the carry before each segment alone. The backward pass takes the segments from the
last to the first: it computes the steps of a segment again and stores their carries, and then computes each of these
steps once more to reverse it. So a round is computed three times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from jdl.types import PyTree

__all__ = ["repeated", "run", "segment_length"]

Carry = TypeVar("Carry")
Step = Callable[[Carry], tuple[Carry, PyTree]]


def run(
    one_round: Callable[[Carry], Carry], row: Callable[[Carry], PyTree], carry: Carry, rounds: int, eval_every: int
) -> tuple[Carry, PyTree]:
    """Run a known number of rounds, and compute the rows of a history.

    Args:
      one_round: maps a carry to that of the next round.
      row: the results at a carry, before the first round, every `eval_every` rounds, and after the last one.
      carry: the carry before the first round.
      rounds: the number of rounds.
      eval_every: the number of rounds between results.

    Returns:
      The last carry, and the results, stacked.
    """
    length = segment_length(max(rounds, 1), math.sqrt(rounds))
    again, scored = _computed_again(one_round), _computed_again(row)
    step = lambda carry: (again(carry), ())
    whole, rest = divmod(rounds, eval_every)
    parts = [jax.tree.map(lambda x: x[None], jax.checkpoint(row)(carry))]
    if whole and eval_every <= length:  # a segment holds several evaluations

        def scored_round(carry):
            carry = one_round(carry)
            return carry, row(carry)

        def scored_rounds(carry):
            carry = jax.lax.scan(lambda carry, _: step(carry), carry, length=eval_every)[0]
            return carry, scored(carry)

        # As two functions, a round and the results after it would both store their carries.
        scored_step = _computed_again(scored_round) if eval_every == 1 else scored_rounds
        carry, rows = repeated(scored_step, carry, whole, segment_length(whole, length / eval_every))
        parts.append(rows)
    elif whole:  # an evaluation comes after several segments

        def scored_segments(carry, _):
            carry, _ = repeated(step, carry, eval_every, segment_length(eval_every, length))
            return carry, scored(carry)

        carry, rows = jax.lax.scan(scored_segments, carry, length=whole)
        parts.append(rows)
    if rest:
        carry, _ = repeated(step, carry, rest, segment_length(rest, length))
        parts.append(jax.tree.map(lambda x: x[None], jax.checkpoint(row)(carry)))
    return carry, jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def segment_length(steps: int, aim: float) -> int:
    """The number of steps of a segment: the divisor of `steps` that is nearest to `aim`, if it is within a factor of 2.

    A divisor leaves no shorter segment at the end, for which another program would be compiled.

    >>> segment_length(1024, 32), segment_length(50, 7.1), segment_length(97, 9.8), segment_length(3, 10)
    (32, 10, 10, 3)
    """
    near = [d for d in range(math.ceil(aim / 2), math.floor(2 * aim) + 1) if d and steps % d == 0]
    return min(near, key=lambda d: abs(math.log(d / aim)), default=min(steps, max(1, round(aim))))


def repeated(step: Step, carry: Carry, steps: int, length: int) -> tuple[Carry, PyTree]:
    """`steps` steps, in segments of `length`; only the carry before each segment is stored to reverse them.

    Args:
      step: maps a carry to the next one and a result.
      carry: the carry before the first step.
      steps: the number of steps, at least 1.
      length: the number of steps of a segment.

    Returns:
      The last carry, and the results, stacked.
    """
    whole, rest = divmod(steps, length)
    parts = []
    for segments, size in ((whole, length), (min(rest, 1), rest)):
        if segments:
            segment = _computed_again(lambda carry, size=size: jax.lax.scan(lambda c, _: step(c), carry, length=size))
            carry, results = jax.lax.scan(lambda carry, _, segment=segment: segment(carry), carry, length=segments)
            parts.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results))
    return carry, jax.tree.map(lambda *x: x[0] if len(x) == 1 else jnp.concatenate(x), *parts)


def _computed_again(function: Callable) -> Callable:
    """A function of which only the arguments are stored for the backward pass; it is called in a loop in both passes.

    Outside of a loop XLA would merge the two computations, and keep the values of the forward pass.
    """
    return jax.checkpoint(function, prevent_cse=False)
