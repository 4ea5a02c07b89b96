"""The arrays of a schedule of messages, from acts and their waves."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.events import Events, MailActs, MailTable, since_last, with_spare_nodes

__all__ = ["arrays"]


def arrays(acts: MailActs, table: MailTable, n: int) -> dict[str, np.ndarray]:
    """What `Messages` holds of each wave, by the names of its fields.

    Args:
      acts: the acts.
      table: their waves.
      n: number of nodes.

    Raises:
      InputError: if a wave has more rows than there are nodes.
    """
    m = table.act.shape[1]
    need = f"got waves of {m} acts with n={n}, need a node for each; try width={max(n // 2, 1)}"
    checks.require(m <= n, need)
    there = table.act >= 0
    since, _ = since_last(Events(acts.seconds, acts.node, acts.node))  # each act is one of its node alone
    nodes = with_spare_nodes(acts.node[table.act], there)
    sender = np.append(acts.node[acts.posts >= 0], -1)[acts.reads]
    speakers = np.where(sender >= 0, sender, acts.node[:, None])[table.act]
    return {
        "nodes": nodes,
        "acts": there,
        "works": (acts.works[table.act] & there)[:, : table.workers],
        "posts": table.posts,
        "copies": np.where(there, acts.copies[table.act], 0).astype(np.int32),
        "reads": table.reads,
        "speakers": np.where(there[..., None], speakers, nodes[..., None]).astype(np.int32),
        "elapsed": np.where(there, since[table.act], 0.0).astype(np.float32),
    }
