"""Owns what pytest sees of the conformance suite: options, files, blocks, reports at the end.

Without --openresty there is one skipped test that says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conformance.openresty import report, spec
from conformance.openresty.pool import Pool, Source, environment
from conformance.openresty.run import FAILED, SKIPPED, Verdict

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
    if file_path == HERE / "nginx_only.yaml":
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


class NotRun(pytest.Item):
    """Says why nothing else is there."""

    def __init__(self, *, why: str, **options: Any) -> None:
        super().__init__(**options)
        self._why = why

    def runtest(self) -> None:
        pytest.skip(self._why)


class SpecFile(pytest.File):
    """One specification."""

    def __init__(
        self,
        *,
        source: tuple[Path, Path],
        found: spec.Spec | spec.SpecError,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.source, self._found = source, found

    def collect(self) -> Iterator[pytest.Item]:
        found = self._found
        if isinstance(found, spec.SpecError):
            raise self.CollectError(str(found))
        if found.skip_all:
            yield NotRun.from_parent(self, name="all", why=found.skip_all)
        seen: Counter[str] = Counter()
        for index, block in enumerate(found.blocks):
            seen[block.name] += 1
            name = block.name + (f" ({seen[block.name]})" if seen[block.name] > 1 else "")
            yield BlockItem.from_parent(
                self, name=name, source=Source(*self.source, index), block=block
            )


class BlockItem(pytest.Item):
    """One block; it runs in the background, here its verdict is waited for."""

    def __init__(self, *, source: Source, block: spec.Block, **options: Any) -> None:
        super().__init__(**options)
        self.source, self._block = source, block
        self.future: Future[Verdict] | None = None

    def runtest(self) -> None:
        assert self.future
        verdict = self.future.result()
        if verdict.outcome == SKIPPED:
            pytest.skip("; ".join(verdict.why))
        if verdict.outcome == FAILED:
            raise Wrong(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, Wrong):
            return super().repr_failure(excinfo, style)
        verdict = excinfo.value.verdict
        where = f"{self.source.checkout / self.source.path}:{self._block.line}"
        kept = [f"kept: {verdict.directory}"] if verdict.directory else []
        return "\n".join([where, *verdict.why, *kept, "error.log ends with:", verdict.log])

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.source.checkout / self.source.path, self._block.line - 1, self.name


class Wrong(Exception):
    """A block failed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(verdict.why))
        self.verdict = verdict


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
