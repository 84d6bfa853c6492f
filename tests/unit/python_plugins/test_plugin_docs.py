"""docs/python-plugins.md and docs/lua-plugins.md say what the code says."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pygw.extensions import services
from pygw.extensions.plugin_check import _ARGUMENTS, _GENERATOR, check_plugin
from pygw.extensions.schema import KINDS
from pygw.extensions.services import SharedDict
from pygw.plugin import (
    PHASES,
    Consumer,
    Context,
    Headers,
    Plugin,
    Request,
    Response,
    ResponseView,
    Route,
)

ROOT = Path(__file__).resolve().parents[3]
PYTHON = (ROOT / "docs/python-plugins.md").read_text()
LUA = (ROOT / "docs/lua-plugins.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_stands_there_with_its_arguments(phase: str) -> None:
    assert f"| `{phase}(self, {', '.join(_ARGUMENTS[phase])})` |" in PYTHON


def test_the_generator_stands_there_with_its_arguments() -> None:
    assert f"`body_filter(self, {', '.join(_GENERATOR)})`" in PYTHON


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


def test_the_plugins_of_the_page_are_plugins() -> None:
    found = []
    for block in blocks(PYTHON, "python"):
        namespace: dict[str, Any] = {"__name__": __name__}
        exec(block, namespace)
        found += [each for each in namespace.values() if isinstance(each, type)]
    classes = [each for each in found if issubclass(each, Plugin) and each is not Plugin]
    for each in classes:
        check_plugin(each)
    assert [each.__name__ for each in classes] == ["TeamHeader", "Shout", "TokenAuth", "Status"]


def _signature(function: Any) -> str:
    """As the page writes it: without self and types."""
    shown = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            name += _default(parameter) + ", /"
        elif parameter.kind is parameter.VAR_KEYWORD:
            name = f"**{name}"
        elif parameter.kind is parameter.VAR_POSITIONAL:
            name = f"*{name}"
        else:
            name += _default(parameter)
        shown.append(name)
    return f"({', '.join(shown)})"


def _default(parameter: inspect.Parameter) -> str:
    return "" if parameter.default is parameter.empty else f"={parameter.default!r}"


OFFERED = [
    *[
        (f'shared["name"].{name}', getattr(SharedDict, name))
        for name in public(SharedDict) - {"name"}
    ],
    *[(f"timer.{name}", getattr(services.timer, name)) for name in public(services.timer)],
    *[(f"metrics.{name}", getattr(services.metrics, name)) for name in public(services.metrics)],
    *[
        (name, getattr(kind, name))
        for kind in (services.Counter, services.Gauge, services.Histogram)
        for name in public(kind) - {"kind"}
    ],
    ("ctx.find_consumer", Context.find_consumer),
    ("ctx.attach_consumer", Context.attach_consumer),
    ("Route", Route),
]


@pytest.mark.parametrize(("name", "function"), OFFERED, ids=[name for name, _ in OFFERED])
def test_what_a_plugin_may_use_stands_there_with_its_arguments(name: str, function: Any) -> None:
    assert f"`{name}{_signature(function)}`" in PYTHON


def test_every_attribute_of_the_class_stands_there() -> None:
    for name in ("name", "version", "priority", *KINDS, "timeout", "on_timeout"):
        assert f"`{name}`" in PYTHON
    for name in ("api", "control_api", "init", "destroy"):
        assert f"`{name}(self)`" in PYTHON
    for name in ("attr", "metadata"):
        assert f"`self.{name}`" in PYTHON
    for each in dataclasses.fields(Consumer):
        assert f"`{each.name}`" in PYTHON or each.name == "handle"


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
