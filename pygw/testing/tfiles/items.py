"""Owns what pytest holds of a specification: its file, its blocks, how a failure reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pygw.testing.tfiles import sections, spec
from pygw.testing.tfiles.pool import Source
from pygw.testing.tfiles.run import FAILED, SKIPPED, Verdict


class NotRun(pytest.Item):
    """Says why nothing else is there."""

    def __init__(self, *, why: str, **options: Any) -> None:
        super().__init__(**options)
        self._why = why

    def runtest(self) -> None:
        pytest.skip(self._why)


class SpecFile(pytest.File):
    """One specification. source: the checkout, and the file's path in it. exempt(path, block): why
    that block cannot be run, or None."""

    def __init__(
        self,
        *,
        source: tuple[Path, Path],
        found: spec.Spec | spec.SpecError,
        exempt: Callable[[Path, str], str | None] = lambda path, block: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.source, self._found, self._exempt = source, found, exempt

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
            source = Source(*self.source, index, bool(found.settings.get("apisix")))
            item = BlockItem.from_parent(self, name=name, source=source, block=block)
            if why := self._exempt(source.path, block.name):
                item.future = Future()
                item.future.set_result(Verdict(SKIPPED, [why]))
            for wrong, right in sections.misspelt(sorted(block.sections.keys() - block.read)):
                text = f"section {wrong} means nothing to Test::Nginx; is it {right}?"
                item.warn(pytest.PytestWarning(text))
            yield item


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
            raise pytest.skip.Exception("; ".join(verdict.why), _use_item_location=True)
        if verdict.outcome == FAILED:
            raise Wrong(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, Wrong):
            return super().repr_failure(excinfo, style)
        verdict = excinfo.value.verdict
        where = f"{self.source.checkout / self.source.path}:{self._block.line}"
        kept = [f"kept: {verdict.directory}"] if verdict.directory else []
        log = ["error.log ends with:", verdict.log] if verdict.log else ["error.log is empty"]
        return "\n".join([where, *verdict.why, *kept, *log])

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.source.checkout / self.source.path, self._block.line - 1, self.name


class Wrong(Exception):
    """A block failed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(verdict.why))
        self.verdict = verdict
