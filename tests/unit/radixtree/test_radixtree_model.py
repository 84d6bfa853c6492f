"""The router against a brute-force matcher that tries every route, on seeded random routes."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

WORDS = ["a", "ab", "abc", "b", "api", "v1", "user", ""]
METHODS = ["GET", "POST", "PUT"]

DRIVER = """
local router = require("resty.radixtree").new({}, {no_param_match = ...})
local routes = {}
local function add(id, path, priority, method)
    routes[id] = {id = id, paths = path, priority = priority,
                  methods = method and {method} or nil, metadata = id}
    router:add_route(routes[id])
end
local function remove(id)
    router:delete_route(routes[id])
    routes[id] = nil
end
local function match(path, method)
    local opts = {method = method, matched = {}}
    return router:match(path, opts), opts.matched
end
return add, remove, match
"""


@dataclass
class Route:
    """One route and the brute-force reading of its path."""

    id: int
    path: str
    priority: int
    method: str | None
    params: bool
    seq: int = 0
    names: dict[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        return "*" not in self.path and not (self.params and ":" in self.path)

    @property
    def prefix(self) -> str:
        marks = "*:" if self.params and ":" in self.path else "*"
        cut = self.path.find(":" if ":" in marks else "*")
        return self.path if cut < 0 else self.path[:cut]

    def matches(self, path: str) -> bool:
        self.names = {}
        if self.exact:
            return path == self.path
        if not self.params and ":" in self.path:
            return path.startswith(self.prefix)
        wanted, given = self.path.split("/"), path.split("/")
        for i, part in enumerate(wanted):
            if part.startswith("*"):
                if i >= len(given):
                    return False
                self.names[part[1:] or ":ext"] = "/".join(given[i:])
                return True
            if part.endswith("*"):
                return "/".join(given[i:]).startswith(part[:-1]) and i < len(given)
            if i >= len(given):
                return False
            if part.startswith(":"):
                if not given[i]:
                    return False
                self.names[part[1:]] = given[i]
            elif part != given[i]:
                return False
        return len(wanted) == len(given)

    def rank(self) -> tuple[Any, ...]:
        return (not self.exact, -len(self.prefix), -self.priority, -len(self.path), self.seq)


def random_path(rng: random.Random, params: bool) -> str:
    parts = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
    if params:
        parts = [f":p{i}" if rng.random() < 0.3 else part for i, part in enumerate(parts)]
    path = "/" + "/".join(parts)
    ending = rng.random()
    if ending < 0.25:
        return path + "/*"
    if ending < 0.4:
        return path + "/*rest"
    if ending < 0.5 and ":" not in path:
        return path + "*"
    return path


def brute_force(routes: dict[int, Route], path: str, method: str) -> Route | None:
    found = [r for r in routes.values() if r.matches(path) and r.method in (None, method)]
    return min(found, key=Route.rank, default=None)


@pytest.mark.parametrize("params", [False, True], ids=["plain", "parameters"])
@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_trying_every_route(lua: Any, seed: int, params: bool) -> None:
    rng = random.Random(seed)
    add, remove, match = lua.execute(DRIVER, not params)
    routes: dict[int, Route] = {}
    for step in range(400):
        if routes and rng.random() < 0.35:
            gone = rng.choice(list(routes))
            del routes[gone]
            remove(gone)
        else:
            method = rng.choice([None, None, *METHODS])
            route = Route(
                step, random_path(rng, params), rng.choice([0, 0, 0, 5]), method, params, step
            )
            routes[step] = route
            add(step, route.path, route.priority, method)
        path = "/" + "/".join(rng.choice(WORDS) for _ in range(rng.randint(1, 5)))
        method = rng.choice(METHODS)
        want = brute_force(routes, path, method)
        got, matched = match(path, method)
        assert got == (want.id if want else None), (path, method, want)
        if want:
            captured = {k: v for k, v in dict(matched).items() if not k.startswith("_")}
            assert captured == ({} if want.exact else want.names), (path, want)


def test_matching_costs_the_path_not_the_number_of_routes(lua: Any) -> None:
    """Counted in bytecode instructions, which no busy machine disturbs."""
    few, many = lua.execute("""
        jit.off()
        local radixtree = require "resty.radixtree"
        local function cost(n)
            local router = radixtree.new({})
            for i = 1, n do
                local paths = {"/api/r" .. i .. "/*", "/:v/s" .. i .. "/:id"}
                router:add_route({paths = paths, metadata = i})
            end
            local count = 0
            debug.sethook(function() count = count + 1 end, "", 1)
            router:match("/api/r77/x")
            router:match("/q/s77/x")
            router:add_route({paths = "/api/r77z/*", metadata = 0})
            debug.sethook()
            return count
        end
        local few, many = cost(100), cost(20000)
        jit.on()
        return few, many
    """)
    assert many < few * 1.5
