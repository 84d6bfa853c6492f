"""docs/configuration.md names every key that is checked, with the default that holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pygw.config.checks import Table
from pygw.config.schema import ROOT
from pygw.config.settings import defaults

DOCS = Path(__file__).parents[3] / "docs/configuration.md"
ROWS = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", DOCS.read_text(), re.MULTILINE))


def checked_keys(table: Table = ROOT, prefix: str = "") -> Iterator[str]:
    for key, check in table.keys.items():
        if isinstance(check, Table) and check.keys and key != "admin_listen":
            yield from checked_keys(check, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def default_of(key: str) -> Any:
    value: Any = defaults()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def test_every_checked_key_is_documented_and_no_other() -> None:
    assert {key for key in ROWS if "<" not in key} == set(checked_keys()) | {
        key for key in ROWS if key in ("traditional", "data_plane", "control_plane")
    }


@pytest.mark.parametrize("key", sorted(key for key in ROWS if "." in key))
def test_the_documented_default_holds(key: str) -> None:
    literal = re.fullmatch(r"`(.*)`", ROWS[key])
    if literal and not key.startswith("deployment.role_"):
        assert yaml.safe_load(literal[1]) == default_of(key)
    elif not ROWS[key]:
        assert default_of(key) is None
