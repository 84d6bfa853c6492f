"""Plugins that do what they must not: the log names them, and everybody else goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.gateway import Gateway, running_gateway

from pygw.testing.messages import Answer
from pygw.testing.upstream import Upstream

PHASES = ("rewrite", "access", "before_proxy", "header_filter", "body_filter", "log")

# In the phase of its configuration it does what that says.
BAD = """
local core = require "apisix.core"
local deeds = {
    exits = function() ngx.exit(418) end,
    exits_again_and_again = function() for _ = 1, 1000 do pcall(ngx.exit, 418) end end,
    returns = function() return 418, "teapot" end,
    raises = function() error("broken on purpose") end,
    raises_a_table = function() error({ code = 1 }) end,
    raises_nothing = function() error() end,
    exits_with_nonsense = function() ngx.exit("nonsense") end,
    says_too_much = function() ngx.say("x") ngx.exit(200) ngx.say("y") end,
}
local text = { type = "string" }
local schema = { type = "object", properties = { deed = text, phase = text } }
local _M = { version = 0.1, priority = 10, name = "bad", schema = schema }
function _M.check_schema(conf) return core.schema.check(schema, conf) end
for phase in ("rewrite access before_proxy header_filter body_filter log"):gmatch("%S+") do
    _M[phase] = function(conf)
        if conf.phase == phase then return deeds[conf.deed]() end
    end
end
return _M
"""

# Tells that it was reached; it runs after the bad one.
GOOD = """
local core = require "apisix.core"
local _M = { version = 0.1, priority = 5, name = "good", schema = { type = "object" } }
function _M.check_schema() return true end
function _M.log(conf, ctx) core.log.warn("good has logged ", ctx.var.uri, " ", ngx.status) end
return _M
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    base = tmp_path_factory.mktemp("bad")
    plugins = base / "plugins"
    plugins.mkdir()
    (plugins / "bad.lua").write_text(BAD)
    (plugins / "good.lua").write_text(GOOD)
    upstream = Upstream()
    config = {"plugins": ["bad", "good"], "pygw": {"plugin_dirs": [str(plugins)]}}
    with running_gateway(base, upstream, config) as gateway:
        yield gateway
    upstream.stop()


@pytest.fixture(autouse=True)
def _it_outlives_the_test() -> Iterator[None]:
    from support.gateway import excuse

    yield
    excuse()


def ask(gateway: Gateway, phase: str, deed: str) -> tuple[str, Answer | None]:
    """One request to a new route where it does that; its answer is None when it was cut."""
    path = gateway.route({"bad": {"phase": phase, "deed": deed}, "good": {}})
    try:
        answer = gateway.ask(path)
    except (AssertionError, OSError, ValueError):
        answer = None
    gateway.until(lambda: f"good has logged {path} " in gateway.log)
    fine = gateway.ask(gateway.route({"good": {}}))
    assert (fine.status, fine.text) == (200, "hello")
    return path.strip("/"), answer


@pytest.mark.parametrize("deed", ["exits", "exits_again_and_again"])
@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
def test_an_exit_ends_the_request(gateway: Gateway, phase: str, deed: str) -> None:
    _, answer = ask(gateway, phase, deed)
    assert answer
    assert answer.status == 418


@pytest.mark.parametrize("deed", ["exits", "exits_again_and_again", "says_too_much"])
@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log"])
def test_an_exit_from_a_filter_harms_no_other_request(
    gateway: Gateway, phase: str, deed: str
) -> None:
    _, answer = ask(gateway, phase, deed)
    assert answer is None or answer.status in (200, 418, 500)


@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log"])
def test_a_status_returned_from_a_filter_is_told_once(gateway: Gateway, phase: str) -> None:
    before = gateway.log.count("which has no effect")
    route, answer = ask(gateway, phase, "returns")
    assert answer
    assert (answer.status, answer.text) == (200, "hello")
    assert (
        f"plugin [bad] failed in phase {phase} (route {route}): it returned 418, which has no"
        " effect: a request is answered in rewrite, access or before_proxy"
    ) in gateway.log
    gateway.ask(f"/{route}")
    assert gateway.log.count("which has no effect") == before + 1


@pytest.mark.parametrize("deed", ["raises", "raises_a_table", "raises_nothing"])
@pytest.mark.parametrize("phase", PHASES)
def test_an_error_names_plugin_phase_and_route(gateway: Gateway, phase: str, deed: str) -> None:
    route, answer = ask(gateway, phase, deed)
    assert f"plugin [bad] failed in phase {phase} (route {route}): " in gateway.log
    if phase == "log":
        assert answer
        assert answer.status == 200
    elif phase != "body_filter":
        assert answer
        assert answer.status == 500


@pytest.mark.parametrize("phase", PHASES)
def test_an_exit_that_is_none_is_an_error(gateway: Gateway, phase: str) -> None:
    route, _ = ask(gateway, phase, "exits_with_nonsense")
    assert f"plugin [bad] failed in phase {phase} (route {route}): " in gateway.log
    assert "bad argument #1 to 'exit' (number expected, got string)" in gateway.log


def test_a_refused_configuration_names_plugin_and_route(gateway: Gateway) -> None:
    told = gateway.complaint({"bad": {"deed": 5}})
    assert "failed to check item data of [/apisix/routes/" in told
    assert 'failed to check the configuration of plugin bad err: property "deed" validation' in told
