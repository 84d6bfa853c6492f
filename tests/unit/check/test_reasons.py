"""The part of an item that a message of a check speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from pygw.check.reasons import part_of

LIMIT = "failed to check the configuration of plugin limit-count err: "


@pytest.mark.parametrize(
    ("message", "plugin", "path", "is_key"),
    [
        ('property "uri" is required', None, (), False),
        ('property "a" validation failed: property "b" validation failed: x', None, "ab", False),
        (
            'property "uris" validation failed: failed to validate item 2: x',
            None,
            ("uris", 1),
            False,
        ),
        ("additional properties forbidden, found urii", None, ("urii",), True),
        (LIMIT + 'property "count" is required', "limit-count", ("plugins", "limit-count"), False),
        (
            LIMIT + 'property "rules" validation failed: additional properties forbidden, found x',
            "limit-count",
            ("plugins", "limit-count", "rules", "x"),
            True,
        ),
        ("unknown plugin [a]", "a", ("plugins", "a"), True),
        ("invalid plugin conf 3 for plugin [a]", "a", ("plugins", "a"), False),
        ("failed to validate the 'vars' expression: x", None, ("vars",), False),
        ("failed to run 'script' string: x", None, (), False),
        ("expected unique items but items 1 and 3 are equal", None, (2,), False),
        ("a sentence of a plugin's own", "a", ("plugins", "a"), False),
    ],
)
def test_part_of(message: str, plugin: str | None, path: Any, is_key: bool) -> None:
    assert part_of(message, {"vars": []}, plugin) == (tuple(path), is_key)
