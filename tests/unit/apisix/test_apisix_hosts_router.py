"""The router by host, then path, against a brute-force matcher on seeded random routes."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

HOSTS = ["a.com", "b.com", "x.a.com", "*.a.com", "*.com", "*.x.a.com", "*a.com"]
ASKED = ["a.com", "b.com", "x.a.com", "y.x.a.com", "ya.com", "c.org"]
PATHS = ["/", "/*", "/p", "/p*", "/p/*", "/p/q"]

DRIVER = """
local router = require("apisix.http.router.hosts")()
local routes = {}
local function add(id, path, priority, ...)
    routes[id] = {id = id, paths = path, priority = priority, metadata = id,
                  hosts = select("#", ...) > 0 and {...} or nil}
    router:add_route(routes[id])
end
local function remove(id)
    router:delete_route(routes[id])
    routes[id] = nil
end
local function match(path, host)
    local opts = {host = host, matched = {}}
    return router:match(path, opts), opts.matched._host
end
local function is_empty()
    return next(router.exact) == nil and router.any.size == 0
        and (router.wildcards.children == nil or next(router.wildcards.children) == nil)
end
return add, remove, match, is_empty
"""


@dataclass
class Route:
    id: int
    path: str
    hosts: list[str]
    priority: int

    def best_host(self, host: str) -> list[tuple[int, int]]:
        """The ranks of its hosts that fit: exact ones first, then the longest wildcards."""
        if not self.hosts:
            return [(2, 0)]
        fits = []
        for own in self.hosts:
            if own == host:
                fits.append((0, 0))
            elif own[0] == "*" and host.endswith(own[1:]):
                fits.append((1, -len(own)))
        return fits

    def matches(self, path: str) -> bool:
        return path.startswith(self.path[:-1]) if self.path[-1] == "*" else path == self.path

    def rank(self, host: str) -> list[tuple[Any, ...]]:
        exact = self.path[-1] != "*"
        return [
            (*fit, not exact, -len(self.path), -self.priority, self.id)
            for fit in self.best_host(host)
        ]


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_trying_every_route(lua: Any, seed: int) -> None:
    rng = random.Random(seed)
    add, remove, match, is_empty = lua.execute(DRIVER)
    routes: dict[int, Route] = {}
    for step in range(300):
        if routes and rng.random() < 0.4:
            gone = rng.choice(list(routes))
            del routes[gone]
            remove(gone)
        else:
            hosts = rng.sample(HOSTS, rng.choice([0, 1, 1, 2]))
            route = Route(step, rng.choice(PATHS), hosts, rng.choice([0, 0, 3]))
            routes[step] = route
            add(step, route.path, route.priority, *hosts)
        path, host = rng.choice(["/", "/p", "/p/q", "/pq", "/z"]), rng.choice(ASKED)
        ranks = [(rank, r.id) for r in routes.values() if r.matches(path) for rank in r.rank(host)]
        want = min(ranks)[1] if ranks else None
        assert match(path, host)[0] == want, (path, host)
    for route_id in routes:
        remove(route_id)
    assert is_empty()


def test_the_host_is_shown_as_it_was_configured(lua: Any) -> None:
    add, _, match, _ = lua.execute(DRIVER)
    add(1, "/", 0, "a.com", "*.b.com")
    assert match("/", "a.com") == (1, "a.com")
    assert match("/", "x.b.com") == (1, "*.b.com")
