"""Any data set with any model that fits it, divided by any rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.data import Dataset, Partition, load
from jdl.data.readers.handed_over import as_dataset
from jdl.problems.division import divide, rule_of, takes_options_of_partitions
from jdl.problems.fitting import fit, say_scale
from jdl.problems.set_aside import public_inputs
from jdl.problems.supervised import Supervised

__all__ = ["supervised"]


@takes_options_of_partitions
def supervised(
    data: str | Dataset | Any = "mnist",
    nodes: int = 100,
    model: str | Any | None = None,
    partition: str | Partition | Any = "iid",
    batch_size: int = 32,
    sampling: str = "replacement",
    steps_per_round: int = 1,
    precision: str = "float32",
    test_examples: int = 2000,
    validation: float = 0.0,
    public: float | Any = 0.0,
    data_dir: str | None = None,
    download: bool = False,
    seed: int = 0,
) -> Supervised:
    """Supervised learning of a data set by a model, with the examples divided over the nodes.

    Args:
      data: a name that `jdl.data.load` knows, a `jdl.data.Dataset`, or arrays: (x, y), of which a fifth is held out,
        ((train_x, train_y), (test_x, test_y)), or a dict of them, see `jdl.data.readers.handed_over.as_dataset`.
      nodes: n, how many nodes share the training examples.
      model: by name, see `jdl.problems.MODELS`; or anything with `init` and `apply`; by default the usual one for data
        of this kind.
      partition: how examples are shared: a rule of `jdl.data.partition`, `Dirichlet(alpha=0.1)`, or its name, which
        has the defaults; a function like these; or a partition that is made: a list of examples for each node, masks,
        or the node of each example.
      batch_size: examples a minibatch; 0 for all of the node's.
      sampling: how minibatches are drawn: "replacement", "round" (without replacement within a round), "epochs"
        (without replacement over rounds), "stream" (in the order of the data) or "poisson" (each example by itself).
      steps_per_round: for "epochs" and "stream", how many minibatches a round takes: the local steps of the algorithm.
      precision: "float32", or "bfloat16" for what the model computes in.
      test_examples: how many test examples, drawn once, models are evaluated on; 0 for all. Each node's model is
        evaluated, so that all of a large set would take longer than the training.
      validation: share of each node's examples, its last ones, that it keeps aside and never trains on, for
        `node.held_out`.
      public: inputs that all nodes have, for `node.inputs(PUBLIC(k))`: a share of the training examples, which no node
        holds then, or an array of inputs without labels.
      data_dir: where the files of data sets lie; JDL_DATA_DIR by default.
      download: whether the network may be asked (by data sets named tfds:...).
      seed: names the partition and the test examples.

    Raises:
      InputError: something is unknown, does not fit, or is not there; the sentence says what to do.
    """
    nodes = checks.whole("nodes", nodes, 1)
    rule = rule_of(partition)
    data = load(data, data_dir, download) if isinstance(data, str) else as_dataset(data)
    data, (public_x, public_y) = public_inputs(data, public, seed)
    module, shaped = fit(data, model)
    say_scale(data)
    split = divide(data, nodes, rule, seed)
    if public_x is not None:
        public_x = public_x.reshape(len(public_x), *shaped.train_x.shape[1:])
    return Supervised.from_data(
        *(_fewer(shaped, test_examples, seed), split, module, batch_size, sampling, steps_per_round, precision),
        seed=seed,
        validation=validation,
        public=(public_x, public_y),
    )


def _fewer(data: Dataset, test_examples: int, seed: int) -> Dataset:
    test_examples, total = checks.whole("test_examples", test_examples, 0), len(data.test_y)
    if not 0 < test_examples < total:
        return data
    kept = np.sort(np.random.default_rng(seed).choice(total, test_examples, replace=False))
    owner = None if data.test_owner is None else data.test_owner[kept]
    return data._replace(test_x=data.test_x[kept], test_y=data.test_y[kept], test_owner=owner)
