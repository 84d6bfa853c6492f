"""Owns what pytest sees of the conformance suite: options, files, blocks, reports at the end.

Without --openresty there is one skipped test that says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conformance.openresty import report

from pygw.testing.tfiles import spec
from pygw.testing.tfiles.items import BlockItem, NotRun, SpecFile
from pygw.testing.tfiles.pool import Pool, environment

HERE = Path(__file__).parent
_POOL = pytest.StashKey[Pool]()


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
    group.addoption(
        "--conformance-keep",
        metavar="DIR",
        type=Path,
        help="keep each block's directory (nginx.conf, app.lua, logs) here, and say where",
    )
    group.addoption("--conformance-jobs", metavar="N", type=int, default=6, help="blocks at once")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path == HERE / "README.md":
        return Specifications.from_parent(parent, path=file_path)
    return None


class Specifications(pytest.File):
    """All files of all checkouts."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        paths: list[Path] = self.config.getoption("--openresty")
        why = None if paths else "needs --openresty DIR, a checkout of openresty/lua-nginx-module"
        if paths and not shutil.which("perl"):
            why = "needs perl, which reads the specifications"
        if why:
            yield NotRun.from_parent(self, name="openresty", why=why)
            return
        files = [found for path in paths for found in _files(path.resolve())]
        with ThreadPoolExecutor(4) as executor:
            loaded = list(executor.map(lambda each: _load(*each), files))
        for (checkout, path), found in zip(files, loaded, strict=True):
            name = f"{checkout.name}/{path.relative_to('t')}"
            yield SpecFile.from_parent(
                self, name=name, path=checkout / path, source=(checkout, path), found=found
            )


def _files(path: Path) -> list[tuple[Path, Path]]:
    """The specifications of a checkout, or the one that was named."""
    if path.is_file():
        checkout = next(each.parent for each in path.parents if each.name == "t")
        return [(checkout, path.relative_to(checkout))]
    return [(path, each.relative_to(path)) for each in sorted(path.glob("t/**/*.t"))]


def _load(checkout: Path, path: Path) -> spec.Spec | spec.SpecError:
    try:
        return spec.load(checkout, path, environment(Path("/nowhere/t/servroot"), 1984))
    except spec.SpecError as error:
        return error


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    items = [item for item in session.items if isinstance(item, BlockItem)]
    if not items or session.config.option.collectonly:
        return
    option = session.config.getoption
    pool = Pool(min(option("--conformance-jobs"), len(items)), option("--conformance-keep"))
    session.config.stash[_POOL] = pool
    futures = pool.submit(item.source for item in items)
    for item, future in zip(items, futures, strict=True):
        item.future = future


def pytest_sessionfinish(session: pytest.Session) -> None:
    pool = session.config.stash.get(_POOL, None)
    if not pool:
        return
    pool.close()
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
