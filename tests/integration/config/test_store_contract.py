"""The store's contract: one suite that both back ends pass."""

import random

import gevent
import pytest

from pygw.config.store import Batch, Delete, KeyValue, Put, Store, StoreError, Watch

WAIT = 10.0  # seconds that no passing test takes


def all_events(watch: Watch, count: int) -> list[tuple[str, bytes, bytes, int]]:
    """The next `count` events, however they are grouped."""
    events: list[tuple[str, bytes, bytes, int]] = []
    while len(events) < count:
        batch = watch.next(WAIT)
        assert batch.kind == "events", batch
        events.extend((e.type, e.key, e.value, e.mod_rev) for e in batch.events)
    return events


def test_every_write_raises_the_revision_by_one(store: Store, base: bytes) -> None:
    first = store.put(base + b"a", b"1")
    assert store.put(base + b"a", b"2") == first + 1
    assert store.delete(base + b"a") == (first + 2, 1)


def test_deleting_what_is_absent_changes_nothing(store: Store, base: bytes) -> None:
    revision, _ = store.get(base + b"a")
    assert store.delete(base + b"a") == (revision, 0)
    assert store.delete_prefix(base) == (revision, 0)


def test_a_key_keeps_its_creation_revision_until_it_is_deleted(store: Store, base: bytes) -> None:
    key = base + b"k"
    created = store.put(key, b"1")
    changed = store.put(key, b"2")
    assert store.get(key) == (changed, KeyValue(key, b"2", created, changed))
    store.delete(key)
    again = store.put(key, b"3")
    assert store.get(key)[1] == KeyValue(key, b"3", again, again)


def test_an_absent_key_still_tells_the_revision(store: Store, base: bytes) -> None:
    revision = store.put(base + b"other", b"")
    assert store.get(base + b"absent") == (revision, None)


def test_readdir_lists_the_prefix_in_ascending_order(store: Store, base: bytes) -> None:
    keys = [base + suffix for suffix in (b"b", b"a/2", b"a/10", b"\xff\xff", b"")]
    for key in keys:
        store.put(key, key)
    revision = store.put(base[:-1] + b"0", b"beyond")
    found, kvs = store.readdir(base)
    assert found == revision
    assert [kv.key for kv in kvs] == sorted(keys)
    assert all(kv.value == kv.key for kv in kvs)


def test_readdir_of_nothing_is_empty_not_an_error(store: Store, base: bytes) -> None:
    assert store.readdir(base)[1] == []


def test_readdir_of_the_empty_prefix_lists_every_key(store: Store, base: bytes) -> None:
    store.put(base + b"x", b"")
    assert base + b"x" in [kv.key for kv in store.readdir(b"")[1]]


def test_readdir_reads_many_keys_at_one_revision(store: Store, base: bytes) -> None:
    keys = [base + b"%05d" % i for i in range(4500)]
    for start in range(0, len(keys), 100):
        revision, _ = store.transact([Put(key, b"v") for key in keys[start : start + 100]])
    found, kvs = store.readdir(base)
    assert (found, [kv.key for kv in kvs]) == (revision, keys)


def test_values_are_any_bytes_of_any_size(store: Store, base: bytes) -> None:
    value = random.Random(7).randbytes(1_000_000)
    store.put(base + b"big", value)
    kv = store.get(base + b"big")[1]
    assert kv is not None
    assert kv.value == value


def test_a_transaction_is_one_revision(store: Store, base: bytes) -> None:
    store.put(base + b"old", b"")
    watch = store.open_watch(base, 0)
    revision, done = store.transact([Put(base + b"new", b"1"), Delete(base + b"old")])
    assert done
    assert all_events(watch, 2) == [
        ("PUT", base + b"new", b"1", revision),
        ("DELETE", base + b"old", b"", revision),
    ]


def test_a_transaction_is_refused_when_a_key_has_changed(store: Store, base: bytes) -> None:
    key = base + b"k"
    assert store.transact([Put(key, b"1")], [(key, 0)])[1]
    revision = store.get(key)[0]
    assert store.transact([Put(key, b"2")], [(key, 0)]) == (revision, False)
    assert store.transact([Put(key, b"2")], [(key, revision)]) == (revision + 1, True)
    assert store.transact([Put(key, b"3")], [(key, revision)]) == (revision + 1, False)


def test_delete_prefix_removes_all_as_one_revision(store: Store, base: bytes) -> None:
    for name in (b"a", b"b"):
        store.put(base + name, b"")
    revision = store.put(base[:-1] + b"0", b"stays")
    assert store.delete_prefix(base) == (revision + 1, 2)
    assert store.readdir(base)[1] == []
    assert store.get(base[:-1] + b"0")[1] is not None


def test_a_watch_tells_the_revision_at_which_it_was_made(store: Store, base: bytes) -> None:
    revision = store.put(base, b"")
    assert store.open_watch(base, 1_000_000).revision == revision


def test_a_watch_sees_only_its_prefix(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    store.put(base[:-1] + b"0", b"beyond")
    store.put(base[:-1], b"before")
    revision = store.put(base + b"in", b"1")
    assert all_events(watch, 1) == [("PUT", base + b"in", b"1", revision)]


def test_a_watch_from_a_past_revision_replays_what_it_missed(store: Store, base: bytes) -> None:
    revisions = [store.put(base + b"k", b"%d" % i) for i in range(5)]
    watch = store.open_watch(base, revisions[2])
    assert [(v, r) for _, _, v, r in all_events(watch, 3)] == [
        (b"%d" % i, revisions[i]) for i in (2, 3, 4)
    ]
    last = store.put(base + b"k", b"live")
    assert all_events(watch, 1) == [("PUT", base + b"k", b"live", last)]


def test_a_watch_from_a_future_revision_waits_for_it(store: Store, base: bytes) -> None:
    revision = store.put(base, b"")
    watch = store.open_watch(base, revision + 2)
    store.put(base + b"1", b"too early")
    store.put(base + b"2", b"in time")
    assert all_events(watch, 1)[0][2] == b"in time"


def test_events_carry_creation_revisions(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    created = store.put(base, b"1")
    changed = store.put(base, b"2")
    events = []
    while len(events) < 2:
        events += watch.next(WAIT).events
    assert [(e.create_rev, e.mod_rev) for e in events] == [(created, created), (created, changed)]


def test_a_quiet_watch_times_out_and_stays_usable(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    assert watch.next(0.01) == Batch("timeout")
    revision = store.put(base, b"1")
    assert all_events(watch, 1) == [("PUT", base, b"1", revision)]


def test_waiting_for_a_watch_lets_other_greenlets_run(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    waiter = gevent.spawn(watch.next, WAIT)
    gevent.sleep(0)
    store.put(base, b"1")
    assert waiter.get(timeout=WAIT).kind == "events"


def test_cancelling_wakes_the_reader_and_ends_the_watch(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    waiter = gevent.spawn(watch.next, WAIT)
    gevent.sleep(0)
    watch.cancel()
    watch.cancel()
    assert waiter.get(timeout=WAIT).kind == "closed"
    store.put(base, b"1")
    assert watch.next(WAIT).kind == "closed"


def test_cancelling_one_watch_leaves_the_others(store: Store, base: bytes) -> None:
    watches = [store.open_watch(base, 0) for _ in range(3)]
    watches[1].cancel()
    revision = store.put(base, b"1")
    for watch in (watches[0], watches[2]):
        assert all_events(watch, 1) == [("PUT", base, b"1", revision)]


def test_closing_the_store_closes_its_watches_and_refuses_calls(store: Store, base: bytes) -> None:
    waiter = gevent.spawn(store.open_watch(base, 0).next, WAIT)
    gevent.sleep(0)
    store.close()
    store.close()
    assert waiter.get(timeout=WAIT).kind == "closed"
    with pytest.raises(StoreError):
        store.put(base, b"1")


def test_a_watch_before_the_compacted_revision_is_told_so(store: Store, base: bytes) -> None:
    revisions = [store.put(base, b"%d" % i) for i in range(5)]
    store.compact(revisions[3])
    batch = store.open_watch(base, revisions[1]).next(WAIT)
    assert (batch.kind, batch.revision) == ("compacted", revisions[3])


def test_a_watch_from_the_compacted_revision_loses_nothing(store: Store, base: bytes) -> None:
    revisions = [store.put(base, b"%d" % i) for i in range(5)]
    store.compact(revisions[3])
    assert [v for _, _, v, _ in all_events(store.open_watch(base, revisions[3]), 2)] == [b"3", b"4"]


def test_compaction_keeps_keys_and_running_watches(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    first = store.put(base, b"1")
    assert all_events(watch, 1)[0][3] == first
    store.compact(first)
    assert store.readdir(base)[1] == [KeyValue(base, b"1", first, first)]
    second = store.put(base, b"2")
    assert all_events(watch, 1)[0][3] == second


def test_compacting_the_future_is_refused(store: Store, base: bytes) -> None:
    with pytest.raises(StoreError, match="future revision"):
        store.compact(store.put(base, b"") + 10)


def test_a_key_with_a_ttl_is_deleted_when_its_time_is_over(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    put = store.put(base + b"lease", b"1", ttl=1)
    store.put(base + b"stays", b"1")
    kinds = [(e[0], e[1]) for e in all_events(watch, 3)]
    assert kinds[2] == ("DELETE", base + b"lease")
    revision, kvs = store.readdir(base)
    assert [kv.key for kv in kvs] == [base + b"stays"]
    assert revision > put + 1


def test_a_lease_that_is_kept_alive_holds_its_key(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    _, lease = store.put_leased(base + b"leased", b"1", 3)
    store.put(base + b"first", b"", ttl=1)
    assert all_events(watch, 3)[2][1] == base + b"first"
    assert store.keep_alive(lease) == 3
    store.put(base + b"second", b"", ttl=2)
    assert [event[1] for event in all_events(watch, 3)[1:]] == [base + b"second", base + b"leased"]
    assert store.keep_alive(lease) == 0


def test_a_write_without_ttl_makes_the_key_stay(store: Store, base: bytes) -> None:
    watch = store.open_watch(base, 0)
    store.put(base + b"kept", b"1", ttl=1)
    store.put(base + b"kept", b"2")
    store.put(base + b"marker", b"", ttl=2)
    assert all_events(watch, 4)[-1][:2] == ("DELETE", base + b"marker")
    assert store.get(base + b"kept")[1] is not None


@pytest.mark.parametrize("seed", range(3))
def test_watches_reopened_at_random_see_every_event_once_in_order(
    store: Store, base: bytes, seed: int
) -> None:
    """The cycle's use: open from the last revision + 1, take a batch, cancel, again."""
    rng = random.Random(seed)
    written: list[tuple[str, bytes, int]] = []
    start = store.put(base, b"") + 1

    def write() -> None:
        for i in range(150):
            key = base + b"%d" % rng.randrange(8)
            if rng.random() < 0.3:
                revision, deleted = store.delete(key)
                if deleted:
                    written.append(("DELETE", key, revision))
            else:
                written.append(("PUT", key, store.put(key, b"%d" % i)))
            if rng.random() < 0.1:
                gevent.sleep(rng.random() * 0.005)

    def read(seen: list[tuple[str, bytes, int]], pauses: random.Random) -> None:
        after = start
        while not writer.ready() or len(seen) < len(written):
            watch = store.open_watch(base, after)
            for _ in range(pauses.randrange(1, 4)):
                batch = watch.next(0.2)
                seen.extend((e.type, e.key, e.mod_rev) for e in batch.events)
                after = max(after, *(e.mod_rev + 1 for e in batch.events), 0)
            watch.cancel()

    writer = gevent.spawn(write)
    seen: list[list[tuple[str, bytes, int]]] = [[] for _ in range(4)]
    readers = [gevent.spawn(read, s, random.Random(seed + i)) for i, s in enumerate(seen)]
    gevent.joinall([writer, *readers], timeout=60, raise_error=True)
    assert seen == [written] * 4


def test_the_server_names_its_version(store: Store) -> None:
    assert any(char.isdigit() for char in store.server_version())
