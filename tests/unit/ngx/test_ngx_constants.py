"""ngx's constants: nginx's numbers, and a null that is the one of every C library."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]


@pytest.mark.parametrize(
    ("name", "value"),
    [("OK", 0), ("ERROR", -1), ("AGAIN", -2), ("DONE", -4), ("DECLINED", -5),
     ("HTTP_GET", 2), ("HTTP_TRACE", 32768), ("HTTP_OK", 200), ("HTTP_CLOSE", 444),
     ("HTTP_INSUFFICIENT_STORAGE", 507), ("STDERR", 0), ("ERR", 4), ("DEBUG", 8)],
)  # fmt: skip
def test_constant(run_lua: RunLua, name: str, value: int) -> None:
    assert run_lua(f"return ngx.{name}") == value


def test_ngx_and_ndk_are_modules_too(run_lua: RunLua) -> None:
    assert run_lua('return require("ngx") == ngx, require("ndk") == ndk') == (True, True)


def test_null_is_a_light_userdata_that_is_not_nil(run_lua: RunLua) -> None:
    assert run_lua("return type(ngx.null), tostring(ngx.null), ngx.null == nil") == (
        "userdata",
        "userdata: NULL",
        False,
    )


def test_null_is_the_null_of_cjson(run_lua: RunLua) -> None:
    assert run_lua('return require("cjson").null == ngx.null')


def test_null_is_one_key_of_a_table(run_lua: RunLua) -> None:
    assert (
        run_lua('local t = {[ngx.null] = 1} return t[require("string.buffer").decode("\\3")]') == 1
    )
