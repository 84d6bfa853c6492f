"""docs/plugins.md lists the plugins that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_plugin_is_listed_and_there() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text()
    listed = re.findall(r"^\| `([\w-]+)` \|", text, re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.stem for path in (ROOT / "plugins").glob("*.lua")}
