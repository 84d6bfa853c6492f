"""The life of plugins: loading, metadata, APIs, replacement, the end; and that nothing piles up."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def to(upstream: Any) -> dict[str, Any]:
    return {"type": "roundrobin", "nodes": {upstream.node: 1}}


def order(answer: Any) -> list[str]:
    return str(answer.headers["X-Order"]).split()


def test_the_list_of_plugins_may_be_replaced(start: Callable[..., Any], to: Any) -> None:
    plugins = {"t-late": {}, "t-order": {}}
    gateway = start({"routes/1": {"uri": "/", "upstream": to, "plugins": plugins}})
    assert "t-order.rewrite" in order(gateway.ask("/"))
    gateway.put("plugins", [{"name": "t-late"}, {"name": "a-stream-plugin", "stream": True}])
    gateway.until(lambda: "t-order.rewrite" not in order(gateway.ask("/")))
    assert "t-order was destroyed" in gateway.log()
    assert "t-late.rewrite" in order(gateway.ask("/"))


@pytest.mark.parametrize(("administered", "runs"), [(True, True), (False, False)])
def test_the_stores_list_counts_at_start_only_without_an_admin_api(
    start: Callable[..., Any], to: Any, administered: bool, runs: bool
) -> None:
    route = {"uri": "/", "upstream": to, "plugins": {"t-late": {}, "t-order": {}}}
    resources = {"plugins": [{"name": "t-late"}], "routes/1": route}
    gateway = start(resources, {"apisix": {"enable_admin": administered}})
    assert ("t-order.rewrite" in order(gateway.ask("/"))) is runs


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("absent", "failed to load plugin [absent] err: "),
        ("t-syntax", "failed to load plugin [t-syntax] err: "),
        ("t-noversion", "invalid plugin [t-noversion] missing field: version"),
        ("t-nopriority", "invalid plugin [t-nopriority], missing field: priority"),
        ("t-noschema", "invalid plugin [t-noschema] schema field"),
        ("t-ownmeta", "invalid plugin [t-ownmeta]: found forbidden '_meta' field in the schema"),
        ("t-badinit", "failed to init plugin [t-badinit] err: "),
    ],
)
def test_a_bad_plugin_is_named_and_harms_no_other(
    start: Callable[..., Any], to: Any, name: str, complaint: str
) -> None:
    here = Path(__file__).parent
    dirs = [str(here / "plugins"), str(here / "broken_plugins")]
    gateway = start(
        {"routes/1": {"uri": "/", "upstream": to, "plugins": {"t-order": {}, name: {}}}},
        {"plugins": [name, "t-order"], "pygw": {"plugin_dirs": dirs}},
    )
    assert "t-order.rewrite" in order(gateway.ask("/"))
    assert complaint in gateway.log()


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], to: Any) -> Any:
    return module_start(
        {
            "plugin_metadata/t-meta": {"word": "one"},
            "routes/meta": {"uri": "/meta", "plugins": {"t-meta": {}}},
            "routes/api": {"uri": "/t-meta/*", "plugins": {"t-api": {}}},
            "routes/1": {"uri": "/1", "upstream": to, "plugins": {"t-order": {}}},
            "routes/time": {"uri": "/time", "upstream": to, "plugins": {"t-log": {}}},
            "services/s": {"upstream": to, "plugins": {"t-late": {}}},
            "consumers/j": {"username": "j", "plugins": {"t-auth": {"key": "j"}, "t-late": {}}},
        },
        {"plugin_attr": {"t-meta": {"colour": "red"}}},
    )


def test_a_plugin_sees_its_metadata_and_its_attributes(gateway: Any) -> None:
    told = gateway.ask("/meta").json
    assert told["metadata"] == {"word": "one", "n": 3, "id": "t-meta"}
    assert told["attr"] == {"colour": "red"}


def test_metadata_is_checked_and_follows_its_changes(gateway: Any) -> None:
    gateway.put("plugin_metadata/t-meta", {"word": 5})
    gateway.until(lambda: "failed to check the configuration of plugin t-meta" in gateway.log())
    assert gateway.ask("/meta").json["metadata"]["word"] == "one"
    gateway.put("plugin_metadata/t-meta", {"word": "two"})
    gateway.until(lambda: gateway.ask("/meta").json["metadata"]["word"] == "two")
    gateway.put("plugin_metadata/t-meta", {"word": "one"})
    gateway.until(lambda: gateway.ask("/meta").json["metadata"]["word"] == "one")


def test_the_api_of_a_plugin_is_reached_where_a_route_opens_it(gateway: Any) -> None:
    answer = gateway.ask("/t-meta/hello")
    assert (answer.status, answer.json) == (200, {"hello": "world"})
    assert answer.headers["Content-Type"].startswith("application/json")
    assert gateway.ask("/t-meta/other").status == 404


def test_a_configuration_is_given_its_defaults(gateway: Any) -> None:
    assert gateway.ask("/1").headers["X-Count"] == "7"


def test_a_logger_sees_how_long_the_upstream_took(gateway: Any) -> None:
    assert gateway.ask("/time").status == 200
    gateway.until(lambda: re.search(r"response time: \d\.\d{3}\b", gateway.log()))


def kept(gateway: Any) -> int:
    """How many configurations, plans and routes that requests have run with are still there.

    What is merged of a route, a service and a consumer hangs on them by weak keys, one below the
    other: each collection lets go of one level.
    """
    runtime = gateway.worker.worker.runtime
    runtime.execute("for _ = 1, 12 do collectgarbage() end")
    return int(runtime.eval("require('table.nkeys')(require('t_recorder').seen)"))


def test_replaced_configuration_is_not_kept(gateway: Any, to: Any) -> None:
    def change(n: int) -> None:
        plugins = {"t-auth": {}, "t-order": {"mark": f"m{n}"}}
        gateway.put("routes/r", {"uri": f"/r{n}", "service_id": "s", "plugins": plugins})
        gateway.put("services/s", {"upstream": to, "plugins": {"t-late": {"mark": f"s{n}"}}})
        own = {"t-auth": {"key": "j"}, "t-late": {"mark": f"c{n}"}}
        gateway.put("consumers/j", {"username": "j", "plugins": own})
        gateway.put("global_rules/g", {"id": "g", "plugins": {"t-once": {"mark": f"g{n}"}}})
        gateway.until(lambda: gateway.ask(f"/r{n}", X_User="j").status == 200)
        gateway.until(lambda: f"c{n}.access" in order(gateway.ask(f"/r{n}", X_User="j")))

    for n in range(10):
        change(n)
    before = kept(gateway)
    for n in range(10, 30):
        change(n)
    assert before <= kept(gateway) <= before + 5


def test_plugins_are_destroyed_when_the_worker_ends(start: Callable[..., Any], to: Any) -> None:
    gateway = start({"routes/1": {"uri": "/", "upstream": to, "plugins": {"t-order": {}}}})
    assert gateway.ask("/").status == 200
    assert "t-order was destroyed" not in gateway.log()
    gateway.worker.stop(False)
    gateway.until(lambda: "t-order was destroyed" in gateway.log())
