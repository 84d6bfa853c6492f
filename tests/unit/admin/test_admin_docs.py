"""docs/admin-api.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pygw.admin.messages import MAX_BODY
from pygw.admin.resources import RESOURCES

DOC = (Path(__file__).parents[3] / "docs" / "admin-api.md").read_text()
METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]


def test_the_table_has_every_resource_with_its_methods() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z ]+) \|", DOC, re.MULTILINE)
    assert {name: methods.split() for name, methods in rows} == {
        name: [method for method in METHODS if method not in resource.unsupported]
        for name, resource in RESOURCES.items()
    }


def test_the_limit_of_a_body_is_told() -> None:
    assert f"{MAX_BODY / 1024 / 1024} MiB" in DOC
