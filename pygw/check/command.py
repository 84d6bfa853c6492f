"""Owns the run of `pygw check`: settings and arguments in, reports printed, its exit code out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from pygw.check import report
from pygw.check.configuration import FileReport
from pygw.check.files import check_files
from pygw.check.isolation import examine_apart
from pygw.check.model import Report, Target
from pygw.check.targets import Targets, is_part
from pygw.config.settings import Settings
from pygw.vm.worker import StartError


class BootError(Exception):
    """The gateway's own modules do not start with this configuration, whatever the plugin."""


def with_lua_paths(settings: Settings, given: Sequence[str]) -> Settings:
    """Settings whose Lua modules are looked for in these first: LuaRocks trees, other directories,
    or package.path templates with semicolons between."""
    paths, cpaths = [], []
    for each in given:
        if "?" in each:
            templates = [template for template in each.split(";") if template]
            cpaths += [template for template in templates if template.endswith(".so")]
            paths += [template for template in templates if not template.endswith(".so")]
            continue
        tree = Path(each).absolute()
        share, lib = tree / "share/lua/5.1", tree / "lib/lua/5.1"
        base = share if share.is_dir() else tree
        paths += [f"{base}/?.lua", f"{base}/?/init.lua"]
        cpaths.append(f"{lib if lib.is_dir() else tree}/?.so")
    return replace(
        settings,
        lua_paths=(*paths, *settings.lua_paths),
        lua_cpaths=(*cpaths, *settings.lua_cpaths),
    )


def check(
    groups: Sequence[Targets],
    settings: Settings,
    seconds: float,
    form: str,
    echo: Callable[[str], None],
    files: Sequence[str] = (),
) -> bool:
    """Check plugins and configuration files, print what came of it; returns whether all are good.

    Raises BootError, ExtensionError.
    """
    file_reports = _of_files(files, settings) if files else []
    if form == "text":
        for line in chain.from_iterable(each.lines() for each in file_reports):
            echo(line)
    reports: list[Report] = []
    for group in groups:
        examined = (_examined(each, group, settings, seconds) for each in group.plugins)
        found = list(chain.from_iterable(examined))
        reports += found
        if form == "text":
            for line in _told(found, group):
                echo(line)
    if form == "json":
        echo(report.as_json(reports, file_reports))
    elif len(reports) > 1:
        echo(report.total(reports))
    return all(each.ok for each in reports) and all(each.ok for each in file_reports)


def _of_files(files: Sequence[str], settings: Settings) -> list[FileReport]:
    try:
        return check_files(files, settings)
    except StartError as error:
        raise BootError(str(error)) from None


def _examined(
    target: Target, group: Targets, settings: Settings, seconds: float
) -> Iterator[Report]:
    beside = (target.file.parent, target.file.parent.parent)
    directories = (beside[target.file.name == "init.lua"], *settings.plugin_dirs)
    found = examine_apart(target, replace(settings, plugin_dirs=directories), seconds)
    for problem in found.problems:
        if problem.kind == "boot":
            raise BootError(problem.message)
    if not (group.directory and is_part(target, ((p.kind, p.what) for p in found.problems))):
        yield found


def _told(found: Sequence[Report], group: Targets) -> Iterator[str]:
    if group.directory:
        yield from report.lines(found, group.directory)
    else:
        for each in found:
            yield from report.details(each)
