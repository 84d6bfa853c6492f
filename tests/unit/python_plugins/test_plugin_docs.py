"""docs/python-plugins.md and docs/lua-plugins.md say what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pygw.plugin import PHASES, Context, Headers, Plugin, Request, Response, ResponseView
from pygw.plugincheck import _ARGUMENTS, check_plugin

ROOT = Path(__file__).resolve().parents[3]
PYTHON = (ROOT / "docs/python-plugins.md").read_text()
LUA = (ROOT / "docs/lua-plugins.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_stands_there_with_its_arguments(phase: str) -> None:
    assert f"| `{phase}(self, {', '.join(_ARGUMENTS[phase])})` |" in PYTHON


def public(cls: type) -> set[str]:
    """The names that a class itself adds for its users."""
    names = {*vars(cls), *getattr(cls, "__slots__", ())}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize(
    ("cls", "prefix"),
    [(Context, "ctx."), (Request, "ctx.request."), (ResponseView, "ctx.response.")],
)
def test_every_part_of_the_context_stands_there(cls: type, prefix: str) -> None:
    for name in public(cls):
        assert re.search(rf"`{re.escape(prefix + name)}\b", PYTHON), prefix + name


def test_every_method_of_headers_plugins_and_answers_stands_there() -> None:
    for name in public(Headers):
        assert f"headers.{name}(" in PYTHON
    for name in ("init", "destroy"):
        assert f"`{name}(self)`" in PYTHON
    assert f"`Response({', '.join(_parameters(Response))})`" in PYTHON


def _parameters(cls: Any) -> list[str]:
    defaults = {"body": "body=None", "headers": "headers={}"}
    return [defaults.get(name, name) for name in inspect.signature(cls).parameters]


def test_the_plugin_of_the_page_is_a_plugin() -> None:
    plugin = blocks(PYTHON, "python")[0]
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(plugin, namespace)
    check_plugin(namespace["TeamHeader"])


def test_the_docstring_of_the_module_shows_a_plugin_too() -> None:
    from pygw import plugin

    assert plugin.__doc__
    source = inspect.cleandoc(plugin.__doc__.partition("\n\n    from")[2])
    namespace: dict[str, Any] = {"__name__": __name__}
    exec("from " + source, namespace)
    check_plugin(namespace["TeamHeader"])
    assert issubclass(namespace["TeamHeader"], Plugin)


def test_the_lua_plugin_of_the_pages_is_the_one_of_the_example() -> None:
    example = (ROOT / "examples/lua-plugin/plugins/greeting.lua").read_text()
    assert blocks(LUA, "lua") == [example]
    assert example in blocks((ROOT / "README.md").read_text(), "lua")
