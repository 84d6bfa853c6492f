"""Owns the table of what `pygw check` says of APISIX's plugins, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.apisix_plugins.groups import GROUPS

_BEGIN = "<!-- The reach: made by the command below. -->\n"
_END = "<!-- The end of the reach. -->\n"

Verdicts = Mapping[str, dict[str, Any]]


def lacking(verdict: dict[str, Any]) -> list[str]:
    """The libraries that a plugin wants and that are not there, if that is all it lacks."""
    kinds = {problem["kind"] for problem in verdict["problems"]}
    if kinds != {"library"}:
        return []
    return sorted({problem["what"] for problem in verdict["problems"]})


def lines(verdicts: Verdicts, lua_trees: bool) -> Iterator[str]:
    """The table in Markdown: a row a group, and each plugin that cannot run with the reason."""
    libraries = "with" if lua_trees else "without"
    yield f"| group, {libraries} a LuaRocks tree | plugins | pass | lack a library | fail |"
    yield "|---|---|---|---|---|"
    for name, group in [*GROUPS.items(), ("all", sum(GROUPS.values(), ()))]:
        mine = [verdicts[plugin] for plugin in group]
        passed = sum(verdict["ok"] for verdict in mine)
        lack = sum(bool(lacking(verdict)) for verdict in mine)
        yield f"| {name} | {len(mine)} | {passed} | {lack} | {len(mine) - passed - lack} |"
    yield ""
    for name, group in GROUPS.items():
        for plugin in group:
            if not verdicts[plugin]["ok"]:
                yield f"- {name}, {plugin}: {_reason(verdicts[plugin])}"


def _reason(verdict: dict[str, Any]) -> str:
    if libraries := lacking(verdict):
        return f"wants {', '.join(f'`{each}`' for each in libraries)}"
    needs = sorted({problem["what"] for problem in verdict["problems"]})
    return f"**fails**: {', '.join(f'`{each}`' for each in needs)}"


def write(path: Path, verdicts: Verdicts, lua_trees: bool) -> None:
    """Put the table where the document has its place; one made without trees stands beside."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    table = "\n".join(lines(verdicts, lua_trees)) + "\n"
    path.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", encoding="utf-8")
