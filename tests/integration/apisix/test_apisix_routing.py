"""Which route a request takes, and how soon that follows the configuration."""

from collections.abc import Callable
from typing import Any

import pytest


def to(upstream: Any, **route: Any) -> dict[str, Any]:
    return {"upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}}, **route}


def marked(upstream: Any, mark: str, **route: Any) -> dict[str, Any]:
    """A route that shows its name in the response header X-Conf."""
    return to(upstream, plugins={"t-order": {"mark": mark}}, **route)


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], upstream: Any) -> Any:
    def route(**fields: Any) -> dict[str, Any]:
        return marked(upstream, "x", **fields)

    return module_start(
        {
            "routes/exact": route(uri="/a"),
            "routes/prefix": route(uri="/a/*"),
            "routes/longer": route(uri="/a/b/*"),
            "routes/colon": route(uri="/user/:id"),
            "routes/host": route(uri="/h", host="Foo.com"),
            "routes/wild": route(uri="/h", hosts=["*.foo.com", "bar.com"]),
            "routes/wilder": route(uri="/h", host="*.a.foo.com"),
            "routes/nohost": route(uri="/h"),
            "routes/onlyhost": route(uri="/only", host="foo.com"),
            "routes/get": route(uri="/m", methods=["GET"]),
            "routes/post": route(uri="/m", methods=["POST"]),
            "routes/vars": route(uri="/v", vars=[["arg_x", "==", "1"]], priority=5),
            "routes/novars": route(uri="/v"),
            "routes/func": route(
                uri="/f", filter_func="function(vars) return vars.arg_y == '2' end"
            ),
            "routes/addr": route(uri="/addr", remote_addrs=["10.0.0.0/8"]),
            "routes/off": route(uri="/off", status=0),
            "routes/two": route(uris=["/t1", "/t2"]),
            "services/s": {"hosts": ["Svc.com"], **to(upstream)},
            "routes/svc": {"uri": "/svc", "service_id": "s", "plugins": {"t-order": {}}},
        }
    )


def route_of(answer: Any) -> str | None:
    return str(answer.headers["X-Conf"]).split()[1] if answer.status == 200 else None


@pytest.mark.parametrize(
    ("path", "host", "winner"),
    [
        ("/a", "x.com", "exact"),
        ("/a/x", "x.com", "prefix"),
        ("/a/b/x", "x.com", "longer"),
        ("/user/1", "x.com", None),
        ("/user/:id", "x.com", "colon"),
        ("/h", "foo.com", "host"),
        ("/h", "FOO.com", "host"),
        ("/h", "foo.com:8080", "host"),
        ("/h", "x.foo.com", "wild"),
        ("/h", "x.a.foo.com", "wilder"),
        ("/h", "bar.com", "wild"),
        ("/h", "x.com", "nohost"),
        ("/only", "foo.com", "onlyhost"),
        ("/only", "x.com", None),
        ("/a", "foo.com", "exact"),
        ("/m", "x.com", "get"),
        ("/v?x=1", "x.com", "vars"),
        ("/v?x=2", "x.com", "novars"),
        ("/f?y=2", "x.com", "func"),
        ("/f", "x.com", None),
        ("/addr", "x.com", None),
        ("/off", "x.com", None),
        ("/t1", "x.com", "two"),
        ("/t2", "x.com", "two"),
        ("/svc", "svc.com", "svc&s"),
        ("/svc", "x.com", None),
    ],
)
def test_the_route_of_a_request(gateway: Any, path: str, host: str, winner: str | None) -> None:
    assert route_of(gateway.ask(path, host=host)) == winner


def test_the_method_chooses(gateway: Any) -> None:
    assert route_of(gateway.ask("/m", "POST")) == "post"
    assert gateway.ask("/m", "PUT").status == 404


def test_no_route_is_a_404_in_json(gateway: Any) -> None:
    answer = gateway.ask("/nowhere")
    assert (answer.status, answer.json) == (404, {"error_msg": "404 Route Not Found"})


def test_routes_come_change_and_go_while_the_gateway_runs(gateway: Any, upstream: Any) -> None:
    gateway.put("routes/new", marked(upstream, "1", uri="/new"))
    gateway.until(lambda: gateway.ask("/new").status == 200)
    gateway.put("routes/new", marked(upstream, "2", uri="/newer"))
    gateway.until(lambda: gateway.ask("/newer").status == 200)
    assert gateway.ask("/new").status == 404
    gateway.delete("routes/new")
    gateway.until(lambda: gateway.ask("/newer").status == 404)
    assert route_of(gateway.ask("/a")) == "exact"


def test_an_invalid_change_leaves_the_route_as_it_was(gateway: Any, upstream: Any) -> None:
    gateway.put("routes/keep", marked(upstream, "1", uri="/keep"))
    gateway.until(lambda: gateway.ask("/keep").status == 200)
    gateway.put("routes/keep", to(upstream, uri="/keep2", plugins={"t-order": {"count": -1}}))
    gateway.until(lambda: "failed to check the configuration of plugin t-order" in gateway.log())
    assert gateway.ask("/keep").status == 200
    assert gateway.ask("/keep2").status == 404


def test_a_route_follows_the_hosts_of_its_service(gateway: Any, upstream: Any) -> None:
    gateway.put("services/m", {"hosts": ["one.com"], **to(upstream)})
    gateway.put("routes/m", {"uri": "/moves", "service_id": "m"})
    gateway.until(lambda: gateway.ask("/moves", host="one.com").status == 200)
    gateway.put("services/m", {"hosts": ["two.com"], **to(upstream)})
    gateway.until(lambda: gateway.ask("/moves", host="two.com").status == 200)
    assert gateway.ask("/moves", host="one.com").status == 404


def test_many_changes_end_in_what_was_last_said(gateway: Any, upstream: Any) -> None:
    for i in range(150):
        gateway.put(f"routes/many-{i % 10}", marked(upstream, str(i), uri=f"/many/{i}"))
    for i in range(5):
        gateway.delete(f"routes/many-{i}")
    gateway.put("routes/mark", marked(upstream, "", uri="/mark"))
    gateway.until(lambda: gateway.ask("/mark").status == 200)
    alive = [i for i in range(130, 150) if gateway.ask(f"/many/{i}").status == 200]
    assert alive == [145, 146, 147, 148, 149]


@pytest.mark.parametrize("router", ["radixtree_uri", "radixtree_uri_with_parameter"])
def test_the_other_routers(start: Callable[..., Any], upstream: Any, router: str) -> None:
    gateway = start(
        {
            "routes/1": marked(upstream, "", uri="/h", host="*.foo.com"),
            "routes/2": marked(upstream, "", uri="/h"),
            "routes/3": marked(upstream, "", uri="/user/:id/x"),
        },
        {"apisix": {"router": {"http": router}}},
    )
    assert route_of(gateway.ask("/h", host="x.foo.com")) == "1"
    assert route_of(gateway.ask("/h")) == "2"
    with_parameters = router == "radixtree_uri_with_parameter"
    assert route_of(gateway.ask("/user/7/x")) == ("3" if with_parameters else None)


def test_options_for_the_path(start: Callable[..., Any], upstream: Any) -> None:
    gateway = start(
        {
            "routes/1": marked(upstream, "", uri="/a"),
            "routes/2": marked(upstream, "", uri="/x%2Fy"),
            "routes/3": marked(upstream, "", uri="/s/b"),
        },
        {
            "apisix": {
                "delete_uri_tail_slash": True,
                "match_uri_encoded_slash": True,
                "normalize_uri_like_servlet": True,
            }
        },
    )
    assert route_of(gateway.ask("/a/")) == "1"
    assert route_of(gateway.ask("/x%2fy")) == "2"
    assert gateway.ask("/s;p=1/b").json["path"] == "/s;p=1/b"
    assert gateway.ask("/s/..;/b").status == 400


def test_a_router_on_the_users_path_is_not_the_gateways(
    start: Callable[..., Any], upstream: Any, tmp_path: Any
) -> None:
    (tmp_path / "resty").mkdir()
    (tmp_path / "resty" / "radixtree.lua").write_text('error("of another gateway")')
    route = to(upstream, uri="/")
    gateway = start({"routes/1": route}, {"apisix": {"extra_lua_path": f"{tmp_path}/?.lua"}})
    assert gateway.ask("/").status == 200
    gateway.put("routes/2", {**route, "uri": "/new"})
    gateway.until(lambda: gateway.ask("/new").status == 200)
