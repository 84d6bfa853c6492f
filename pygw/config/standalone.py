"""Owns apisix.yaml (or .json) and debug.yaml: reads them, notices changes, keeps the last good.

The file is watched by its directory, so that editors and ConfigMap updates, which replace it, are
seen. A file that cannot be used is one line in the log; the configuration in force stays. Must
never know what the configuration means.

A configuration given over the Admin API stands in a file of its own (`pushed.py`); of the two, the
one that came last is in force.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from pygw.config.inotify import DIRECTORY_CHANGES, Inotify
from pygw.config.yamlfile import ConfigError, Document, read_text

_END = re.compile(rb"#END\s*\Z")
_QUIET = 0.02  # seconds without a change after which a file counts as written
_LOOK_AGAIN = 1.0  # seconds between looks at a file that inotify cannot watch

_log = logging.getLogger(__name__)
_Signature = tuple[int, int, int] | None


def parse(path: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read apisix.yaml or apisix.json as APISIX's standalone mode does; `${{VAR}}` from `env`.

    Raises ConfigError with file, line and reason.
    """
    value: dict[str, Any] = parse_document(path, env).value
    return value


def parse_document(path: Path, env: Mapping[str, str] | None = None) -> Document:
    """As `parse`, with the lines on which values stand."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 (byte {error.start})", file=str(path)) from None
    if path.suffix != ".json":
        if not _END.search(content):
            raise ConfigError(
                "the last line must be #END (it tells a whole file from one half written)",
                file=str(path),
                line=len(content.splitlines()) or 1,
            )
        document = read_text(text, str(path), variables="text", env=env)
    else:  # JSON is YAML but for what _well_formed refuses; variables keep the types of their text
        _well_formed(text, path)
        document = read_text(text, str(path), variables="values", env=env)
    if document.value is None:
        document.value = {}
    if not isinstance(document.value, dict):
        raise ConfigError("must be a table of lists, such as routes:", file=str(path), line=1)
    return document


def _well_formed(text: str, path: Path) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"not valid JSON: {error.msg} (column {error.colno})", file=str(path), line=error.lineno
        ) from None


def in_force(
    path: Path, pushed: Path | None, env: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], Path]:
    """The configuration of the file that came last, and which one that is.

    pushed: the other one, read as it is; None: there is but one, which must exist. Raises
    ConfigError.
    """
    if pushed is None:
        return parse(path, env), path
    own, other = _put_there_at(path), _put_there_at(pushed)
    if other is not None and (own is None or other >= own):
        return _read_pushed(pushed), pushed
    return ({} if own is None else parse(path, env)), path


def _put_there_at(path: Path) -> int | None:
    """When the file was written, or moved to its place; None while it is absent."""
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return None


def _read_pushed(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except ValueError as error:
        raise ConfigError(f"not valid JSON: {error}", file=str(path)) from None
    if not isinstance(value, dict):
        raise ConfigError("must be a table of lists", file=str(path))
    return value


class StandaloneFile:
    """The configuration in the file, and the waiting for its next version.

    The first reading happens here. Raises ConfigError when it fails. A version is the time of
    the file's last change in milliseconds, raised where needed so that no two are the same.
    optional: while the file is absent it says nothing, and one that is bad at the start likewise.
    pushed: where a configuration given over the Admin API is kept; with it the file may be absent.
    """

    def __init__(
        self,
        path: Path,
        env: Mapping[str, str] | None = None,
        *,
        optional: bool = False,
        pushed: Path | None = None,
    ) -> None:
        self._path, self._env, self._optional, self._pushed = path, env, optional, pushed
        self._source = path
        self._signature = self._sign()
        self._config = self._read_first()
        self._version = _milliseconds(self._signature)
        self._closed = False
        self._touched, self._renewed = Event(), Event()
        self._pool: Any = ThreadPool(1)
        self._inotify: Inotify | None = None
        try:
            # Both ends of a link: it may be replaced, or what it leads to may be edited.
            directories = {path.absolute().parent, path.resolve().parent}
            names = {path.name, path.resolve().name}
            if pushed:
                directories.add(pushed.absolute().parent)
                names.add(pushed.name)
            self._inotify = Inotify(directories, DIRECTORY_CHANGES, self._touched.set, names)
        except OSError as error:
            _log.warning("no inotify for %s (%s): it is polled", path, error)
        self._follower = gevent.spawn(self._follow)

    def config(self) -> tuple[bytes, int]:
        """The configuration in force as JSON, and its version."""
        return self._config, self._version

    def wait(self, version: float, timeout: float) -> int | None:
        """Wait up to `timeout` seconds for a version other than that one; None if none came."""
        if self._version == version and not self._closed:
            self._renewed.wait(timeout)
        return self._version if self._version != version else None

    def calls(
        self, name: str = "standalone"
    ) -> tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]:
        """The bridge's entries, NAME_config and NAME_wait: immediate ones, awaited ones."""

        def config() -> tuple[bytes, int, str]:
            """-> configuration as JSON, version, path of the file"""
            return *self.config(), str(self._source)

        return {f"{name}_config": config}, {f"{name}_wait": self.wait}

    def close(self) -> None:
        """Stop following the file and wake who waits. Again is harmless."""
        if self._closed:
            return
        self._closed = True
        self._touched.set()
        self._renewed.set()
        self._follower.join()
        self._pool.kill()
        if self._inotify:
            self._inotify.close()

    def _read_first(self) -> bytes:
        if self._optional and self._signature[0] is None:
            return b"{}"
        try:
            config, self._source = in_force(self._path, self._pushed, self._env)
            if self._signature == (None, None) and self._pushed:
                _log.warning(
                    "%s is absent: nothing is served until it is there, or"
                    " a configuration is PUT to /apisix/admin/configs",
                    self._path,
                )
            return _encode(config)
        except ConfigError as error:
            if not self._optional:
                raise
            _log.error("%s; it counts as absent", error)
            return b"{}"

    def _sign(self) -> tuple[_Signature, _Signature]:
        return _signature(self._path), _signature(self._pushed) if self._pushed else None

    def _follow(self) -> None:
        while True:
            self._touched.wait(None if self._inotify else _LOOK_AGAIN)
            if self._closed:
                return
            self._let_it_settle()
            if self._sign() != self._signature:
                self._read_again()

    def _let_it_settle(self) -> None:
        """Return when nothing has changed for a moment: who writes in pieces is not done yet."""
        while not self._closed and self._touched.is_set():
            self._touched.clear()
            gevent.sleep(_QUIET)

    def _read_again(self) -> None:
        self._signature = self._sign()
        if self._optional and self._signature[0] is None:
            config, failure, source = b"{}", None, self._path
        else:
            arguments = self._path, self._pushed, self._env
            config, failure, source = self._pool.apply(_try_parse, arguments)
        if failure is not None:
            _log.error("%s; the configuration in force stays", failure)
            return
        self._source = source
        if config == self._config:
            return
        self._config = config
        self._version = max(_milliseconds(self._signature), self._version + 1)
        _log.warning("%s: reloaded", source)
        renewed, self._renewed = self._renewed, Event()
        renewed.set()


def _try_parse(
    path: Path, pushed: Path | None, env: Mapping[str, str] | None
) -> tuple[bytes, str | None, Path]:
    """Runs in a thread: a large file takes seconds."""
    try:
        config, source = in_force(path, pushed, env)
        return _encode(config), None, source
    except ConfigError as error:
        return b"", str(error), path
    except Exception as error:  # no file may end the following of it
        return b"", f"{path}: {type(error).__name__}: {error}", path


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _signature(path: Path) -> _Signature:
    """What tells two states of a file apart without reading it; None when it is absent."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _milliseconds(signatures: tuple[_Signature, _Signature]) -> int:
    return max(each[0] // 1_000_000 if each else 0 for each in signatures)
