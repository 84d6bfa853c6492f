"""Owns the table of what `pygw check` says of APISIX's plugins, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.apisix_plugins.groups import GROUPS

# Those that want what pygw is not.
NEVER = {"gm": "wants Tongsuo, another TLS library, and says so as on every runtime without it"}

_END = "<!-- The end of it. -->\n"
_SHOWN = 3  # names that a reason has at most

Verdicts = Mapping[str, dict[str, Any]]


def lacking(verdict: dict[str, Any]) -> list[str]:
    """The libraries that a plugin wants and that are not there, if that is all it lacks."""
    kinds = {problem["kind"] for problem in verdict["problems"]}
    if kinds != {"library"}:
        return []
    return sorted({problem["what"] for problem in verdict["problems"]})


def lines(verdicts: Verdicts, lua_trees: bool) -> Iterator[str]:
    """The table in Markdown: a row a group, and each plugin that cannot run with the reason."""
    yield f"| group, {_which(lua_trees)} libraries | plugins | pass | lack a library | fail |"
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
        return f"wants {_listed(libraries)}"
    if verdict["name"] in NEVER:
        return NEVER[verdict["name"]]
    return f"**fails**: {', '.join(problem['what'] for problem in verdict['problems'])}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{each}`" for each in names[:_SHOWN])
    return f"{shown}, …" if names[_SHOWN:] else shown


def write(path: Path, verdicts: Verdicts, lua_trees: bool) -> None:
    """Put the table where the document has the place for it."""
    begin = f"<!-- The reach {_which(lua_trees)} libraries, as measured. -->\n"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    assert found, f"{path} has no line {begin}"
    after = rest.partition(_END)[2]
    table = "\n".join(lines(verdicts, lua_trees)) + "\n"
    path.write_text(f"{before}{begin}\n{table}\n{_END}{after}", encoding="utf-8")


def _which(lua_trees: bool) -> str:
    return "with" if lua_trees else "without"
