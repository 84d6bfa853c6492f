"""ngx's times: all of them are read from the hub's clock."""

import ctypes
import datetime
import email.utils
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaError

Call = Callable[..., Any]
RunLua = Callable[..., Any]
PROPERTY = settings(max_examples=200, derandomize=True, deadline=None)

LAST_SECOND = 253402300799  # of the year 9999


@pytest.fixture
def cell(lua: Any) -> Any:
    """The hub's cell {wall, monotonic}, which the Lua side reads."""
    cell = (ctypes.c_double * 2)(1290079655.1239, 12.5)
    attach = lua.eval('require("server.clock").attach')
    attach(ctypes.addressof(cell), lambda: cell.__setitem__(0, cell[0] + 60))
    return cell


@pytest.fixture
def zone() -> Iterator[Callable[[str], None]]:
    """Set the process's time zone, and set it back."""
    before = os.environ.get("TZ")

    def use(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield use
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_the_cached_time_is_shown_until_it_is_updated(run_lua: RunLua, cell: Any) -> None:
    assert run_lua("return ngx.now(), ngx.time()") == (1290079655.123, 1290079655)
    assert run_lua("ngx.update_time() return ngx.now(), ngx.time()") == (1290079715.123, 1290079715)


def test_dates_follow_the_clock(run_lua: RunLua, cell: Any) -> None:
    assert run_lua("return ngx.utctime()") == "2010-11-18 11:27:35"
    cell[0] += 86400
    assert run_lua("return ngx.utctime()") == "2010-11-19 11:27:35"


def test_local_dates_are_in_the_time_zone(
    run_lua: RunLua, cell: Any, zone: Callable[[str], None]
) -> None:
    zone("XXX-14")
    assert run_lua("return ngx.localtime(), ngx.today()") == ("2010-11-19 01:27:35", "2010-11-19")
    cell[0] += 86400.0
    assert run_lua("return ngx.localtime(), ngx.today()") == ("2010-11-20 01:27:35", "2010-11-20")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ngx.http_time(1290079655)", "Thu, 18 Nov 2010 11:27:35 GMT"),
        ("ngx.http_time(0)", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("ngx.http_time(-5)", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("ngx.http_time(0/0)", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("ngx.http_time(1/0)", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("ngx.http_time(59.9)", "Thu, 01 Jan 1970 00:00:59 GMT"),
        ("ngx.cookie_time(1290079655)", "Thu, 18-Nov-10 11:27:35 GMT"),
        ("ngx.cookie_time(2145916799)", "Thu, 31-Dec-37 23:59:59 GMT"),
        ("ngx.cookie_time(2145916800)", "Fri, 01-Jan-2038 00:00:00 GMT"),
        ('ngx.parse_http_time("Thu, 18 Nov 2010 11:27:35 GMT")', 1290079655),
        ('ngx.parse_http_time("Thursday, 18-Nov-10 11:27:35 GMT")', 1290079655),
        ('ngx.parse_http_time("Thu Nov 18 11:27:35 2010")', 1290079655),
        ('ngx.parse_http_time("Mon Nov  1 00:00:00 2010")', 1288569600),
        ('ngx.parse_http_time("Thu, 31 Nov 2010 11:27:35 GMT")', None),
        ('ngx.parse_http_time("yesterday")', None),
        ('ngx.parse_http_time("")', None),
    ],
)
def test_result(run_lua: RunLua, code: str, expected: Any) -> None:
    assert run_lua(f"return {code}") == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('ngx.http_time("0")', "number argument only"),
        ("ngx.http_time(nil)", "number argument only"),
        ("ngx.cookie_time({})", "number argument only"),
        ("ngx.parse_http_time(0)", "string argument only"),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@PROPERTY
@given(st.integers(min_value=0, max_value=LAST_SECOND))
def test_dates_are_those_of_python(call: Call, seconds: int) -> None:
    date = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    expected = email.utils.format_datetime(date.replace(tzinfo=datetime.timezone.utc), usegmt=True)
    assert call("ngx.http_time", seconds) == expected
    assert call("ngx.parse_http_time", expected.encode()) == seconds
    assert call('require("ngx.api.civil").utc', seconds) == str(date)


@PROPERTY
@given(st.text(alphabet="Thu, 18-Nov2010:57 GMT", max_size=31))
def test_no_text_breaks_the_parser(call: Call, text: str) -> None:
    assert call("ngx.parse_http_time", text.encode()) is None or ":" in text
