"""core.etcd and the objects of core.config in a real worker, against each kind of store."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cycle_worker import following_store

from pygw.config.store import Store

Run = Callable[[str], Any]


@pytest.fixture
def run(store: Store, base: bytes, tmp_path: Path) -> Iterator[Run]:
    """Run a Lua function body in a task of the worker; its result comes back through JSON."""
    worker = following_store(tmp_path, store, base.decode().rstrip("/")).start()

    def execute(code: str) -> Any:
        worker.worker.runtime.execute(
            "probe.result = nil; ngx.timer.at(0, function()"
            " local core = require 'apisix.core'; local function body() " + code + "\nend"
            " probe.result = core.json.encode({ body() }) end)"
        )
        worker.until(lambda: worker("probe.result ~= nil"))
        return json.loads(worker("probe.result"))

    yield execute
    worker.stop()


def test_setting_and_getting_a_key(run: Run, store: Store, base: bytes) -> None:
    found = run(
        """
        local created = core.etcd.set("/x/1", { a = 1 })
        local changed = core.etcd.set("/x/1", { a = 2 })
        local res = core.etcd.get("/x/1")
        local node = res.body.node
        return created.status, changed.status, res.status, node.key, node.value.a,
            node.createdIndex, node.modifiedIndex, res.headers["X-Etcd-Index"],
            changed.body.node.value.a
        """
    )
    kv = store.get(base + b"x/1")[1]
    assert kv is not None
    assert kv.value == b'{"a":2}'
    assert found == [
        *(201, 200, 200, kv.key.decode(), 2),
        *(kv.create_rev, kv.mod_rev, str(kv.mod_rev), 2),
    ]


def test_getting_a_directory(run: Run) -> None:
    found = run(
        """
        core.etcd.set("/x/1", { n = 1 })
        core.etcd.set("/x/2", { n = 2 })
        local node = core.etcd.get("/x", true).body.node
        return node.dir, #node.nodes, node.nodes[1].value.n, node.nodes[2].value.n
        """
    )
    assert found == [True, 2, 1, 2]


def test_what_is_absent_is_a_404(run: Run) -> None:
    found = run(
        """
        local got, deleted = core.etcd.get("/none"), core.etcd.delete("/none")
        return got.status, got.body.message, deleted.status, deleted.body.message
        """
    )
    assert found == [404, "Key not found", 404, "Key not found"]


def test_deleting_keys_and_directories(run: Run, store: Store, base: bytes) -> None:
    found = run(
        """
        for _, key in ipairs{ "/x/1", "/x/2", "/y/1" } do
            core.etcd.set(key, {})
        end
        return core.etcd.delete("/y/1").status, core.etcd.rmdir("/x").status
        """
    )
    assert found == [200, 200]
    assert store.readdir(base)[1] == []


def test_atomic_set_refuses_what_has_changed(run: Run) -> None:
    found = run(
        """
        core.etcd.set("/x", { n = 1 })
        local index = core.etcd.get("/x").body.node.modifiedIndex
        local first = core.etcd.atomic_set("/x", { n = 2 }, nil, index)
        local second, err = core.etcd.atomic_set("/x", { n = 3 }, nil, index)
        return first.body.node.value.n, second == nil, err, core.etcd.get("/x").body.node.value.n
        """
    )
    assert found == [2, True, "value changed before overwritten", 2]


def test_pushed_items_get_ascending_ids(run: Run) -> None:
    first, second, status = run(
        """
        local one, two = core.etcd.push("/x", { n = 1 }), core.etcd.push("/x", { n = 2 })
        return one.body.node.value.id, two.body.node.value.id, one.status
        """
    )
    assert len(first) == 20
    assert first < second
    assert status == 201


def test_a_ttl_ends_a_key(run: Run, store: Store, base: bytes) -> None:
    watch = store.open_watch(base + b"x", 0)
    assert run("return core.etcd.set('/x', {}, 1).status") == [201]
    assert watch.next(10).events[0].type == "PUT"
    assert watch.next(10).events[0].type == "DELETE"


def test_a_ttl_begins_anew(run: Run) -> None:
    code = """
        local id = core.etcd.set("/x", {}, 60).body.lease_id
        local kept = core.etcd.keepalive(id).body.result
        core.etcd.delete("/x")
        return id == kept.ID, kept.TTL, core.etcd.set("/x", {}).body.lease_id == nil
    """
    assert run(code) == [True, "60", True]


def test_the_version_of_the_store(run: Run) -> None:
    found = run(
        """
        local object = core.config.fetch_created_obj("/things")
        return core.etcd.server_version().body.etcdserver, object:server_version().etcdcluster
        """
    )
    assert found[0] == found[1]
    assert any(char.isdigit() for char in found[0])


def test_an_object_reads_other_keys_until_it_is_closed(run: Run) -> None:
    found = run(
        """
        core.etcd.set("/info/1", { n = 5 })
        local object = assert(core.config.new())
        local res = object:getkey("/info/1")
        object:close()
        local none, err = object:getkey("/info/1")
        local _, err2 = object:server_version()
        return res.body.node.nodes[1].value.n, none == nil, err, err2
        """
    )
    assert found == [5, True, "stopped", "stopped"]


def test_a_store_that_is_gone_is_an_error_not_a_crash(run: Run, store: Store) -> None:
    store.close()
    found = run(
        """
        local answers = {}
        for _, call in ipairs{
            function() return core.etcd.get("/x") end,
            function() return core.etcd.get("/x", true) end,
            function() return core.etcd.set("/x", {}) end,
            function() return core.etcd.push("/x", {}) end,
            function() return core.etcd.atomic_set("/x", {}, nil, 1) end,
            function() return core.etcd.delete("/x") end,
            function() return core.etcd.rmdir("/x") end,
        } do
            local res, err = call()
            answers[#answers + 1] = res == nil and type(err)
        end
        return answers
        """
    )
    assert found == [["string"] * 7]
