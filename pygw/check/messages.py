"""Owns the sentences of `pygw check`: each says what, where, and what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pygw.check.model import Problem, Target
from pygw.check.reach import Path as NamePath
from pygw.check.tokens import LuaSyntaxError

_OURS = re.compile(r"(apisix|ngx|resty\.core|resty\.apisix)(\.|$)")
_LINES_SHOWN = 5
_AT = re.compile(r"^(?P<file>/?[^:\n]+\.lua):(?P<line>\d+): (?P<text>.*)", re.DOTALL)
_NO_C_LIBRARY = re.compile(r"([^\s:]+\.so[.\d]*): cannot open shared object file")


def shown(file: Path) -> str:
    """A path as short as it can be said from here."""
    relative = os.path.relpath(file)
    return str(file) if relative.startswith("..") else relative


def _place(file: Path, line: int) -> str:
    return f"{shown(file)}:{line}"


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].rstrip(":")


def unreadable(file: Path, error: LuaSyntaxError) -> Problem:
    """A part of the plugin is not Lua."""
    return Problem("load", str(error), _place(file, error.line), str(error))


def no_module(module: str, failure: dict[str, Any], file: Path, line: int) -> Problem:
    """A module that is required does not load. failure: lua/apisix/check/loading.lua's."""
    place = _place(file, line)
    missing = failure.get("missing")
    if missing is None:
        return _broken_module(module, failure["text"], place)
    through = "" if missing == module else f", which {module} requires"
    if _OURS.match(missing):
        return Problem("module", missing, place, f"pygw has no module {missing}{through}")
    advice = "give its tree with --lua-path, or name it in apisix.extra_lua_path"
    return Problem("library", missing, place, f"no library {missing}{through}: {advice}")


def _broken_module(module: str, text: str, place: str) -> Problem:
    if library := _NO_C_LIBRARY.search(text):
        reason = f"{module} needs {library[1]}, which is not on this machine"
        return Problem("library", library[1], place, reason)
    return Problem("load", module, place, f"{module} does not load: {_first_line(text)}")


def no_path(path: NamePath, places: Sequence[tuple[Path, int]], instead: Sequence[str]) -> Problem:
    """A field is reached for that does not exist. instead: those that its table has."""
    file, line = places[0]
    if path.module is None and path.names[:2] == ("ngx", "shared"):
        text = (
            f"no shared dictionary {path.names[-1]}: declare it in"
            " nginx_config.http.custom_lua_shared_dict"
        )
    elif path.module is None and len(path.names) == 1:
        text = f"{path} is no global variable here{_meant(path, instead)}"
    else:
        text = f"{path} does not exist here{_meant(path, instead)}"
    return Problem("missing", str(path), _place(file, line), text + _also(places))


def _meant(path: NamePath, instead: Sequence[str]) -> str:
    close = get_close_matches(path.names[-1], instead, 1, 0.75)
    if not close:
        return ""
    return f"; did you mean {NamePath(path.module, path.names[:-1]) / close[0]}?"


def _also(places: Sequence[tuple[Path, int]]) -> str:
    first = places[0][0]
    others = [
        f"line {line}" if file == first else _place(file, line)
        for file, line in places[1:_LINES_SHOWN]
    ]
    more = len(places) - _LINES_SHOWN
    if more > 0:
        others.append(f"{more} more")
    return f" (also {', '.join(others)})" if others else ""


def bad_table(file: Path, fault: dict[str, str]) -> Problem:
    """The plugin's table is wrong. fault: lua/apisix/check/object.lua's."""
    return Problem("plugin", fault["about"], shown(file), _first_line(fault["text"]))


def refused(file: Path, reason: str) -> Problem:
    """The gateway's loader did not take it."""
    return Problem("plugin", "load", shown(file), f"the gateway does not take it: {reason.strip()}")


def not_loaded(target: Target, failure: dict[str, Any]) -> Problem:
    """The plugin's file raised an error."""
    text = failure["text"]
    at = _AT.match(text)
    file, line = (Path(at["file"]), int(at["line"])) if at else (target.file, 1)
    where = _place(file, line)
    if missing := failure.get("missing"):
        return no_module(missing, failure, file, line)
    if library := _NO_C_LIBRARY.search(text):
        text = f"it needs {library[1]}, which is not on this machine"
        return Problem("library", library[1], where, text)
    syntax = re.search(r"from file '[^']*':\n\t(?:[^\n]*?):(\d+): (.*)", text)
    if syntax:
        return Problem("load", "syntax", _place(target.file, int(syntax[1])), syntax[2])
    return Problem(
        "load", "error", where, f"it does not load: {_first_line(at['text'] if at else text)}"
    )


def ended(target: Target, doing: str, how: str) -> Problem:
    """Its process came to an end without an answer."""
    return Problem("ended", doing, shown(target.file), f"{how} while {doing}")
