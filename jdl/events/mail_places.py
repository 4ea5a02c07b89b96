"""The places in which messages wait until they are read for the last time."""

from __future__ import annotations

import numpy as np

from jdl.events.mail import MailActs, posted_in

__all__ = ["mail_places"]


def mail_places(acts: MailActs, wave: np.ndarray, unread: int) -> tuple[np.ndarray, int]:
    """The place of each message, i64[M + 1], and their number, which stands for none, also in the last entry.

    Args:
      acts: the acts.
      wave: the wave of each.
      unread: until which wave messages that are never read are kept; -1 for no place.
    """
    sent = posted_in(acts)
    begins, ends = wave[sent], np.full(sent.size, -1)
    act, slot = np.nonzero(acts.reads >= 0)
    np.maximum.at(ends, acts.reads[act, slot], wave[act])
    ends[ends < 0] = unread
    some = np.flatnonzero(ends >= 0)
    posts = some[np.argsort(begins[some], kind="stable")]
    frees = some[np.argsort(ends[some], kind="stable")]
    # A place is free again for what is sent in the wave of the last reading: as many have been freed by then.
    freed = np.searchsorted(ends[frees], begins[posts], side="right")
    most = int((np.arange(1, posts.size + 1) - freed).max(initial=0))
    places = max(most, min(sent.size, 1))
    # Places are queued: the first `most` messages take new ones, the others take them as they become free.
    place, freeing = [0] * (sent.size + 1), frees.tolist()
    for number, message in enumerate(posts.tolist()):
        place[message] = number if number < most else place[freeing[number - most]]
    found = np.array(place)
    found[np.append(ends < 0, True)] = places
    return found, places
