"""What is refused of a plugin class, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from pygw.extensions.plugin_check import PluginError, check_plugin
from pygw.plugin import PHASES, Plugin


def make(**members: Any) -> type[Plugin]:
    """A plugin class that is good but for `members`; a member None is left out."""

    def access(self: Any, conf: Any, ctx: Any) -> None: ...

    good: dict[str, Any] = {"name": "t-x", "priority": 1, "schema": {}, "access": access}
    chosen = {key: value for key, value in {**good, **members}.items() if value is not None}
    return type("Made", (Plugin,), chosen)


def test_a_good_one_passes() -> None:
    check_plugin(make())
    check_plugin(make(priority=1.5, version="1.2.3", name="a.b_c-1"))


async def coroutine(self: Any, conf: Any, ctx: Any) -> None: ...


async def async_generator(self: Any, conf: Any, ctx: Any) -> Any:
    yield


def generator(self: Any, conf: Any, ctx: Any) -> Any:
    yield


def too_few(self: Any, conf: Any) -> None: ...


def too_many(self: Any, conf: Any, ctx: Any, more: Any) -> None: ...


def any_number(self: Any, *args: Any) -> None: ...


def chunked(self: Any, conf: Any, ctx: Any, chunk: bytes, last: bool) -> bytes:
    return chunk


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "`name` must be letters, digits, `-`, `_` and `.`, not None"),
    ({"name": ""}, "`name` must be letters, digits, `-`, `_` and `.`, not ''"),
    ({"name": "a b"}, "`name` must be letters, digits, `-`, `_` and `.`, not 'a b'"),
    ({"name": 7}, "`name` must be letters, digits, `-`, `_` and `.`, not 7"),
    ({"priority": None}, "`priority` must be a number, not None"),
    ({"priority": "1"}, "`priority` must be a number, not '1'"),
    ({"priority": True}, "`priority` must be a number, not True"),
    ({"version": []}, "`version` must be a number, not []"),
    (
        {"schema": None},
        "`schema` must be a JSON Schema, a dict, or a msgspec Struct or pydantic type, not None",
    ),
    (
        {"schema": "{}"},
        "`schema` must be a JSON Schema, a dict, or a msgspec Struct or pydantic type, not '{}'",
    ),
    ({"schema": {"enum": {1}}}, "`schema` is no JSON: Object of type set is not JSON serializable"),
    ({"schema": {"properties": {"_meta": {}}}}, "`schema` must not define `_meta`: every plugin"),
    ({"access": None}, "it has no phase: define at least one of rewrite, access, before_proxy, h"),
    ({"access": 7}, "`access` must be a method, not 7"),
    ({"access": coroutine}, "`access` is `async def`, and no asyncio loop runs here: write `def`"),
    ({"access": async_generator}, "`access` is `async def`, and no asyncio loop runs here"),
    ({"access": generator}, "`access` has a `yield`, so calling it would do nothing: return ins"),
    ({"access": too_few}, "must take `access(self, conf, ctx)`"),
    ({"access": too_many}, "must take `access(self, conf, ctx)`"),
    ({"access": chunked}, "must take `access(self, conf, ctx)`"),
    ({"body_filter": any_number, "log": too_few}, "must take `log(self, conf, ctx)`"),
    ({"body_filter": lambda self, conf, ctx: None}, "`body_filter(self, conf, ctx, chunk, last)`"),
]


@pytest.mark.parametrize(("members", "message"), FAULTS, ids=[text for _, text in FAULTS])
def test_a_fault_is_named_with_the_class_and_its_file(
    members: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError) as raised:
        check_plugin(make(**members))
    assert str(raised.value).startswith(f"plugin Made ({__file__}): ")
    assert message in str(raised.value)


@pytest.mark.parametrize("function", [any_number, chunked])
def test_arguments_may_have_any_names(function: Any) -> None:
    check_plugin(make(body_filter=function))


@pytest.mark.parametrize("given", [7, "plugin", dict, object(), Plugin])
def test_what_is_no_plugin_class_at_all_is_refused(given: Any) -> None:
    with pytest.raises(PluginError):
        check_plugin(given)


def test_the_phases_of_a_class_are_those_it_or_its_bases_define() -> None:
    base = make(log=any_number)
    derived = type("Derived", (base,), {"rewrite": any_number, "helper": any_number})
    assert derived.phases() == ["rewrite", "access", "log"]
    assert set(derived.phases()) < set(PHASES)
