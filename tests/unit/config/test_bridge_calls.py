"""The store's entries in the bridge: what crosses, and in which shape."""

from collections.abc import Iterator
from typing import Any

import pytest

from pygw.config.bridge_calls import store_calls
from pygw.config.embedded import EmbeddedStore
from pygw.config.store import StoreUnavailable


@pytest.fixture
def store() -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(":memory:")
    yield made
    made.close()


@pytest.fixture
def call(store: EmbeddedStore) -> Any:
    """call("name", …) as Lua calls it: numbers may be floats, strings are latin-1."""
    calls, awaits = store_calls(store)

    def run(name: str, *arguments: Any) -> Any:
        return {**calls, **awaits}[name](*arguments)

    return run


def test_readdir_gives_one_list_per_field(call: Any) -> None:
    call("store_put", "/d/a", "1")
    call("store_put", "/d/b", "2")
    assert call("store_readdir", "/d/") == (
        3,
        [b"/d/a", b"/d/b"],
        [b"1", b"2"],
        [2, 3],
        [2, 3],
        None,
    )


def test_readdir_of_nothing_gives_empty_lists(call: Any) -> None:
    assert call("store_readdir", "/d/") == (1, [], [], [], [], None)


def test_get_tells_an_absent_key_by_its_value(call: Any) -> None:
    call("store_put", "/a", "1")
    assert call("store_get", "/a") == (2, b"1", 2, 2)
    assert call("store_get", "/b") == (2, None, 0, 0)


def test_bytes_cross_as_latin_1(call: Any) -> None:
    every = "".join(map(chr, range(256)))
    call("store_put", "/" + every, every)
    assert call("store_get", "/" + every)[1] == bytes(range(256))


def test_put_if_writes_only_what_has_not_changed(call: Any) -> None:
    assert call("store_put_if", "/a", "1", 0.0) == (2, True)
    assert call("store_put_if", "/a", "2", 0.0) == (2, False)
    assert call("store_put_if", "/a", "2", 2.0) == (3, True)


def test_deletions_count_their_keys(call: Any) -> None:
    for key in ("/a", "/d/a", "/d/b"):
        call("store_put", key, "")
    assert call("store_delete", "/a") == (5, 1)
    assert call("store_delete", "/a") == (5, 0)
    assert call("store_delete_prefix", "/d/") == (6, 2)


def test_a_watch_gives_events_then_times_out_then_is_cancelled(call: Any) -> None:
    watch, revision, history = call("store_watch_open", "/d/", 2.0)
    assert (revision, history) == (1, None)
    call("store_put", "/d/a", "1")
    call("store_delete", "/d/a")
    received: list[tuple[str, bytes]] = []
    while len(received) < 2:
        kind, _, types, keys, values, create_revs, mod_revs = call("store_watch_next", watch, 5.0)
        assert kind == "events"
        assert len(types) == len(keys) == len(values) == len(create_revs) == len(mod_revs)
        received += zip(types, keys, strict=True)
    assert received == [("PUT", b"/d/a"), ("DELETE", b"/d/a")]
    assert call("store_watch_next", float(watch), 0.01) == ("timeout",)
    assert call("store_watch_cancel", float(watch)) is True
    assert call("store_watch_cancel", float(watch)) is False
    assert call("store_watch_next", watch, 5.0)[0] == "closed"


def test_a_compacted_watch_tells_from_where_on_it_can_be_had(
    call: Any, store: EmbeddedStore
) -> None:
    for _ in range(3):
        call("store_put", "/a", "")
    store.compact(3)
    watch, _, _ = call("store_watch_open", "/", 1)
    assert call("store_watch_next", watch, 5.0) == ("compacted", 3)


def test_closing_the_store_ends_watches_and_makes_calls_raise(
    call: Any, store: EmbeddedStore
) -> None:
    watch, _, _ = call("store_watch_open", "/", 0)
    store.close()
    assert call("store_watch_next", watch, 5.0) == ("closed", "the store was closed")
    with pytest.raises(StoreUnavailable):
        call("store_get", "/a")
