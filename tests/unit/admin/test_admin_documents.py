"""JSON documents: strictly read, merged as RFC 7396 says, patched at a path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygw.admin.documents import PathError, merge, patch, read, write

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read(write(value)) == value


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        value = read(text)
    except ValueError:
        return
    assert read(write(value)) == value


def rfc7396(target: Any, change: Any, *, inside: bool = False) -> Any:
    """The algorithm of the RFC, word by word, but for an empty object inside: it replaces."""
    if not isinstance(change, dict) or (inside and not change):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = rfc7396(result.get(name), value, inside=True)
    return result


@given(OBJECTS, OBJECTS)
def test_merge_is_nearly_that_of_the_rfc_and_changes_no_argument(
    document: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = json.dumps([document, changes])
    assert merge(document, changes) == rfc7396(document, changes)
    assert json.dumps([document, changes]) == before


def test_patch_makes_the_way_and_changes_no_argument() -> None:
    document = {"a": {"b": 1}, "l": [1]}
    assert patch(document, "a/c/d", 2) == {"a": {"b": 1, "c": {"d": 2}}, "l": [1]}
    assert patch(document, "a/b", None) == {"a": {}, "l": [1]}
    assert patch(document, "x", None) == document
    assert document == {"a": {"b": 1}, "l": [1]}


@pytest.mark.parametrize(("path", "where"), [("a/b/c", "a/b"), ("l/0", "l"), ("a/b/c/d", "a/b")])
def test_patch_stops_at_what_is_no_object(path: str, where: str) -> None:
    with pytest.raises(PathError) as caught:
        patch({"a": {"b": 1}, "l": [1]}, path, 2)
    assert str(caught.value) == where


def test_numbers_and_letters_stay_as_they_are() -> None:
    text = '{"big":12345678901234567890,"f":0.1,"s":"ü/☃"}'.encode()
    assert write(read(text)) == text
