"""nginx's own C functions, as Lua code of the field calls them by FFI."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]

ESCAPE = """
    local text, kind = ...
    local ffi = require "ffi"
    ffi.cdef "uintptr_t ngx_escape_uri(char *dst, const char *src, size_t size, int type);"
    local size = #text + 2 * ffi.C.ngx_escape_uri(nil, text, #text, kind)
    local buffer = ffi.new("unsigned char[?]", size + 1)
    ffi.C.ngx_escape_uri(buffer, text, #text, kind)
    return ffi.string(buffer, size)
"""


@pytest.mark.parametrize(
    ("kind", "text", "escaped"),
    [
        (0, b"/a b?c#d%&+;", b"/a%20b%3Fc%23d%25&+;"),
        (0, b"\x00\x1f\x7f\xc3\xa4~", b"%00%1F%7F%C3%A4~"),
        (0, b'<>"\\^`{|}', b"%3C%3E%22%5C%5E%60%7B%7C%7D"),
        (1, b"a b&c+d;e?/", b"a%20b%26c%2Bd%3Be%3F/"),
        (2, b"a-b_c.d~e/f:@", b"a-b_c.d~e%2Ff%3A%40"),
        (0, b"", b""),
    ],
)
def test_escape_uri(run_lua: RunLua, kind: int, text: bytes, escaped: bytes) -> None:
    assert run_lua(ESCAPE, text, kind).encode("latin-1") == escaped


def test_escaping_for_what_nobody_escapes_for_is_refused(run_lua: RunLua) -> None:
    with pytest.raises(Exception, match="ngx_escape_uri: type 5 is not supported"):
        run_lua(ESCAPE, b"a", 5)


def test_hexadecimal(run_lua: RunLua) -> None:
    code = """
        local ffi = require "ffi"
        ffi.cdef [[
            unsigned char *ngx_hex_dump(unsigned char *dst, const unsigned char *src, size_t len);
            intptr_t ngx_hextoi(unsigned char *line, size_t n);
        ]]
        local buffer = ffi.new("unsigned char[8]")
        local last = ffi.C.ngx_hex_dump(buffer, "\\1\\171\\255\\0", 4)
        local number, none = ffi.C.ngx_hextoi(buffer, 4), ffi.C.ngx_hextoi("xy", 2)
        return ffi.string(buffer, last - buffer), number, none
    """
    assert tuple(run_lua(code)) == ("01abff00", 0x01AB, -1)


def test_what_the_process_has_is_still_found_and_the_rest_is_not(run_lua: RunLua) -> None:
    code = """
        local ffi = require "ffi"
        ffi.cdef "int abs(int); int ngx_http_lua_ffi_of_no_module(int);"
        local found, err = pcall(function() return ffi.C.ngx_http_lua_ffi_of_no_module end)
        return ffi.C.abs(-3), found, err
    """
    value, found, error = run_lua(code)
    assert (value, found) == (3, False)
    assert "undefined symbol: ngx_http_lua_ffi_of_no_module" in error
