"""How far APISIX's plugins reach on pygw: each of the 120, as `pygw check` judges it.

    pytest tests/conformance/apisix_plugins --apisix DIR [--lua-path DIR …] …
        --conformance-report docs/conformance.md

A plugin that lacks nothing but a library that no --lua-path has is skipped, with the library's
name; everything else must pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.apisix_plugins import reach
from conformance.apisix_plugins.groups import GROUPS
from conformance.apisix_plugins.reach import Verdicts


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, checkout: Path, lua_trees: list[str]
) -> Iterator[Verdicts]:
    """What `pygw check` says of every plugin of the checkout, by name."""
    paths = [argument for tree in lua_trees for argument in ("--lua-path", tree)]
    command = [sys.executable, "-m", "pygw", "check", str(checkout), *paths, "--format", "json"]
    result = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert result.returncode in (0, 1), result.stderr
    found = {plugin["name"]: plugin for plugin in json.loads(result.stdout)["plugins"]}
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("", *reach.lines(found, bool(lua_trees)), sep="\n")
    if path := request.config.getoption("--conformance-report"):
        reach.write(path, found, bool(lua_trees))


def test_the_groups_are_all_of_them(verdicts: Verdicts) -> None:
    assert sorted(verdicts) == sorted(sum(GROUPS.values(), ()))


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, names in GROUPS.items() for name in names]
)
def test_reach(verdicts: Verdicts, group: str, name: str) -> None:
    verdict = verdicts[name]
    if libraries := reach.lacking(verdict):
        pytest.skip(f"no --lua-path has {', '.join(libraries)}")
    if name in reach.NEVER:
        pytest.skip(reach.NEVER[name])
    complaints = [f"{each['where']}: {each['message']}" for each in verdict["problems"]]
    assert complaints == []
