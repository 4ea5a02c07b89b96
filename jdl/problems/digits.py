"""Handwritten digits that come with scikit-learn: nothing to fetch, and so small that thousands of nodes are quick."""

from __future__ import annotations

from typing import Any

import jax

from jdl import checks
from jdl.data import Partition
from jdl.data.readers.embedded import digits as load_digits
from jdl.models import MLP, Linear
from jdl.problems.division import divide, rule_of, takes_options_of_partitions
from jdl.problems.set_aside import public_inputs
from jdl.problems.supervised import Supervised

__all__ = ["digits"]


@takes_options_of_partitions
def digits(
    nodes: int = 1024,
    partition: str | Partition | Any = "iid",
    hidden: int = 32,
    batch_size: int = 0,
    test_fraction: float = 0.2,
    validation: float = 0.0,
    public: float | Any = 0.0,
    seed: int = 0,
    sampling: str = "replacement",
) -> Supervised:
    """Handwritten digits of 8x8 pixels (1,437 to train on, 360 to test), classified by a small network.

    Args:
      nodes: n, number of nodes that share the training examples; if there are more nodes than examples, some have none.
      partition: how the examples are divided: a rule of `jdl.data.partition`, its name, or a computed partition, as for
        `supervised`.
      hidden: width of the hidden layer (64-hidden-10, relu); 0 for none, which is softmax regression.
      batch_size: number of examples in a minibatch; 0 for all examples of the node.
      test_fraction: fraction of the 1,797 images that is kept for the test.
      validation: share of each node's examples that it keeps aside and never trains on, for `node.held_out`.
      public: inputs that all nodes have, for `node.inputs(PUBLIC(k))`: a share of the training examples, which no node
        holds then, or an array of inputs without labels.
      seed: seed that chooses the test set and the partition.
      sampling: how minibatches are drawn, as for `supervised`; for private gradients "poisson".

    Raises:
      InputError: if there is no such partition (with the nearest names), or if a number is out of range.

    >>> problem = digits(nodes=100, hidden=0)
    >>> problem.n, problem.indices.shape, int(problem.num_examples.sum())
    (100, (100, 15), 1437)
    """
    hidden = checks.whole("hidden", hidden, 0)
    rule = rule_of(partition)
    data, common = public_inputs(load_digits(test_fraction, seed), public, seed)
    module = MLP(hidden=(hidden,), classes=data.num_classes) if hidden else Linear(classes=data.num_classes)
    model = jax.eval_shape(lambda x: module.init(jax.random.key(0), x), data.train_x[:1])
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(model))
    nodes = checks.whole("nodes", nodes, 1)
    checks.fits(4 * nodes * size, f"nodes={nodes:,}")  # models, messages, inboxes, gradients; before the table is made
    split = divide(data, nodes, rule, seed)
    return Supervised.from_data(data, split, module, batch_size, sampling, validation=validation, public=common)
