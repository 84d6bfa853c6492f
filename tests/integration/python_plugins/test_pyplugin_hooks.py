"""The hooks of a gateway's life: its start and end, and every change of its configuration."""

from __future__ import annotations

import json
import os
from typing import Any

import gevent
import pytest
import yaml

from pygw.extensions.manager import ExtensionError

SEE = """
    import gevent
    changes, life = [], []

    @hookimpl
    def pygw_worker_start(worker_id):
        gevent.sleep(0)  # it may wait
        life.append(("start", worker_id, len(changes)))

    @hookimpl
    def pygw_worker_stop(worker_id):
        gevent.sleep(0)
        life.append(("stop", worker_id))

    @hookimpl
    def pygw_config_change(change):
        changes.append(change)
        react(change)

    def react(change):
        pass
"""
LIFE = """
    class Life(Plugin):
        name, priority = "t-life", 10
        schema = {"type": "object"}
        def init(self):
            gevent.sleep(0)
            life.append("init")
        def destroy(self):
            gevent.sleep(0)
            life.append("destroy")
        def access(self, conf, ctx):
            return Response(200, life)
"""


def told(gateway: Any) -> list[tuple[str, str, Any]]:
    """The changes so far, without what the gateway adds to values."""
    return [
        (change.directory, change.id, change.value and change.value.get("uri", change.value))
        for change in gateway.module.changes
    ]


def write(gateway: Any, key: str, value: Any) -> int:
    revision: int = gateway.store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
    return revision


def route(uri: str) -> dict[str, Any]:
    return {"uri": uri, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}


def test_a_workers_life_in_order(start: Any) -> None:
    gateway = start(SEE + LIFE, {"a": {"t-life": {}}})
    assert gateway.ask("/a").json == ["init", ["start", 0, 0]], "no change comes before the start"
    gateway.until(lambda: gateway.module.changes)
    module = gateway.module
    gateway.stop()
    assert module.life == ["init", ("start", 0, 0), "destroy", ("stop", 0)]


def test_what_is_there_at_the_start_comes_as_changes(start: Any) -> None:
    gateway = start(SEE, {"a": {}, "b": {}}, resources={"services/s": {"name": "x"}})
    gateway.until(lambda: len(gateway.module.changes) == 3)
    found = {(change.directory, change.id) for change in gateway.module.changes}
    assert found == {("/routes", "a"), ("/routes", "b"), ("/services", "s")}
    assert all(change.revision > 0 for change in gateway.module.changes)


def test_items_of_the_store_that_come_change_and_go(start: Any) -> None:
    gateway = start(SEE)
    revisions = [
        write(gateway, "routes/1", route("/one")),
        write(gateway, "routes/2", route("/two")),
        write(gateway, "routes/1", route("/changed")),
    ]
    gateway.store.delete(b"/apisix/routes/2")
    gateway.until(lambda: len(gateway.module.changes) == 4)
    assert told(gateway) == [
        ("/routes", "1", "/one"),
        ("/routes", "2", "/two"),
        ("/routes", "1", "/changed"),
        ("/routes", "2", None),
    ]
    assert [change.revision for change in gateway.module.changes][:3] == revisions
    assert gateway.module.changes[3].revision > revisions[-1]
    assert gateway.module.changes[0].value["upstream"]["type"] == "roundrobin"


def test_it_is_told_of_what_was_applied_only(start: Any) -> None:
    gateway = start(SEE)
    write(gateway, "routes/bad", {"uri": 1})
    write(gateway, "routes/good", route("/zoë"))
    gateway.until(lambda: gateway.module.changes)
    assert told(gateway) == [("/routes", "good", "/zoë")]


@pytest.mark.parametrize(
    ("directory", "value"),
    [
        ("services", {"name": "s"}),
        ("upstreams", {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}),
        ("consumers", {"username": "jack", "plugins": {}}),
        ("global_rules", {"id": "1", "plugins": {}}),
        ("plugin_metadata", {"id": "t-x"}),
        ("plugin_configs", {"id": "1", "plugins": {}}),
    ],
)
def test_every_directory_is_told_of(start: Any, directory: str, value: dict[str, Any]) -> None:
    gateway = start(SEE)
    name = value.get("username") or value.get("id", "1")
    write(gateway, f"{directory}/{name}", value)
    gateway.until(lambda: gateway.module.changes)
    [change] = gateway.module.changes
    assert (change.directory, change.id) == (f"/{directory}", name)
    assert {key: change.value[key] for key in value if key != "nodes"} == {
        key: value[key] for key in value if key != "nodes"
    }


def test_when_it_is_told_the_change_is_served(start: Any, upstream: Any) -> None:
    gateway = start(SEE)
    answers = []
    gateway.module.react = lambda change: answers.append(gateway.ask("/new").status)
    write(gateway, "routes/1", route("/new") | gateway_upstream(upstream))
    gateway.until(lambda: answers)
    assert answers == [200]


def gateway_upstream(upstream: Any) -> dict[str, Any]:
    return {"upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}}}


def test_a_hook_that_waits_delays_the_changes_behind_it_and_nothing_else(start: Any) -> None:
    gateway = start(SEE)
    gate = gevent.event.Event()
    gateway.module.react = lambda change: gate.wait()
    write(gateway, "routes/1", route("/one"))
    gateway.until(lambda: gateway.module.changes)
    write(gateway, "routes/2", route("/two"))
    gateway.until(lambda: gateway.ask("/two").status == 502)
    assert told(gateway) == [("/routes", "1", "/one")]
    gate.set()
    gateway.until(lambda: len(gateway.module.changes) == 2)


def test_a_hook_that_fails_is_logged_and_the_next_change_comes(start: Any, caplog: Any) -> None:
    gateway = start(SEE)

    def react(change: Any) -> None:
        if change.id == "1":
            raise LookupError("no luck")

    gateway.module.react = react
    write(gateway, "routes/1", route("/one"))
    write(gateway, "routes/2", route("/two"))
    gateway.until(lambda: len(gateway.module.changes) == 2)
    assert "a pygw_config_change hook failed on /routes/1" in caplog.text
    assert "LookupError: no luck" in caplog.text


YAML = {
    "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
    "plugins": [],
}


class Standalone:
    """apisix.yaml of a gateway."""

    def __init__(self, base: Any) -> None:
        self.path = base / "apisix.yaml"

    def write(self, **lists: Any) -> None:
        """Replace the file, as editors do."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(lists) + "#END\n")
        os.replace(fresh, self.path)


def item(name: str, uri: str) -> dict[str, Any]:
    return {"id": name, **route(uri)}


def test_items_of_apisix_yaml_that_come_change_and_go(start: Any, tmp_path: Any) -> None:
    file = Standalone(tmp_path)
    file.write(routes=[item("1", "/one"), item("2", "/two")], services=[{"id": "s"}])
    gateway = start(SEE, config=YAML)
    changes = gateway.module.changes
    gateway.until(lambda: len(changes) == 3)
    assert set(told(gateway)[:2]) == {("/routes", "1", "/one"), ("/routes", "2", "/two")}
    assert (changes[2].directory, changes[2].id) == ("/services", "s")
    assert {change.revision for change in changes} == {0}

    file.write(routes=[item("1", "/changed"), item("3", "/three")], services=[{"id": "s"}])
    gateway.until(lambda: len(changes) == 6)
    assert told(gateway)[3:] == [
        ("/routes", "2", None),
        ("/routes", "1", "/changed"),
        ("/routes", "3", "/three"),
    ]

    file.write()
    gateway.until(lambda: len(changes) == 9)
    gone = {(change.directory, change.id) for change in changes[6:]}
    assert gone == {("/routes", "1"), ("/routes", "3"), ("/services", "s")}
    assert [change.value for change in changes[6:]] == [None] * 3


def test_a_gateway_without_such_a_hook_does_not_ask_twice(start: Any) -> None:
    gateway = start(LIFE.replace("gevent.sleep(0)", "pass") + "    life = []\n", {"a": {}, "b": {}})
    gateway.until(lambda: gateway.ask("/b").status == 200)
    assert gateway.worker._changes._queue.empty()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            """
            @hookimpl
            def pygw_worker_start(worker_id):
                raise LookupError("no luck")
            """,
            r"a pygw_worker_start hook failed: LookupError: no luck \(.*plugins.py:\d+\)",
        ),
    ],
)
def test_a_start_that_a_plugin_spoils_is_no_start(start: Any, source: str, message: str) -> None:
    with pytest.raises(ExtensionError, match=message):
        start(source)


def test_an_end_that_a_plugin_spoils_is_an_end(start: Any, caplog: Any) -> None:
    gateway = start(
        """
        class Bad(Plugin):
            name, priority, schema = "t-bad", 1, {}
            def access(self, conf, ctx): pass
            def destroy(self): raise LookupError("no luck in destroy")

        @hookimpl
        def pygw_worker_stop(worker_id):
            raise LookupError("no luck in stop")
        """
    )
    gateway.stop()
    assert "no luck in destroy" in caplog.text
    assert "no luck in stop" in caplog.text
