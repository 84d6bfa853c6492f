"""apisix.core.string."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
HEAD = 'local s = require("apisix.core.string")\n'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('s.has_prefix("/apisix/admin", "/apisix")', True),
        ('s.has_prefix("/api", "/apisix")', False),
        ('s.has_prefix("x", "")', True),
        ('s.has_suffix("a.lua", ".lua")', True),
        ('s.has_suffix("a.lua", "lub")', False),
        ('s.has_suffix("x", "")', True),
        ('s.find("a.b", ".")', (2, 2)),
        ('s.find("a.b.c", ".", 3)', (4, 4)),
        ('s.find("abc", "d")', None),
        ('s.rfind_char("a:b:c", ":")', 4),
        ('s.rfind_char("a:b:c", ":", 3)', 2),
        ('s.rfind_char("abc", ":")', None),
        ('s.upper("a")', "A"),
        ('s.compress_script("  a(b,   c)\\n    d")', "a(b,c)\nd"),
        ('s.encode_args({a = "1 2"})', "a=1%202"),
        ('s.decode_args("a=1%202").a', "1 2"),
    ],
)
def test_result(run_lua: Run, expression: str, expected: Any) -> None:
    assert run_lua(HEAD + "return " + expression) == expected


def test_all_arguments_are_decoded(run_lua: Run) -> None:
    many = "&".join(f"k{i}=v" for i in range(250))
    assert run_lua(HEAD + "return s.decode_args(...).k249", many) == "v"


@pytest.mark.parametrize("function", ["has_prefix", "has_suffix"])
def test_affixes_of_what_is_no_string_raise(run_lua: Run, function: str) -> None:
    ok, message = run_lua(HEAD + f'return pcall(s.{function}, nil, "x")')
    assert not ok
    assert "unexpected type: s:nil" in message
