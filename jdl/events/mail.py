"""Acts of nodes that send messages which arrive later: what each sends and reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.events.acts import Acts

__all__ = ["MailActs", "alone", "in_order", "mail_ages", "posted_in"]


class MailActs(NamedTuple):
    """Acts of single nodes, in the order in which they happen.

    In an act a node sends a message made of the state that it has, or none, and reads messages that were sent before,
    or none. Messages are counted in the order in which they are sent.

    Attributes:
      seconds: f64[A].
      node: i32[A], who acts.
      works: bool[A], whether the node has computed.
      posts: i32[A], the number of the message that is sent; -1 for none.
      copies: i32[A], to how many receivers it is sent, also to those whom it does not reach.
      reads: i32[A, k], the numbers of the messages that are read; -1 for none.
    """

    seconds: np.ndarray
    node: np.ndarray
    works: np.ndarray
    posts: np.ndarray
    copies: np.ndarray
    reads: np.ndarray


def in_order(acts: MailActs, keys: tuple[np.ndarray, ...], horizon: float) -> MailActs:
    """Acts up to the horizon in the order of time, with messages counted anew.

    Args:
      acts: in any order; messages have any numbers.
      keys: numbers by which acts of the same second are ordered, f[A] or i[A] each; the first one counts most.
      horizon: seconds; later acts are left out.

    Raises:
      InputError: if nobody acts up to the horizon.
    """
    order = np.lexsort((*reversed(keys), acts.seconds))
    order = order[acts.seconds[order] <= horizon]
    some = f"got horizon={horizon:g} in which nobody acts, need an event at least; give a longer one"
    checks.require(order.size > 0, some)
    seconds, node, works, posts, copies, reads = (x[order] for x in acts)
    sends = posts >= 0
    number = np.full(max(int(acts.posts.max()), int(acts.reads.max()), 0) + 2, -1, np.int64)  # the last one is for -1
    number[posts[sends]] = np.arange(sends.sum())
    whole = lambda x: np.ascontiguousarray(x, np.int32)
    return MailActs(seconds, whole(node), works, whole(number[posts]), whole(copies), whole(number[reads]))


def alone(acts: Acts) -> MailActs:
    """Work of a node that has nobody to write to."""
    none = np.full(acts.node.size, -1, np.int32)
    works = np.ones(none.size, bool)
    return MailActs(acts.seconds, acts.node.astype(np.int32), works, none, np.zeros_like(none), none[:, None])


def posted_in(acts: MailActs) -> np.ndarray:
    """The act in which each message is sent, i64[M]."""
    return np.flatnonzero(acts.posts >= 0)


def mail_ages(acts: MailActs) -> tuple[np.ndarray, np.ndarray]:
    """How old messages are when they are read.

    Args:
      acts: the acts.

    Returns:
      f64[A, k], the seconds since the message was sent; and i64[A, k], how often its sender has worked since, the act
      in which it was sent included. Both are -1 where nothing is read.

    >>> two = np.array([0, 0, 1]), np.array([True, True, True]), np.array([0, 1, -1]), np.array([1, 1, 0])
    >>> acts = MailActs(np.array([1.0, 2.0, 2.5]), *two, np.array([[-1], [-1], [0]]))
    >>> [age.ravel().tolist() for age in mail_ages(acts)]
    [[-1.0, -1.0, 1.5], [-1, -1, 2]]
    """
    count, sent = len(acts.node), posted_in(acts)
    act, slot = np.nonzero(acts.reads >= 0)
    source = sent[acts.reads[act, slot]]
    sender = acts.node[source].astype(np.int64)
    own = np.flatnonzero(acts.works)
    done = np.sort(acts.node[own].astype(np.int64) * count + own)  # acts of work, node by node, in order
    since = np.searchsorted(done, sender * count + act) - np.searchsorted(done, sender * count + source)
    seconds, times = np.full(acts.reads.shape, -1.0), np.full(acts.reads.shape, -1, np.int64)
    seconds[act, slot] = acts.seconds[act] - acts.seconds[source]
    times[act, slot] = since
    return seconds, times
