"""Owns what pytest sees of the conformance suite: options, files, blocks, reports at the end.

Without --openresty there is one skipped test that says so.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance.openresty import report

from pygw.testing.tfiles import collector, spec
from pygw.testing.tfiles.items import BlockItem, NotRun, SpecFile

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "OpenResty's own specification files")
    group.addoption(
        "--openresty",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a checkout of lua-nginx-module, lua-resty-core, …, or a .t file in one; repeatable",
    )
    group.addoption("--conformance-report", metavar="FILE", type=Path, help="write the table (md)")
    group.addoption("--conformance-json", metavar="FILE", type=Path, help="write every verdict")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--openresty"):
        collector.enable(config, [])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path == HERE / "README.md":
        return Specifications.from_parent(parent, path=file_path)
    return None


class Specifications(pytest.File):
    """All files of all checkouts."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        paths: list[Path] = self.config.getoption("--openresty")
        lacks_option = "needs --openresty DIR, a checkout of openresty/lua-nginx-module"
        if why := spec.perl_trouble() if paths else lacks_option:
            yield NotRun.from_parent(self, name="openresty", why=why)
            return
        files = [found for path in paths for found in _files(path.resolve())]
        with ThreadPoolExecutor(4) as executor:
            loaded = list(executor.map(lambda each: collector.load(*each), files))
        for (checkout, path), found in zip(files, loaded, strict=True):
            name = f"{checkout.name}/{path.relative_to('t')}"
            yield SpecFile.from_parent(
                self,
                name=name,
                path=checkout / path,
                source=(checkout, path),
                found=found,
                exempt=_exempt,
            )


def _files(path: Path) -> list[tuple[Path, Path]]:
    """The specifications of a checkout, or the one that was named."""
    if path.is_file():
        return [collector.checkout_of(path)]
    return [(path, each.relative_to(path)) for each in sorted(path.glob("t/**/*.t"))]


@cache
def _nginx_only() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "nginx_only.yaml").read_text())
    return loaded


def _exempt(path: Path, block: str) -> str | None:
    """Why nothing but nginx can run that block of that file, or None."""
    number = re.match(r"TEST (\d+)\b", block)
    name = "/".join(path.parts[1:])
    for why, files in _nginx_only().items():
        blocks = files.get(name)
        if blocks == "all" or (blocks and number and int(number[1]) in blocks):
            return why
    return None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    outcomes = [
        report.Outcome(item.source.checkout, item.source.path, item.name, item.future.result())
        for item in session.items
        if isinstance(item, BlockItem) and item.future and item.future.done()
    ]
    option = session.config.getoption
    if path := option("--conformance-json"):
        report.write_json(path, outcomes)
    if path := option("--conformance-report"):
        report.write_table(path, outcomes, {each: _commit(each) for each in _checkouts(outcomes)})


def _checkouts(outcomes: list[report.Outcome]) -> list[Path]:
    return list(dict.fromkeys(each.checkout for each in outcomes))


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
