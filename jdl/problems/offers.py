"""What a problem may offer beyond `jdl.types.Problem`: the words of its `offers`, and the members behind each word."""

from __future__ import annotations

from typing import Any, NamedTuple

from jdl import checks

__all__ = ["OFFERS", "Offer", "of"]


class Offer(NamedTuple):
    """What a word of `offers` promises.

    Attributes:
      members: the methods and properties that a problem with this word has.
      meaning: what they do.
    """

    members: tuple[str, ...]
    meaning: str


# Shapes: B is the number of places of a batch. `which` is a `BatchId` (a minibatch), `Full` or `Part`.
OFFERS = {
    "pooled": Offer(("pooled",), "pooled() -> Problem: all data held by one node"),
    "own": Offer(
        ("evaluate", "evaluate_for_all"),
        "evaluate(params, id): the metrics of a model as node `id` meets them; evaluate_for_all(params) -> {name: "
        "f[n]}: these metrics of one model for all nodes, from one evaluation",
    ),
    "batches": Offer(("batches",), "batches(id) -> i32[]: the number of minibatches of a pass over the node's data"),
    "advances": Offer(
        ("advances",), "advances: the number of minibatches by which an order that continues advances in a round"
    ),
    "parts": Offer(
        ("part",),
        "part(id, part, parts) -> (batch, f[]): the examples of one part of the node's data, and their share of all "
        "its examples; the shares of all parts sum to one, and the gradients of the parts, weighted by them, to the "
        "full gradient",
    ),
    "prox": Offer(("prox",), "prox(id, params, step) -> params: argmin_x f_i(x) + ||x - params||^2 / (2 step)"),
    "public": Offer(("public_batch",), "public_batch(batch_id) -> batch: inputs that all nodes have"),
    "predict": Offer(
        ("inputs", "predict"),
        "inputs(batch): the inputs of a batch, zeros where there is no example; predict(params, inputs): the outputs",
    ),
    "labels": Offer(
        ("classes", "classes_of", "relabelled"),
        "classes: the number of classes; classes_of(batch) -> i32[B, ...], from 0; relabelled(batch, labels) -> batch",
    ),
    "with_inputs": Offer(
        ("inputs", "with_inputs"),
        "inputs(batch): see 'predict'; with_inputs(batch, inputs) -> batch: the same examples with other inputs",
    ),
    "test_set": Offer(
        ("classes", "predict", "test_set"),
        "test_set: a pair of the test inputs, leaves [T, ...], and their classes i32[T, ...], from 0 to `classes` - 1; "
        "predict(params, inputs): the scores of the classes, f[B, ..., C], or a dict that has them as 'logits'",
    ),
    "losses": Offer(
        ("alone", "places", "width"),
        "alone(batch) -> (batches of one example each, leaves [B, 1, ...], and bool[B], which are examples); places(id,"
        " which) -> i32[B] among the node's own, below `width`; and `loss` takes weights=f[B], factors on the losses",
    ),
    "held_out": Offer(
        ("held_out",), "held_out(params, id) -> {name: f[]}: the metrics of a model on what the node never trains on"
    ),
}


def of(problem: Any) -> frozenset[str]:
    """The words that a problem offers. "loss:NAME" is a loss of this name, a method `(params, batch) -> (f[], aux)`.

    Args:
      problem: any problem; its `offers` may be left out.

    Raises:
      InputError: if a word is unknown, or if the problem lacks a member that a word promises.

    >>> sorted(of(object()))
    []
    """
    offers = getattr(problem, "offers", frozenset())
    name = type(problem).__name__
    a_set = isinstance(offers, set | frozenset) and all(isinstance(word, str) for word in offers)
    checks.require(a_set, f"got {name}.offers={offers!r}, need a set of words; write frozenset({{'prox'}})")
    for word in sorted(offers):
        named = word.partition("loss:")[2]
        members = (named,) if named else OFFERS[checks.known(f"offer of {name}", word, OFFERS)].members
        lacks = [member for member in members if not hasattr(type(problem), member) and not hasattr(problem, member)]
        need = f"got {name}, which offers {word!r} and lacks {' and '.join(lacks)}, need all of {', '.join(members)}"
        checks.require(not lacks, f"{need}; add what it lacks, or take the word out of `offers`")
    return frozenset(offers)
