"""The error log as Python writes it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pygw.process.errorlog import ErrorLog, LoggingHandler


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ErrorLog]:
    """A log of level warn in logs/error.log."""
    made = ErrorLog(tmp_path / "logs/error.log", "warn")
    yield made
    made.close()


def text(log: ErrorLog) -> str:
    assert log.path is not None
    return log.path.read_text()


def test_a_line_has_the_form_of_nginx(log: ErrorLog) -> None:
    log.write("error", "something broke")
    line = rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] {os.getpid()}#0: something broke\n"
    assert re.fullmatch(line, text(log))


def test_lines_below_the_level_are_not_written(log: ErrorLog) -> None:
    for level in ("emerg", "warn", "notice", "debug"):
        log.write(level, "x")
    assert re.findall(r"\[(\w+)\]", text(log)) == ["emerg", "warn"]


def test_reopening_follows_the_name(log: ErrorLog, tmp_path: Path) -> None:
    log.write("warn", "first")
    os.rename(tmp_path / "logs/error.log", tmp_path / "logs/old.log")
    log.reopen()
    log.write("warn", "second")
    assert "second" in text(log)
    assert "second" not in (tmp_path / "logs/old.log").read_text()


def test_a_reopening_that_fails_keeps_the_old_file(log: ErrorLog, tmp_path: Path) -> None:
    os.rename(tmp_path / "logs", tmp_path / "moved")
    (tmp_path / "logs").write_text("not a directory")
    log.reopen()
    log.write("warn", "still here")
    kept = (tmp_path / "moved/error.log").read_text()
    assert "[emerg]" in kept
    assert "cannot reopen" in kept
    assert "still here" in kept


@pytest.mark.parametrize(
    ("level", "number", "name"),
    [
        ("debug", logging.DEBUG, "debug"),
        ("info", logging.INFO, "info"),
        ("warn", logging.WARNING, "warn"),
        ("error", logging.ERROR, "error"),
        ("emerg", logging.CRITICAL, "crit"),
    ],
)
def test_python_logging_arrives_with_its_level_and_is_cut_early(
    tmp_path: Path, level: str, number: int, name: str
) -> None:
    log = ErrorLog(tmp_path / "e.log", level)
    handler = LoggingHandler(log)
    record = logging.LogRecord("some.library", number, "f", 1, "said %s", ("it",), None)
    handler.emit(record)
    log.close()
    written = (tmp_path / "e.log").read_text()
    shown = f"[{name}] " in written and "some.library: said it" in written
    assert shown is (level != "emerg")
    assert LoggingHandler.threshold(level) == number
