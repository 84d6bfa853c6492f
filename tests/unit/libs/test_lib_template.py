"""resty.template: tags, escapes, blocks, layouts, where views come from, what is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def render(run_lua: Run) -> Callable[..., str]:
    """render(view, context="{}"): the text; context: a Lua table."""
    code = """
        local view, context = ...
        local template = require "resty.template"
        return template.process_string(view, context and loadstring("return " .. context)() or nil)
    """
    return lambda view, context="{}": str(run_lua(code, view, context))


@pytest.mark.parametrize(
    ("view", "context", "text"),
    [
        ("plain", "{}", "plain"),
        ("", "{}", ""),
        ("a {{name}} b", '{ name = "x" }', "a x b"),
        (
            "{{ name }}",
            """{ name = "<a href='/'>\\"&" }""",
            "&lt;a href=&#39;&#47;&#39;&gt;&quot;&amp;",
        ),
        ("{*name*}", '{ name = "<b>" }', "<b>"),
        ("{{none}}|{*none*}", "{}", "|"),
        ("{{f}}", "{ f = function() return function() return 7 end end }", "7"),
        ("{{n + 1}} {{context.n}}", "{ n = 41 }", "42 41"),
        ("{{ string.upper(name) }}", '{ name = "x" }', "X"),
        ("{% for i = 1, 3 do %}{{i}},{% end %}", "{}", "1,2,3,"),
        ("a\n  {% if yes then %}\nb\n  {% end %}\nc", "{ yes = true }", "a\nb\nc"),
        ("{% echo(1, 'a', true) %}", "{}", "1atrue"),
        ("a{# {{no}} #}b{# x #}\nc", "{}", "abc"),
        ("{(<{{name}}>)}", '{ name = "x" }', "<x>"),
        ("{(<{{name}}>, { name = 'y' })}", '{ name = "x" }', "<y>"),
        ("{['<' .. 'i' .. '>']}", "{}", "<i>"),
        ("{-raw-}{{name}}{% x %}{-raw-}", "{}", "{{name}}{% x %}"),
        ("{-verbatim-}\n{*a*}\n{-verbatim-}\nend", "{}", "{*a*}\nend"),
        ("{-aside-}\n<{{name}}>\n{-aside-}\n[{*blocks.aside*}]", '{ name = "x" }', "[<x>]"),
        ("{-open {{name}}", '{ name = "x" }', "{-open x"),
        (r"\{{name}}", '{ name = "x" }', "{{name}}"),
        (r"\\{{name}}", '{ name = "x" }', "\\x"),
        (r"\{%x%} \{#y#}", "{}", "{%x%} {#y#}"),
        ("{{open", "{}", "{{open"),
        ("{ x } {", "{}", "{ x } {"),
        (']=]]] " \\ \r\n {{1}}', "{}", ']=]]] " \\ \r\n 1'),
    ],
)
def test_views(render: Callable[..., str], view: str, context: str, text: str) -> None:
    assert render(view, context) == text


def test_a_layout_is_around_the_view(render: Callable[..., str]) -> None:
    view = '{% layout = "<<{*view*}|{{name}}|{*blocks.b*}>>" %}{-b-}B{-b-}in {{name}}'
    assert render(view, '{ name = "x" }') == "<<in x|x|B>>"


def test_objects_with_layouts(run_lua: Run) -> None:
    code = """
        local template = require "resty.template"
        local view = template.new("{{title}}", "[{*view*}]")
        view.title = "t"
        local whole = template.new("({*view*})")
        local nested = template.new("{{title}}", whole)
        nested.title = "n"
        return tostring(view), view:process{ title = "u" }, tostring(nested)
    """
    assert run_lua(code) == ("[t]", "[u]", "(n)")


def test_rendering_prints(run_lua: Run) -> None:
    code = """
        local template, said = require "resty.template", {}
        template.print = function(text) said[#said + 1] = text end
        template.render("{{a}}", { a = 1 })
        template.render_string("{{a}}", { a = 2 })
        template.new("{{a}}"):render{ a = 3 }
        return table.concat(said, ",")
    """
    assert run_lua(code) == "1,2,3"


def test_what_is_kept(run_lua: Run) -> None:
    code = """
        local template = require "resty.template"
        local function known(...) return (select(2, template.compile(...))) end
        local seen = { known("v"), known("v"), known("w", "v"), known("x", "no-cache"), known("x") }
        template.caching(false)
        seen[6], seen[7] = known("y"), known("y")
        template.cache = {}
        seen[8] = template.caching(true) and known("v")
        for i, each in ipairs(seen) do seen[i] = tostring(each) end
        return table.concat(seen, " ")
    """
    assert run_lua(code) == "false true true false false false false false"


def test_a_view_does_not_see_another_rendering(run_lua: Run) -> None:
    code = """
        local template = require "resty.template"
        local render = template.compile("{% mine = mine or n %}{{mine}}{{inner()}}{{n}}")
        local depth = 0
        local function inner()
            depth = depth + 1
            return depth == 1 and render{ n = 2, inner = inner } or ""
        end
        return render{ n = 1, inner = inner }, rawget(_G, "mine")
    """
    assert run_lua(code) == ("1221", None)


def test_files(run_lua: Run, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{(part.html)} {{n}}")
    (tmp_path / "part.html").write_text("part {{n}}")
    code = """
        local template = require("resty.template").new()
        template.root = ...
        local ok, err = pcall(template.compile_file, "none.html")
        return template.process("a.html", { n = 1 }), template.process_file("/a.html", { n = 2 }),
            template.process("none {{n}}", { n = 3 }), ok,
            (err:find("No such file", 1, true) ~= nil)
    """
    expected = ("part 1 1", "part 2 2", "none 3", False, True)
    assert run_lua(code, str(tmp_path)) == expected


def test_precompiled(run_lua: Run, tmp_path: Path) -> None:
    path = tmp_path / "view.bin"
    code = """
        local template = require "resty.template"
        local directory = ...
        template.root = directory
        local bytecode = template.precompile_string("{{n}}!", directory .. "/view.bin")
        return template.process(bytecode, { n = 1 }), template.process_file("view.bin", { n = 2 })
    """
    assert run_lua(code, str(tmp_path)) == ("1!", "2!")
    assert path.stat().st_size > 0


def test_visitors(run_lua: Run) -> None:
    code = """
        local template = require("resty.template").new()
        template.visit(function(content, tag)
            return tag == "{" and content .. " * 2" or content:upper()
        end)
        return template.process_string("a{{n}}", { n = 4 })
    """
    assert run_lua(code) == "A8"


def test_escaping_braces_too(run_lua: Run) -> None:
    code = 'return require("resty.template").escape("{<}", true)'
    assert run_lua(code) == "&#123;&lt;&#125;"


def test_errors_raise_or_are_returned(run_lua: Run) -> None:
    code = """
        local template, safe = require "resty.template", require "resty.template.safe"
        local none, why = safe.compile("{% if %}")
        local object = safe.new("{{nil .. 1}}")
        local failed, err = object:process()
        local raised = not pcall(template.compile, "{% if %}")
        local _, nothing = pcall(template.compile)
        return raised, none, type(why), tostring(object), failed, type(err),
            safe.process_string("{{1}}"), nothing
    """
    *others, nothing = run_lua(code)
    assert others == [True, None, "string", "", None, "string", "1"]
    text = "view was not provided for template.compile(view, cache_key, plain)"
    assert nothing.endswith(text)
