"""How many models a run evaluates, and how often: decided from sizes alone, so that every machine decides alike."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.engine import sim as simulator
from jdl.engine.cost import work_of
from jdl.engine.rounds import plan_at
from jdl.engine.sim import Simulation
from jdl.runs.planned import window_of
from jdl.types import BatchId

__all__ = ["Budget", "Sample", "Work", "usual_every", "work_of_run"]

MARKS = 25  # the evaluations of a long run, after that of its start
FEW = 5  # the same where these take longer than the rounds, and the fewest of a run whose evaluations end windows
SHORT = 10  # the least number of rounds between the evaluations of a run, unless it has fewer than five times as many
SHARE = 0.1  # the share of its rounds' work that a run may spend on evaluations of all nodes
LEAST = 256  # the size of a sample; all of up to twice as many nodes are evaluated, which saves a second program
PASSES = 6  # what a round computes for each number of a model beside gradients, as measured on the digits network
NOTED = 1e10  # evaluations of less work than this, which takes some seconds, are nothing to speak of


class Sample(NamedTuple):
    """The nodes whose models are evaluated, where these are not all.

    Attributes:
      nodes: their number.
      all_at_end: whether the last evaluation of a finished run is of all nodes.
    """

    nodes: int
    all_at_end: bool


class Work(NamedTuple):
    """Estimates of what a run computes, in the unit of `jdl.engine.cost.work_of`.

    Attributes:
      round: one round: a gradient on a minibatch in each local step of each node that takes part, and mixing.
      evaluation: the evaluation of one model.
    """

    round: float
    evaluation: float


def usual_every(rounds: int) -> int:
    """The rounds between two evaluations where the user gives no number.

    It is a 25th of all rounds; in short runs it is at least ten rounds, or a fifth of a run of fewer than fifty.

    >>> [usual_every(rounds) for rounds in (3, 40, 100, 500, 610, 3000)]
    [1, 8, 10, 20, 25, 120]
    """
    return max(-(-rounds // MARKS), min(SHORT, -(-rounds // 5)))


class Budget:
    """The evaluations of a run. Its estimates are made from sizes alone, once, when they are first needed.

    Args:
      simulation: the composed simulation.
      rounds: the number of rounds.
      least: the size of the sample that "auto" takes; all of up to twice as many nodes are evaluated.
    """

    def __init__(self, simulation: Simulation, rounds: int, least: int = LEAST):
        self.simulation, self.rounds, self.least, self.n = simulation, rounds, least, simulation.problem.n

    @functools.cached_property
    def work(self) -> Work:
        """What a round and an evaluation compute."""
        return work_of_run(self.simulation)

    @functools.cached_property
    def one_model(self) -> bool:
        """Whether one model serves all nodes: that of a server whose clients have none of their own."""
        state = jax.eval_shape(simulator.INIT, self.simulation)
        models = jax.eval_shape(simulator.models, self.simulation, state)
        return jax.tree.leaves(models)[0].shape[0] != self.n

    @property
    def small(self) -> bool:
        """Whether the run has so few models that all of them are evaluated."""
        return self.n <= 2 * self.least or self.one_model

    def every(self, eval_nodes: str | int) -> int:
        """The rounds between evaluations where the user gives no number.

        It is `usual_every`; or a fifth of all rounds in a run of more than 512 nodes whose evaluations would otherwise
        be estimated to compute more than its rounds, even those of a sample. Where a plan in waves has so many windows,
        evaluations are at the ends of windows, when all models are those of one second.

        Args:
          eval_nodes: see `sample`.
        """
        window = window_of(self.simulation.schedule)
        every = self._often(eval_nodes)
        return -(-every // window) * window if self.rounds >= FEW * window else every

    def _often(self, eval_nodes: str | int) -> int:
        """The rounds between evaluations by their costs alone."""
        every = usual_every(self.rounds)
        sample = self.sample(eval_nodes, every)
        if self.small:
            return every
        nodes = self.n if sample is None else sample.nodes
        costly = self.rounds // every * nodes * self.work.evaluation > self.rounds * self.work.round
        return max(every, -(-self.rounds // FEW)) if costly else every

    def sample(self, eval_nodes: str | int, eval_every: int) -> Sample | None:
        """The sample of nodes that a run evaluates; None for all nodes.

        "auto" evaluates all nodes of a run of at most 512, and of a larger one if all its evaluations together are
        estimated to compute at most a tenth of what its rounds compute. Otherwise it evaluates a sample of 256 nodes,
        and all nodes at the end.

        Args:
          eval_nodes: "auto", "all", or a number of nodes, which holds for the last evaluation as well.
          eval_every: the number of rounds between evaluations.

        Raises:
          InputError: if `eval_nodes` is none of these.
        """
        number = isinstance(eval_nodes, int) and not isinstance(eval_nodes, bool) and eval_nodes > 0
        need = f'got eval_nodes={eval_nodes!r}, need "auto", "all" or a number of nodes; try "auto"'
        checks.require(number or eval_nodes in ("auto", "all"), need)
        if eval_nodes == "all" or (self.n <= eval_nodes or self.one_model if number else self.small):
            return None
        if number:
            return Sample(eval_nodes, all_at_end=False)
        evaluations = 1 + -(-self.rounds // eval_every)
        if evaluations * self.n * self.work.evaluation <= SHARE * self.rounds * self.work.round:
            return None
        return Sample(self.least, all_at_end=True)

    def note_if_costly(self, sample: Sample | None, eval_every: int) -> None:
        """Warn if the evaluations of many nodes are estimated to take longer than the rounds, and more than seconds.

        This is so where evaluating one model takes all data of all nodes, as that of `Logistic` does: evaluating all
        models computes n^2 times as much as evaluating one model on the data of one node.

        Args:
          sample: the nodes that are evaluated; None for all.
          eval_every: the number of rounds between evaluations.
        """
        if self.small:
            return
        n, work, marks = self.n, self.work, -(-self.rounds // eval_every)
        each, last = (n, n) if sample is None else (sample.nodes, n if sample.all_at_end else sample.nodes)
        in_rounds = (marks * each + last) * work.evaluation / work.round
        if in_rounds <= self.rounds or in_rounds * work.round <= NOTED:
            return
        of = f"{each:,} of {n:,} nodes" if each < n else f"all {n:,} nodes"
        end = " and of all at the end" if last > each else ""
        less = f", or eval_nodes={self.least} for a sample at the end as well" if last > self.least else ""
        checks.note(
            f"evaluations of {of}{end} are estimated to take as long as {in_rounds:,.0f} rounds, and the run has "
            f"{self.rounds:,}: evaluating one model computes as much as {work.evaluation / work.round:.2g} rounds; "
            f"give a larger eval_every{less}"
        )


def work_of_run(simulation: Simulation) -> Work:
    """Estimate what a round and the evaluation of a model compute, without running anything."""
    problem = simulation.problem
    model = jax.eval_shape(problem.init, simulation.key)
    plan = jax.eval_shape(lambda s: plan_at(s, simulator.before_nodes(s))[0], simulation)

    def step(params, key, zero):
        return problem.loss(params, problem.batch(zero, BatchId(key, key, zero, zero, zero)))

    steps = getattr(simulation.algorithm, "local_steps", 1)
    gradients = plans.rows(plan) * (steps if isinstance(steps, int) else 1)
    # A gradient computes about twice what the loss does, beside the loss; then the model is stepped, sent and mixed.
    numbers = sum(leaf.size for leaf in jax.tree.leaves(model))
    gradient = 3 * work_of(step, model, simulation.key, jax.ShapeDtypeStruct((), jnp.int32))
    return Work(gradients * gradient + plans.rows(plan) * PASSES * numbers, work_of(problem.evaluate, model))
