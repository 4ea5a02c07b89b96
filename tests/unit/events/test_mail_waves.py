"""Waves of acts whose messages take time: executed in waves against one at a time, and what is promised of places."""

import numpy as np
import pytest
from mail_cases import KINDS, N, planned

from jdl import checks, events

WINDOWS = [{}, {"window_events": 25}, {"window_seconds": 4.0}]


def after(act, x, heard):
    """A state that tells every order of acts from every other."""
    return np.tanh(0.7 * x + sum(((slot + 1) * y for slot, y in enumerate(heard)), 0.0) + 0.1 * act)


def one_at_a_time(acts):
    """The states of all nodes at the end, and the messages, which are states before their acts."""
    x, sent = np.linspace(0, 1, N), {}
    for act, i in enumerate(acts.node):
        heard = [sent[message] for message in acts.reads[act] if message >= 0]
        if acts.posts[act] >= 0:
            sent[int(acts.posts[act])] = x[i]
        x[i] = after(act, x[i], heard)
    return x, sent


def in_waves(acts, table):
    x, places = np.linspace(0, 1, N), np.full(table.places, np.nan)
    for t in range(len(table.act)):
        rows = np.flatnonzero(table.act[t] >= 0)
        heard = {row: [places[p] for p in table.reads[t, row] if p >= 0] for row in rows}
        before = x.copy()
        for row in rows:
            act = table.act[t, row]
            x[acts.node[act]] = after(act, before[acts.node[act]], heard[row])
        for row in rows:
            if table.posts[t, row] < table.places:
                places[table.posts[t, row]] = before[acts.node[table.act[t, row]]]
    return x, places


@pytest.mark.parametrize("kind", KINDS)
def test_waves_are_the_acts_one_at_a_time(kind):
    for absent in (False, True):
        acts = planned(kind, absent)
        expected, _ = one_at_a_time(acts)
        for window in WINDOWS:
            table = events.mail_waves(acts, N, 3, **window)
            assert np.array_equal(in_waves(acts, table)[0], expected)  # to the last bit
            holds(acts, table, window)


def holds(acts, table, window, keep=False):
    """Everything that a table promises."""
    count = len(acts.node)
    t, row = np.nonzero(table.act >= 0)
    assert np.array_equal(np.sort(table.act[t, row]), np.arange(count))
    wave = np.empty(count, int)
    wave[table.act[t, row]] = t
    assert np.array_equal(acts.works[table.act[t, row]], row < table.workers)
    assert table.act.shape[1] == table.workers + (0 if acts.works.all() else 3)
    for i in range(N):
        assert np.all(np.diff(wave[acts.node == i]) > 0)  # in order, and never two in a wave
    act, slot = np.nonzero(acts.reads >= 0)
    source = np.flatnonzero(acts.posts >= 0)[acts.reads[act, slot]]
    assert np.all(source < act) and np.all(wave[source] < wave[act])
    # Windows, and the second of each wave.
    length = table.per_window
    assert len(table.act) % length == 0 and len(table.seconds) == len(table.act) + 1
    even = -(-count // max(round(count / (4 * N)), 1))
    size = window.get("window_events", None if "window_seconds" in window else even)
    expected = np.arange(count) // size if size else np.ceil(acts.seconds / 4.0).astype(int) - 1
    assert np.array_equal(wave // length, expected)
    for t in range(1, len(table.act) + 1):
        done = acts.seconds[wave < t]
        assert done.size == 0 or done.max() <= table.seconds[t]
        assert t % length or acts.seconds[wave >= t].size == 0 or acts.seconds[wave >= t].min() >= table.seconds[t]
    # As many places as messages wait between two waves, at most; those that nobody reads take none.
    read = np.full((acts.posts >= 0).sum(), keep)
    read[acts.reads[acts.reads >= 0]] = True
    begins, ends = wave[acts.posts >= 0], np.full(read.size, -1)
    np.maximum.at(ends, acts.reads[act, slot], wave[act])
    ends[ends < 0] = len(table.act)
    waiting = [(read & (begins < t) & (ends >= t)).sum() for t in range(len(table.act))]
    assert table.places == max([*waiting, 1])
    assert (table.posts < table.places).sum() == read.sum()


@pytest.mark.parametrize("kind", ["push", "split"])
def test_messages_that_nobody_reads_are_kept_on_demand(kind):
    acts = planned(kind)
    table = events.mail_waves(acts, N, 3, keep=True)
    holds(acts, table, {}, keep=True)
    expected, sent = one_at_a_time(acts)
    x, places = in_waves(acts, table)
    unread = set(sent) - set(acts.reads[acts.reads >= 0].tolist())
    assert len(unread) > 2 and np.array_equal(x, expected)
    assert np.isin([sent[message] for message in unread], places).all()


def test_places_are_about_as_many_as_messages_under_way():
    """And of messages that nobody reads there is none."""
    acts = planned("push")
    table = events.mail_waves(acts, N, 3, window_events=10)
    sent = np.flatnonzero(acts.posts >= 0)
    last = np.full(sent.size, -1)
    np.maximum.at(last, acts.reads[acts.reads >= 0], np.nonzero(acts.reads >= 0)[0])
    at_once = max(np.sum((sent < act) & (last >= act)) for act in range(len(acts.node)))
    assert 0.7 * at_once <= table.places <= 1.3 * at_once + 2
    lost = acts._replace(reads=np.full_like(acts.reads, -1))
    assert events.mail_waves(lost, N, 3).places == 1


def test_bad_input_is_a_sentence():
    acts = planned("push")
    for change, more, words in (
        ({"seconds": acts.seconds - 5}, {}, "got an event at second -"),
        ({"seconds": acts.seconds[::-1]}, {}, "out of order"),
        ({}, {"window_events": 3, "window_seconds": 1.0}, "one kind of windows"),
        ({}, {"window_seconds": 0.0}, "window_seconds=0"),
        ({}, {"idle_width": 0}, "idle_width"),
    ):
        with pytest.raises(checks.InputError, match=words):
            events.mail_waves(acts._replace(**change), N, 3, **more)
