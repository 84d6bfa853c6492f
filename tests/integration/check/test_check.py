"""`pygw check`: what it says of plugins that can run, and of those that cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pygw.paths import PLUGINS_DIR

GOOD = """
local core = require "apisix.core"
local schema = { type = "object", properties = { n = { type = "integer" } } }
local _M = { version = 0.1, priority = 7, name = "good", schema = schema }
function _M.check_schema(conf) return core.schema.check(schema, conf) end
function _M.access(conf, ctx) core.response.set_header("X-N", conf.n) end
return _M
"""

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run `pygw check` in a directory of these files: check({name: source}, *arguments)."""

    def run(files: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        for name, source in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        return subprocess.run(
            [sys.executable, "-m", "pygw", "check", *(arguments or files)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def plugin(head: str = "", fields: str = "", body: str = "") -> str:
    """The source of a plugin "p" that is right but for what is put into it."""
    return f"""{head}
local _M = {{ version = 0.1, priority = 7, name = "p", schema = {{ type = "object" }} }}
for key, value in pairs {{ {fields} }} do _M[key] = value end
function _M.access(conf, ctx) {body} end
return _M
"""


def test_a_plugin_that_can_run(check: Check) -> None:
    result = check({"good.lua": GOOD})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "good  ok  good.lua; priority 7; version 0.1; access\n"


CORE = 'local core = require "apisix.core"'


@pytest.mark.parametrize(
    ("head", "body", "complaint"),
    [
        (
            CORE,
            "return core.request.heder(ctx)",
            "p.lua:4: core.request.heder does not exist here; did you mean core.request.header?",
        ),
        (CORE, "core.nothing.at_all()", "p.lua:4: core.nothing does not exist here"),
        (
            "local get = ngx.req.get_haeders\n",
            "get() get()",
            "p.lua:1: ngx.req.get_haeders does not exist here; did you mean"
            " ngx.req.get_headers? (also line 5)",
        ),
        ("", "undefined_function()", "p.lua:4: undefined_function is no global variable here"),
        ("", "tostrin(1)", "did you mean tostring?"),
        (
            "",
            'ngx.shared["my-dict"]:get("a")',
            "p.lua:4: no shared dictionary my-dict: declare it in"
            " nginx_config.http.custom_lua_shared_dict",
        ),
        (
            'local x = require "some.library"',
            "",
            "p.lua:1: no library some.library: give its tree with --lua-path, or name it in"
            " apisix.extra_lua_path",
        ),
        ("", 'require "some.library"', "p.lua:4: no library some.library"),
        ('local x = require "ngx.nothing"', "", "p.lua:1: pygw has no module ngx.nothing"),
        ('local ffi = require "ffi"', "ffi.C.nginx_fn()", 'ffi").C.nginx_fn does not exist here'),
        ("local x = = 1", "", "p.lua:1: unexpected symbol near '='"),
        ('error("no")', "", "p.lua:1: it does not load: no"),
    ],
)
def test_what_a_plugin_lacks(check: Check, head: str, body: str, complaint: str) -> None:
    result = check({"p.lua": plugin(head, body=body)})
    assert result.returncode == 1
    assert result.stdout.startswith("p  FAIL  p.lua")
    assert complaint in result.stdout


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("priority = false", "priority must be a number, it is false"),
        ("version = false", "version is missing"),
        ('name = "q"', 'name is "q", but by its file the plugin is called "p"'),
        ('schema = "x"', "schema must be a table, it is x"),
        (
            'schema = { type = "objct" }',
            "no valid JSON schema: schema.type: there is no type objct",
        ),
        (
            'schema = { type = "object", properties = { a = { type = "string", pattern = "(" } } }',
            "schema is no valid JSON schema: schema.properties.a.pattern: ",
        ),
        (
            'schema = { properties = { a = { minimum = "1" } } }',
            "schema.properties.a.minimum must be a number, it is a string",
        ),
        ("consumer_schema = { anyOf = 1 }", "consumer_schema is no valid JSON schema"),
        ("metadata_schema = 5", "metadata_schema must be a table, it is a number"),
        (
            'schema = { properties = { _meta = { type = "object" } } }',
            "schema has a property _meta, which is the gateway's on every plugin",
        ),
        ("log = true", "log must be a function, it is a boolean"),
        (
            "balancer = function() end",
            "balancer is no phase of a plugin, nothing calls it; before_proxy is one",
        ),
        (
            "check_schema = function(conf) return conf.a.b end",
            "check_schema raises an error on an empty configuration",
        ),
        (
            'init = function() error("not today") end',
            "the gateway does not take it: failed to init plugin [p] err: ",
        ),
    ],
)
def test_what_is_wrong_with_its_table(check: Check, fields: str, complaint: str) -> None:
    result = check({"p.lua": plugin(fields=fields)})
    assert result.returncode == 1
    assert complaint in result.stdout


def test_a_file_that_returns_no_table(check: Check) -> None:
    result = check({"p.lua": "return 5"})
    assert "the file must return the plugin's table, it returns a number" in result.stdout


@pytest.mark.parametrize(
    ("head", "end"),
    [
        ("while true do end", "it did not come to an end within 1 s while it was loaded"),
        ("os.exit(3)", "its process exited with 3 while it was loaded"),
        (
            'require("ffi").cast("int *", 0)[0] = 1',
            "its process was ended by SIGSEGV while it was loaded",
        ),
        ("ngx.sleep(1)", "p.lua:1: it does not load: attempt to yield across C-call boundary"),
    ],
)
def test_a_plugin_that_never_comes_back(check: Check, head: str, end: str) -> None:
    files = {"p.lua": plugin(head), "good.lua": GOOD}
    result = check(files, "p.lua", "good.lua", "--timeout", "1" if "while true" in head else "30")
    assert result.returncode == 1
    assert end in result.stdout
    assert "good  ok" in result.stdout
    assert result.stdout.endswith("1 of 2 plugins can run here\n")


def test_a_plugin_that_waits_when_it_begins(check: Check) -> None:
    result = check({"p.lua": plugin(fields="init = function() ngx.sleep(1) end")})
    assert result.returncode == 1
    assert "p.lua: it waits (for a socket, a timer or a process)" in result.stdout


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ('local ok, lib = pcall(require, "some.library")', "if ok then lib.go() end"),
        ("", "if ngx.nothing then ngx.nothing() end"),
        ("", "local f = ngx.nothing or print; f()"),
        ("", "return pcall(function() return ngx.nothing() end)"),
        ("my_own = {}", "my_own.f()"),
        (CORE, "core.my_own = print; core.my_own()"),
        ("", "ngx.var.anything = ngx.ctx.anything.more"),
    ],
)
def test_what_a_plugin_looks_after_itself(check: Check, head: str, body: str) -> None:
    result = check({"p.lua": plugin(head, body=body)})
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


def test_what_it_can_do_without_is_a_note(check: Check) -> None:
    head = 'local ok, lib = pcall(require, "some.library")\nlocal x = ngx.NOTHING'
    result = check({"p.lua": plugin(head)})
    assert result.returncode == 0
    assert "  note: p.lua:1: no library some.library" in result.stdout
    assert "  note: p.lua:2: ngx.NOTHING does not exist here" in result.stdout


def test_what_a_plugin_prints_is_not_in_the_way(check: Check) -> None:
    result = check({"p.lua": plugin('print("hello") io.stderr:write("hello")')})
    assert "hello" not in result.stdout + result.stderr


def test_the_parts_of_a_plugin_are_read_too(check: Check) -> None:
    files = {
        "p.lua": plugin('local part = require "apisix.plugins.p.part"', body="part.go()"),
        "p/part.lua": "local _M = {}\nfunction _M.go() ngx.nope() end\nreturn _M",
    }
    result = check(files, "p.lua")
    assert "  p/part.lua:2: ngx.nope does not exist here" in result.stdout
    files["p/part.lua"] = "return {}"  # a table that somebody will fill
    assert check(files, "p.lua").returncode == 0
    files["p/part.lua"] = "return { come = print }"
    assert 'require("apisix.plugins.p.part").go does not exist here' in check(files, "p.lua").stdout


def test_the_cause_is_told_and_once(check: Check) -> None:
    part = "apisix.plugins.p.part"
    body = f'require "{part}"'
    files = {
        "p.lua": plugin(f'local part = require "{part}"', body=body),
        "p/part.lua": 'error("no")',
    }
    result = check(files, "p.lua")
    assert "loop or previous error" not in result.stdout
    assert "p/part.lua:1: it does not load: no" in result.stdout


def test_parts_that_are_chosen_at_run_time_are_read_too(check: Check) -> None:
    files = {
        "p.lua": plugin(body='require("apisix.plugins.p.by-" .. conf.how)'),
        "p/by-one.lua": "ngx.nope()",
        "p/other.lua": "ngx.nope()",
    }
    result = check(files, "p.lua")
    assert "  p/by-one.lua:1: ngx.nope does not exist here" in result.stdout
    assert "other.lua" not in result.stdout


def test_a_directory_has_a_line_a_plugin(check: Check) -> None:
    files = {
        "all/good.lua": GOOD,
        "all/p.lua": plugin('local x = require "some.library"', body="ngx.nope() ngx.nope2()"),
        "all/inside/init.lua": GOOD.replace('"good"', '"inside"'),
        "all/part/init.lua": "return { shared = 1 }",
    }
    result = check(files, "all")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "all:",
        "  good    ok",
        "  inside  ok",
        "  p       FAIL  1 library missing, 2 names missing (some.library)",
        "2 of 3 plugins can run here",
    ]


def test_a_checkout_of_apisix_is_a_directory_too(check: Check) -> None:
    result = check({"tree/apisix/plugins/good.lua": GOOD}, "tree")
    assert result.stdout.splitlines()[0] == "tree/apisix/plugins:"


def test_libraries_come_from_the_lua_path(check: Check) -> None:
    files = {
        "p.lua": plugin(
            'local x = require "lib.one" local y = require "two"', body="x.go() y.go()"
        ),
        "tree/share/lua/5.1/lib/one.lua": "return { go = print }",
        "more/two.lua": "return { go = print }",
    }
    assert check(files, "p.lua").returncode == 1
    result = check(files, "p.lua", "--lua-path", "tree", "--lua-path", "./more/?.lua")
    assert result.returncode == 0, result.stdout


def test_the_configuration_counts(check: Check) -> None:
    files = {
        "config.yaml": "plugins: [good]\npygw: {plugin_dirs: [mine]}\n"
        "apisix: {extra_lua_path: './libs/?.lua'}\n"
        "nginx_config: {http: {custom_lua_shared_dict: {my-dict: 1m}}}\n",
        "mine/good.lua": GOOD,
        "p.lua": plugin('require "lib"', body='ngx.shared["my-dict"]:get("a")'),
        "libs/lib.lua": "return {}",
    }
    assert check(files, "p.lua").returncode == 0
    assert check(files, "good", "-c", "config.yaml").stdout.startswith("good  ok  mine/good.lua")
    assert check(files, "-c", "config.yaml").stdout.splitlines()[1:] == ["  good  ok"]


def test_nothing_is_left_where_it_runs(check: Check, tmp_path: Path) -> None:
    check({"good.lua": GOOD, "config.yaml": "plugins: [good]\n"}, "good.lua")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.yaml", "good.lua"]


def test_json_for_programs(check: Check) -> None:
    bad = plugin(body="ngx.nope()")
    result = check({"good.lua": GOOD, "p.lua": bad}, "good.lua", "p.lua", "--format", "json")
    answer: dict[str, Any] = json.loads(result.stdout)
    good, p = answer["plugins"]
    assert (answer["passed"], answer["failed"], result.returncode) == (1, 1, 1)
    assert good == {
        "name": "good",
        "ok": True,
        "priority": 7,
        "version": 0.1,
        "phases": ["access"],
        "file": "good.lua",
        "problems": [],
        "notes": [],
    }
    assert p["problems"] == [
        {
            "kind": "missing",
            "what": "ngx.nope",
            "where": "p.lua:4",
            "message": "ngx.nope does not exist here",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.lua"], "none.lua: no such file or directory"),
        (["good.txt"], "good.txt: a plugin's file ends in .lua"),
        (["empty"], "empty: no plugin there (NAME.lua or NAME/init.lua)"),
        (["key-aut"], "no Lua plugin is called key-aut; did you mean key-auth?"),
        (["good.lua", "--timeout", "0"], "Invalid value for '--timeout'"),
        (["--format", "xml"], "Invalid value for '--format'"),
    ],
)
def test_usage(check: Check, arguments: list[str], message: str) -> None:
    result = check({"good.lua": GOOD, "good.txt": "", "empty/readme": ""}, *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_gateway_that_cannot_start_is_not_the_plugins_fault(check: Check) -> None:
    files = {"good.lua": GOOD, "lib/jsonschema.lua": 'error("broken")'}
    result = check(files, "good.lua", "--lua-path", "./lib/?.lua")
    assert result.returncode == 1
    assert result.stderr.startswith("pygw: the gateway itself does not start: ")
    assert "broken" in result.stderr


def test_all_of_our_own_plugins_can_run(check: Check) -> None:
    result = check({}, str(PLUGINS_DIR))
    assert result.returncode == 0, result.stdout


def test_the_documentation_tells_what_happens(check: Check) -> None:
    text = (Path(__file__).parents[3] / "docs" / "checking-plugins.md").read_text()
    (source,) = re.findall(r"```lua\n(.*?)```", text, re.DOTALL)
    key_auth = (PLUGINS_DIR / "key-auth.lua").read_text()
    files = {"plugins/greet.lua": source, "plugins/key-auth.lua": key_auth}
    examples = re.findall(r"```\n\$ pygw check (\S+)\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for argument, output in examples:
        assert check(files, argument).stdout == output
