"""Plugins whose files change while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from support.gateway import Gateway, running_gateway

from pygw.testing.upstream import Upstream

PLUGIN = """
local core = require "apisix.core"
local schema = { type = "object", properties = { %(properties)s }, additionalProperties = false }
local _M = { version = 0.1, priority = %(priority)s, name = "%(name)s", schema = schema }
%(head)s
function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end
function _M.access(conf, ctx)
    %(access)s
end
return _M
"""


class Workshop:
    """A directory of plugins, and a gateway that watches it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.directory = base / "plugins"
        self.directory.mkdir()
        self.gateway: Gateway

    def write(self, name: str, access: str = "", **parts: Any) -> None:
        """Write the plugin; access: the body of its phase; parts: see PLUGIN."""
        values = {"head": "", "properties": "", "priority": 10, "name": name, **parts}
        (self.directory / f"{name}.lua").write_text(PLUGIN % {**values, "access": access})

    def says(self, path: str) -> str:
        """The body of the answer."""
        return self.gateway.ask(path).text.strip()

    def until_says(self, path: str, text: str) -> None:
        """Wait for that answer."""
        self.gateway.until(lambda: self.says(path) == text)

    def until_logged(self, text: str, times: int = 1) -> None:
        """Wait for that in the log."""
        self.gateway.until(lambda: self.gateway.log.count(text) >= times)


Open = Callable[..., Workshop]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def serve(shop: Workshop) -> Iterator[Callable[..., Gateway]]:
    """Start the gateway with these plugins."""
    upstream = Upstream()
    running: list[Any] = []

    def start(*names: str, **config: Any) -> Gateway:
        pygw = {"plugin_dirs": [str(shop.directory)], "watch_plugins": True}
        whole = {"plugins": [*names, "serverless-pre-function"], "pygw": pygw, **config}
        running.append(running_gateway(shop.base, upstream, whole))
        shop.gateway = running[-1].__enter__()
        return shop.gateway

    yield start
    for each in running:
        each.__exit__(None, None, None)
    upstream.stop()


def test_a_changed_plugin_runs_from_the_next_request_on(shop: Workshop, serve: Any) -> None:
    shop.write("greeting", 'return 200, "one"')
    path = serve("greeting").route({"greeting": {}})
    assert shop.says(path) == "one"
    shop.write("greeting", 'return 200, "two"')
    shop.until_says(path, "two")
    shop.write("greeting", 'return 200, "three"')
    shop.until_says(path, "three")
    assert f"plugin [greeting] is reloaded, changed: {shop.directory}/greeting.lua" in (
        shop.gateway.log
    )


def test_what_a_plugin_requires_belongs_to_it(shop: Workshop, serve: Any) -> None:
    part = shop.directory / "greeting"
    part.mkdir()
    (part / "word.lua").write_text('return require "apisix.plugins.greeting.deep" .. " word"')
    (part / "deep.lua").write_text('return "deep"')
    (part / "late.lua").write_text('return "late"')
    shop.write(
        "greeting",
        'return 200, word .. " " .. require "apisix.plugins.greeting.late"',
        head='local word = require "apisix.plugins.greeting.word"',
    )
    path = serve("greeting").route({"greeting": {}})
    assert shop.says(path) == "deep word late"
    (part / "deep.lua").write_text('return "deeper"')
    shop.until_says(path, "deeper word late")
    (part / "late.lua").write_text('return "later"')
    shop.until_says(path, "deeper word later")


def test_a_module_on_the_users_path_belongs_to_it_too(shop: Workshop, serve: Any) -> None:
    (shop.base / "libs").mkdir()
    library = shop.base / "libs" / "my_words.lua"
    library.write_text('return "one"')
    shop.write("greeting", "return 200, words", head='local words = require "my_words"')
    apisix = {"extra_lua_path": f"{shop.base}/libs/?.lua"}
    path = serve("greeting", apisix=apisix).route({"greeting": {}})
    assert shop.says(path) == "one"
    library.write_text('return "two"')
    shop.until_says(path, "two")


def test_other_plugins_keep_what_they_know(shop: Workshop, serve: Any) -> None:
    counting = {"head": "local n = 0", "priority": 11}
    shop.write("counter", "n = n + 1; ngx.ctx.n = n", **counting)
    shop.write("greeting", 'return 200, "one " .. ngx.ctx.n')
    path = serve("greeting", "counter").route({"greeting": {}, "counter": {}})
    assert shop.says(path) == "one 1"
    shop.write("greeting", 'return 200, "two"')
    shop.until_says(path, "two")
    shop.write("greeting", 'return 200, "more than two: " .. tostring(ngx.ctx.n > 2)')
    shop.until_says(path, "more than two: true")
    assert "plugin [counter]" not in shop.gateway.log


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("return {", "failed to load plugin [greeting] err: error loading module"),
        ('error("no way")', "greeting.lua:1: no way"),
        ("return {version = 1, schema = {}}", "invalid plugin [greeting], missing field: priority"),
        ("return 7", "invalid plugin [greeting] the module returned no table"),
    ],
)
def test_code_that_does_not_load_leaves_the_old_one(
    shop: Workshop, serve: Any, text: str, why: str
) -> None:
    shop.write("greeting", 'return 200, "one"')
    path = serve("greeting").route({"greeting": {}})
    (shop.directory / "greeting.lua").write_text(text)
    shop.until_logged("plugin [greeting] is not reloaded, the old code stays: ")
    assert why in shop.gateway.log
    assert shop.says(path) == "one"
    shop.write("greeting", 'return 200, "mended"')
    shop.until_says(path, "mended")


def test_a_schema_that_refuses_what_is_in_use_leaves_the_old_one(
    shop: Workshop, serve: Any
) -> None:
    shop.write("greeting", "return 200, conf.word", properties='word = { type = "string" }')
    path = serve("greeting").route({"greeting": {"word": "hello"}})
    shop.write("greeting", "return 200, conf.word .. 1", properties='word = { type = "number" }')
    shop.until_logged("plugin [greeting] is not reloaded, the old code stays: /apisix/routes/")
    refusal = "failed to check the configuration of plugin greeting err: property"
    assert f'{refusal} "word" validation failed' in shop.gateway.log
    assert shop.says(path) == "hello"


def test_an_init_that_fails_leaves_the_old_one(shop: Workshop, serve: Any) -> None:
    life = 'function _M.init() core.log.warn("%s begins") end'
    life += ' function _M.destroy() core.log.warn("%s ends") end'
    shop.write("greeting", 'return 200, "one"', head=life % ("old", "old"))
    path = serve("greeting").route({"greeting": {}})
    shop.write("greeting", 'return 200, "two"', head='function _M.init() error("not today") end')
    shop.until_logged("plugin [greeting] is not reloaded, the old code goes on: failed to init")
    assert "not today" in shop.gateway.log
    ends = shop.gateway.log.count("old ends")  # twice, if the file was noticed twice
    assert ends
    assert shop.gateway.log.count("old begins") == 1 + ends
    assert shop.says(path) == "one"


def test_new_defaults_reach_configurations_in_use(shop: Workshop, serve: Any) -> None:
    word = 'word = { type = "string", default = "%s" }'
    shop.write("greeting", "return 200, conf.word", properties=word % "one")
    gateway = serve("greeting")
    gateway.put("services/s", {"plugins": {"greeting": {}}})
    paths = [gateway.route({"greeting": {}}), gateway.route({}, service_id="s")]
    told = gateway.route({"greeting": {"word": "told"}})
    assert [shop.says(path) for path in [*paths, told]] == ["one", "one", "told"]
    shop.write("greeting", "return 200, conf.word", properties=word % "two")
    for path in paths:
        shop.until_says(path, "two")
    assert shop.says(told) == "told"


def test_no_request_is_dropped(shop: Workshop, serve: Any) -> None:
    shop.write("greeting", 'ngx.sleep(0.05) return 200, "word 0"')
    path = serve("greeting").route({"greeting": {}})
    seen: list[str] = []
    stop = False

    def ask() -> None:
        while not stop:
            seen.append(shop.says(path))

    askers = [gevent.spawn(ask) for _ in range(4)]
    for n in range(1, 6):
        shop.write("greeting", f'ngx.sleep(0.01) return 200, "word {n}"')
        shop.gateway.until(lambda wanted=f"word {n}": wanted in seen)  # type: ignore[misc]
    stop = True
    gevent.joinall(askers, raise_error=True)
    assert set(seen) == {f"word {n}" for n in range(6)}


def test_the_timers_of_the_old_code_end(shop: Workshop, serve: Any) -> None:
    timers = """
    local function again(premature)
        core.log.warn("again %(word)s ", premature)
        local ok, err = ngx.timer.at(0.01, again)
        core.log.warn(ok and "goes on %(word)s" or "ends %(word)s: ", err)
    end
    function _M.init()
        ngx.timer.every(0.01, function(premature)
            core.log.warn("every %(word)s ", premature)
        end)
        ngx.timer.at(0, again)
        ngx.timer.at(0, function()
            while not ngx.worker.exiting() do ngx.sleep(0.01) end
            core.log.warn("loop %(word)s is over")
        end)
    end
    """
    shop.write("greeting", head=timers % {"word": "old"})
    serve("greeting")
    shop.until_logged("every old false", 2)
    shop.write("greeting", head=timers % {"word": "new"})
    for text in ("every old true", "ends old: process exiting", "loop old is over"):
        shop.until_logged(text)
    marks = [shop.gateway.log.count(f"{word} old") for word in ("every", "again")]
    shop.until_logged("every new false", 5)
    shop.until_logged("goes on new", 5)
    assert [shop.gateway.log.count(f"{word} old") for word in ("every", "again")] == marks
    assert "loop new is over" not in shop.gateway.log


def test_a_plugin_that_could_not_be_loaded_may_be_mended(shop: Workshop, serve: Any) -> None:
    shop.write("other", 'return 200, "other"')
    (shop.directory / "greeting.lua").write_text("return {")
    serve("greeting", "other")
    assert "failed to load plugin [greeting]" in shop.gateway.log
    shop.write("greeting", 'return 200, "at last"')
    shop.until_logged("plugin [greeting] is loaded")
    path = shop.gateway.route({"greeting": {}})
    assert shop.says(path) == "at last"


def test_the_priority_may_change(shop: Workshop, serve: Any) -> None:
    shop.write("first", 'return 200, "first"', priority=20)
    shop.write("second", 'return 200, "second"', priority=10)
    path = serve("first", "second").route({"first": {}, "second": {}})
    assert shop.says(path) == "first"
    shop.write("second", 'return 200, "second"', priority=30)
    shop.until_says(path, "second")
