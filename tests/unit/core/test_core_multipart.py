"""The module multipart: forms taken apart and written again; Python's email parser agrees."""

import email.parser
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Run = Callable[..., Any]

BODY = (
    b"--x\r\n"
    b'Content-Disposition: form-data; name="a"\r\n\r\n'
    b"one\r\n"
    b"--x\r\n"
    b'content-disposition: form-data; name="f"; filename="name=x.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n"
    b"line 1\r\n\r\n--xx\r\nline --x 2\r\n"
    b"--x\r\n"
    b"Content-Disposition: form-data; name=a\r\n\r\n"
    b"two\r\n"
    b"--x--\r\nepilogue"
)
HEAD = 'local body, ct = ... local m = require("multipart")(body, ct)\n'
TYPE = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    "content_type", [TYPE, TYPE.replace("=x", '="x"'), TYPE + "; charset=utf-8"]
)
def test_parts(run_lua: Run, content_type: str) -> None:
    code = (
        HEAD
        + """
        local all, arrays = m:get_all(), m:get_all_with_arrays()
        return all.a, all.f, table.concat(arrays.a, ","), m:get("f").headers[2], m:get("none")
    """
    )
    assert run_lua(code, BODY, content_type) == (
        "two",
        "line 1\r\n\r\n--xx\r\nline --x 2",
        "one,two",
        "Content-Type: text/plain",
        None,
    )


def test_bare_line_feeds_are_line_ends(run_lua: Run) -> None:
    code = HEAD + "return m:get_all().a, m:get_all().f"
    assert run_lua(code, BODY.replace(b"\r\n", b"\n"), TYPE) == (
        "two",
        "line 1\n\n--xx\nline --x 2",
    )


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"", TYPE), (b"text", TYPE), (BODY, "multipart/form-data"), (BODY, None), (b"--x--", TYPE)],
)
def test_what_is_no_form_has_no_parts(run_lua: Run, body: bytes, content_type: str | None) -> None:
    assert run_lua(HEAD + "return next(m:get_all())", body, content_type) is None


def test_a_body_without_its_end_gives_its_last_part(run_lua: Run) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nval'
    assert run_lua(HEAD + "return m:get_all().a", body, TYPE) == "val"


def test_changes_are_written(run_lua: Run) -> None:
    code = (
        HEAD
        + 'm:delete("f") m:set_simple("a", "new") m:set_simple("b", "x\\r\\ny") return m:tostring()'
    )
    text = run_lua(code, BODY, TYPE)
    message = email.parser.BytesParser().parsebytes(
        b"Content-Type: " + TYPE.encode() + b"\r\n\r\n" + text.encode("latin-1")
    )
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in message.get_payload()
    ]
    assert parts == [("a", b"one"), ("a", b"new"), ("b", b"x\r\ny")]


def test_what_is_written_is_read_back(lua: Any) -> None:
    roundtrip = lua.eval(
        """
        function(value)
            local multipart = require("multipart")
            local m = multipart("", "multipart/form-data; boundary=x")
            m:set_simple("a", value)
            m:set_simple("b", "end")
            local again = multipart(m:tostring(), "multipart/form-data; boundary=x"):get_all()
            return again.a, again.b
        end
        """
    )

    @settings(max_examples=300, deadline=None)
    @given(st.text(alphabet="-x\r\n a", max_size=12))
    def check(value: str) -> None:
        lines = value.replace("\r\n", "\n").split("\n")
        if not any(line.startswith("--x") for line in lines):
            assert roundtrip(value) == (value, "end")

    check()
