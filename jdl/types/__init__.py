"""The types that every part of jdl shares: plans, messages, what a node sees, and the protocol of each kind of part.

No logic lives here. Shapes: `n` is the number of nodes, `m` the number of rows that take part in a round (`m = n`
unless a plan names participants), `k` the number of links per row. `M[m]` is a pytree `M` whose leaves have a leading
axis of length `m`. `W[i, j]` is the weight that receiver `i` gives to sender `j`, everywhere in jdl.
"""

import warnings
from typing import Any

from jdl.types.fields import (
    ExchangeState,
    Info,
    Key,
    Message,
    PyTree,
    ScheduleState,
    State,
    number,
    static,
)
from jdl.types.links import (
    Circulant,
    Dense,
    Edges,
    Groups,
    Levels,
    Links,
    Mail,
    Plan,
    Server,
    Slots,
)
from jdl.types.messages import (
    Delivery,
    Each,
    PerLink,
    Posted,
    Push,
    Reports,
    Roles,
    Seen,
    Sized,
    Traffic,
    Wire,
)
from jdl.types.node import (
    Neighbours,
    Node,
)
from jdl.types.protocols import (
    Algorithm,
    Exchange,
    Federated,
    Oracle,
    Problem,
    Schedule,
    Wrapper,
)
from jdl.types.queries import (
    FULL,
    PUBLIC,
    BatchId,
    Data,
    Examples,
    Full,
    Minibatch,
    Part,
    Public,
    Query,
    Which,
)
from jdl.types.timing import (
    ClockState,
    LinkTime,
    StepTime,
    Transfers,
    Wait,
    Work,
)

__all__ = [
    "Algorithm",
    "BatchId",
    "Circulant",
    "ClockState",
    "Data",
    "Delivery",
    "Dense",
    "Each",
    "Edges",
    "Examples",
    "Exchange",
    "ExchangeState",
    "FULL",
    "Federated",
    "Full",
    "Groups",
    "Info",
    "Key",
    "Levels",
    "LinkTime",
    "Links",
    "Mail",
    "Message",
    "Minibatch",
    "Neighbours",
    "Node",
    "Oracle",
    "PUBLIC",
    "Part",
    "PerLink",
    "Plan",
    "Posted",
    "Problem",
    "Public",
    "Push",
    "PyTree",
    "Query",
    "Reports",
    "Roles",
    "Schedule",
    "ScheduleState",
    "Seen",
    "Server",
    "Sized",
    "Slots",
    "State",
    "StepTime",
    "Traffic",
    "Transfers",
    "Wait",
    "Which",
    "Wire",
    "Work",
    "Wrapper",
    "number",
    "static",
]

# Old names that keep working. This module imports nothing of jdl, so `jdl.checks.renamed` cannot be used.
RENAMED = {"Draw": "BatchId", "Link": "ExchangeState", "Memory": "ScheduleState", "Packed": "Sized"}


def __getattr__(name: str) -> Any:
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    sentence = f"{__name__}.{name} is spelled {__name__}.{RENAMED[name]}"
    warnings.warn(sentence, DeprecationWarning, stacklevel=2)
    return globals()[RENAMED[name]]
