"""Who sends what to whom, and when it is read: plans against simulations event by event, and closed forms."""

import heapq

import numpy as np
import pytest
from mail_cases import AWAY, DIRECTED, HORIZON, KINDS, UNDIRECTED, N, clocks, into, latencies, out, planned

from jdl import checks, events
from jdl.events import travel

LATENCY, TRANSFER = latencies(), 0.25


def there(node, seconds):
    return not any(i == node and start <= seconds < end for i, start, end in AWAY)


def rows_of(acts):
    """Of each act: its second and node, whether it works, its copies, and who sent what it reads, at which second."""
    sent = np.flatnonzero(acts.posts >= 0)
    assert np.array_equal(acts.posts[sent], np.arange(sent.size))
    who = lambda message: (round(acts.seconds[sent[message]], 9), int(acts.node[sent[message]]))
    return [
        (round(second, 9), int(i), bool(works), int(copies), [who(m) for m in reads if m >= 0])
        for second, i, works, copies, reads in zip(
            acts.seconds, acts.node, acts.works, acts.copies, acts.reads, strict=True
        )
    ]


def simulated(kind, timers, partners, absent):
    """Pushes and pulls event by event: an agenda of what happens next."""
    found, agenda, counter = [], [], 0

    def later(seconds, *what):
        nonlocal counter
        counter += 1
        heapq.heappush(agenda, (seconds, counter, what))

    for seconds, i, j in zip(timers.seconds, timers.node, partners, strict=True):
        later(seconds, "begins", i, j, None)
    while agenda and agenda[0][0] <= HORIZON:
        now, _, (what, i, j, message) = heapq.heappop(agenda)
        if what != "begins" and absent and not there(i, now):
            continue
        stamp = (round(now, 9), int(i))
        heard = [message] if message else []
        if what == "begins" and kind == "pull":
            later(now + LATENCY[j, i], "asked", j, i, None)
            continue
        sends = what in ("begins", "asked") or (what == "arrives" and kind == "push_pull")
        found.append((*stamp, bool(heard), int(sends), heard))
        if sends:
            then = "arrives" if what == "begins" else "ends"
            later(now + LATENCY[j, i] + TRANSFER, then, j, i, stamp)
    return found


@pytest.mark.parametrize("kind", ["push", "pull", "push_pull"])
@pytest.mark.parametrize("absent", [False, True])
def test_pushes_and_pulls_are_those_of_a_simulation(kind, absent):
    timers = clocks(away=events.Absences(AWAY, N) if absent else None)
    links = out(DIRECTED) if kind == "push" else into(UNDIRECTED)
    partners = events.paired(timers, *links, 4).partner
    expected = simulated(kind, timers, partners, absent)
    assert rows_of(planned(kind, absent)) == expected and len(expected) > 200
    lost = sum(works for _, _, works, *_ in simulated(kind, timers, partners, False)) - sum(row[2] for row in expected)
    assert (lost > 0) == absent


def test_what_takes_no_time_happens_at_once():
    """Each act of reading follows that of sending, in the same second."""
    acts = events.push(clocks("constant"), *out(DIRECTED), HORIZON, seed=4)
    assert np.array_equal(acts.reads[1::2, 0], acts.posts[::2]) and np.array_equal(
        acts.seconds[1::2], acts.seconds[::2]
    )
    pairs = events.paired(clocks("constant"), *out(DIRECTED), 4)
    assert np.array_equal(acts.node[1::2], pairs.partner) and np.array_equal(acts.node[::2], pairs.node)


@pytest.mark.parametrize("absent", [False, True])
def test_who_publishes_reads_the_newest_that_has_arrived(absent):
    acts = planned("publish", absent)
    timers = clocks(away=events.Absences(AWAY, N) if absent else None)
    offsets, neighbours = into(DIRECTED)
    assert np.array_equal(acts.seconds, timers.seconds) and acts.works.all()
    assert np.array_equal(acts.copies, np.full(len(acts.node), np.diff(out(DIRECTED)[0])[0]))
    for act, (now, i) in enumerate(zip(timers.seconds, timers.node, strict=True)):
        for slot, j in enumerate(neighbours[offsets[i] : offsets[i + 1]]):
            arrivals = timers.seconds + LATENCY[i, j] + TRANSFER
            heard = [
                one for one in np.flatnonzero((timers.node == j) & (arrivals < now))
                if not absent or there(i, arrivals[one])
            ]  # fmt: skip
            assert acts.reads[act, slot] == max(heard, default=-1)


def test_equal_speeds_read_the_round_before():
    """Of three rounds before, if messages need more than two."""
    offsets, neighbours = into(DIRECTED)
    listens = neighbours.reshape(N, -1)
    for latency, late in ((0.4, 1), (2.5, 3)):
        acts = events.publish(clocks("constant"), offsets, neighbours, HORIZON, latency=latency)
        reads = acts.reads.reshape(-1, N, listens.shape[1])  # message i + N r is that of node i in round r
        assert np.array_equal(acts.node, np.tile(np.arange(N), len(reads))) and np.all(reads[:late] == -1)
        assert np.array_equal(reads[late:], listens + N * np.arange(len(reads) - late)[:, None, None])


def test_who_splits_reads_all_that_has_arrived_in_turn():
    timers = clocks()
    to = travel.chosen(timers.node, *out(DIRECTED), np.random.default_rng(0))
    assert np.array_equal(to, events.paired(timers, *out(DIRECTED), 0).partner)
    acts, waited = events.split(timers, *out(DIRECTED), HORIZON, LATENCY, TRANSFER, most=2)
    boxes, late = [[] for _ in range(N)], set()
    for act, (now, i) in enumerate(zip(timers.seconds, timers.node, strict=True)):
        arrived = sorted(one for one in boxes[i] if one[0] < now)
        assert [m for m in acts.reads[act] if m >= 0] == [m for _, m in arrived[:2]]
        boxes[i] = [one for one in boxes[i] if one not in arrived[:2]]
        late |= {m for _, m in arrived[2:]}
        boxes[to[act]].append((now + LATENCY[to[act], i] + TRANSFER, act))
    assert waited == len(late) > 0
    assert acts.works.all() and np.all(acts.copies == 1) and np.array_equal(acts.posts, np.arange(len(acts.node)))


def test_models_that_walk_in_closed_form_and_one_by_one():
    """Without meetings, the k-th computation of each ends at k (1 + 0.5) - 0.5; two on one node take turns."""
    acts = events.walks(1.0, *out(DIRECTED), HORIZON, latency=0.5)
    np.testing.assert_allclose(acts.seconds[::2], 1 + 1.5 * np.arange(len(acts.node) // 2))
    assert np.array_equal(acts.seconds[::2], acts.seconds[1::2]) and np.array_equal(acts.node[::2], acts.node[1::2])
    for absent in (False, True):
        acts = planned("walks", absent)
        work = np.flatnonzero(acts.works)
        assert np.array_equal(acts.posts[work + 1], np.arange(len(work)))  # what is worked on is sent at once
        offsets, neighbours = out(DIRECTED)
        sent = np.flatnonzero(acts.posts >= 0)
        for i in range(N):
            mine = work[acts.node[work] == i]
            source = sent[acts.reads[mine, 0]]
            fresh = acts.reads[mine, 0] < 0
            sender = acts.node[source]
            assert all(i in neighbours[offsets[j] : offsets[j + 1]] for j in sender[~fresh])
            arrival = np.where(fresh, 0.0, acts.seconds[source] + LATENCY[i, sender] + TRANSFER)
            assert np.all(np.diff(arrival) >= 0)  # first come, first served
            assert not absent or all(there(i, second) for second in arrival[~fresh])
            begins = np.maximum(arrival, np.append(0.0, acts.seconds[mine][:-1]))
            assert np.all(acts.seconds[mine] > begins)
    # Each message is worked on once, and all but those under way at the end are.
    heard = acts.reads[acts.reads >= 0]
    assert heard.size == np.unique(heard).size
    three = np.array([0, 1, 2, 3]), np.array([2, 2, 0])
    acts = events.walks([1.0, 1.0, 2.0], *three, 6.0, tokens=3)  # both first nodes send to the third, which is busy
    works = [(row[0], row[1]) for row in rows_of(acts) if row[2]]
    assert works == [(1, 0), (1, 1), (2, 2), (3, 0), (4, 2), (5, 0), (6, 2)]


def test_a_computation_stops_while_its_node_is_away():
    one = np.array([0, 1, 2]), np.array([1, 0])
    away = events.Absences([(0, 0.0, 0.5), (0, 1.0, 3.0), (1, 1.2, 1.3)], 2)
    walk = events.walks(1.0, *one, 9.0, tokens=2, latency=4.0, away=away)
    assert [(row[0], row[1]) for row in rows_of(walk) if row[2]][:2] == [(1.0, 1), (3.5, 0)]


@pytest.mark.parametrize("strategy", events.STRATEGIES)
def test_tokens_are_those_of_the_strategy(strategy):
    """Accounts follow from a plan; every act of a timer gives a token or a message, and each token pays a message."""
    C, A, timers = 6, 3, clocks(horizon=400.0, seconds=0.5)
    acts, left = events.tokens(timers, *out(DIRECTED), 400.0, strategy, C, A, LATENCY)
    account, act, counts = np.zeros(N, int), 0, {"sends": [], "reacts": []}
    for now, i in zip(timers.seconds, timers.node, strict=True):
        while act < len(acts.node) and acts.works[act] and acts.seconds[act] <= now:
            j, paid = acts.node[act], 0
            act += 1
            if act < len(acts.node) and not acts.works[act] and acts.seconds[act] == acts.seconds[act - 1]:
                assert acts.node[act] == j
                paid, act = acts.copies[act], act + 1
            counts["reacts"].append((account[j], paid))
            account[j] -= paid
        sends = act < len(acts.node) and acts.seconds[act] == now
        counts["sends"].append((account[i], sends))
        assert not sends or (acts.node[act] == i and acts.copies[act] == 1)
        account[i] += not sends
        act += sends
        assert 0 <= account.min() and account.max() <= C
    a, sends = np.array(counts["sends"]).T
    b, paid = np.array(counts["reacts"]).T
    if strategy == "randomized":
        for tokens in range(C + 1):
            mine, expected = sends[a == tokens], np.clip((tokens - A + 1) / (C - A + 1), 0, 1)
            assert abs(mine.mean() - expected) <= 5 * np.sqrt(expected * (1 - expected) / mine.size) if mine.size else 1
            mine, part = paid[b == tokens], tokens / A % 1
            assert abs(mine.mean() - tokens / A) <= 5 * np.sqrt(part * (1 - part) / mine.size) if mine.size else True
    else:
        assert np.array_equal(sends, a >= C)
        assert np.array_equal(paid, b > 0 if strategy == "simple" else (A - 1 + b) // A)
    # The rate of messages tends to one a period.
    final = len(timers.node) - acts.copies.sum()
    assert final == left.sum() and 0 <= final <= C * N
    assert abs(acts.copies.sum() / len(timers.node) - 1) < C * N / len(timers.node)


def test_messages_under_way_are_rate_times_latency():
    """Little's law, counted at random seconds in which the plan has settled."""
    latency, horizon = 3.0, 600.0
    acts = events.push(clocks(horizon=horizon), *out(DIRECTED), horizon, latency)
    sent = acts.seconds[acts.posts >= 0]
    read = np.full(sent.size, np.inf)
    read[acts.reads[acts.reads >= 0]] = acts.seconds[np.nonzero(acts.reads >= 0)[0]]
    when = np.random.default_rng(0).uniform(10, horizon - 10, 4000)
    under_way = np.searchsorted(sent, when) - np.searchsorted(np.sort(read), when)
    # A Poisson number of mean N latency, of which about horizon / latency are independent.
    assert abs(under_way.mean() - N * latency) < 5 * np.sqrt(N * latency / (horizon / latency))


def test_ages_are_those_of_a_simulation():
    oldest = {}
    for kind in KINDS:
        acts = planned(kind)
        seconds, times = events.mail_ages(acts)
        works, sent = np.zeros(N, int), {}
        for act, i in enumerate(acts.node):
            for slot, message in enumerate(acts.reads[act]):
                if message < 0:
                    assert seconds[act, slot] == times[act, slot] == -1
                    continue
                at, sender, worked = sent[message]
                assert seconds[act, slot] == acts.seconds[act] - at
                assert times[act, slot] == works[sender] - worked
            if acts.posts[act] >= 0:
                sent[acts.posts[act]] = acts.seconds[act], i, works[i]
            works[i] += acts.works[act]
        oldest[kind] = times.max()
    assert oldest["publish"] > 2 and oldest["walks"] == 1


def test_one_node_works_alone():
    one = np.array([0, 0]), np.array([], int)
    timers = events.devices(1.0, 5.0, 1)
    found = [getattr(events, kind)(timers, *one, 5.0) for kind in ("push", "pull", "push_pull", "publish")]
    found += [events.tokens(timers, *one, 5.0)[0], events.split(timers, *one, 5.0)[0]]
    for acts in found:
        assert acts.seconds.tolist() == [1, 2, 3, 4, 5] and acts.works.all() and np.all(acts.reads == -1)
        assert np.all(acts.posts == -1)
    assert events.walks(1.0, *one, 5.0).works.sum() == 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: events.push(clocks(), *out(DIRECTED), 9.0, latency=-1.0), "got latency=-1, need seconds"),
        (lambda: events.push(clocks(), *out(DIRECTED), 9.0, latency=np.inf), "got latency=inf, need seconds"),
        (lambda: events.push(clocks(), *out(DIRECTED), 9.0, latency=np.ones(3)), r"latency of shape \(3,\)"),
        (lambda: events.pull(clocks(), *out(DIRECTED), 9.0, latency=99.0), "horizon=9 in which nobody acts"),
        (lambda: events.push_pull(clocks(), *out(DIRECTED), 9.0, transfer=-0.1), "transfer"),
        (lambda: events.tokens(clocks(), *out(DIRECTED), 9.0, "frugal"), "frugal"),
        (lambda: events.tokens(clocks(), *out(DIRECTED), 9.0, "randomized", 3, 4), "got reactivity=4 with capacity=3"),
        (lambda: events.tokens(clocks(), *out(DIRECTED), 9.0, capacity=99), "no token is spent"),
        (lambda: events.split(clocks(), *out(DIRECTED), 9.0, most=0), "most"),
        (lambda: events.walks(1.0, *out(DIRECTED), 9.0, tokens=11), "got tokens=11 with n=10"),
        (lambda: events.walks(1.0, *out(DIRECTED), 0.5), "no computation ends"),
    ],
)
def test_bad_input_is_a_sentence(make, words):
    with pytest.raises(checks.InputError, match=words):
        make()
