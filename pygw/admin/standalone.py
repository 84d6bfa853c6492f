"""Owns /configs: the whole configuration read and replaced at once, where there is no store.

What is put is checked whole, then written to a file that every worker follows; it outlives a
restart, and is in force until the next one, or until apisix.yaml is edited. Must never let a half
written file be seen. Mirrors apisix.admin.standalone.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from pygw.admin import documents, whole
from pygw.admin.messages import NOTHING, YAML, Answer, Request
from pygw.admin.refusal import Refusal
from pygw.config.model import Settings
from pygw.config.pushed import pushed_file, write_pushed
from pygw.config.standalone import in_force
from pygw.config.yamlfile import ConfigError
from pygw.vm.checker import Checker

log = logging.getLogger(__name__)

_MODIFIED, _DIGEST = "X-Last-Modified", "X-Digest"

Config = dict[str, Any]


class Standalone:
    """GET, HEAD and PUT of the configuration."""

    def __init__(self, settings: Settings, checker: Checker) -> None:
        self._path, self._pushed = settings.yaml_path, pushed_file(settings)
        self._checker = checker

    def answer(self, request: Request) -> Answer:
        """Answer a request of /configs. Raises Refusal."""
        if request.method == "PUT":
            return self._put(request)
        if request.method not in ("GET", "HEAD"):
            raise Refusal(404, "not found")
        config = self._current()
        if request.method == "HEAD":
            return Answer(200, NOTHING, _metadata(config))
        as_yaml = request.headers.get("accept", "").startswith(YAML)
        versions = {whole.version_key(name): 0 for name in whole.LISTS}
        return Answer(200, {**versions, **config}, _metadata(config), as_yaml)

    def _put(self, request: Request) -> Answer:
        digest = request.headers.get("x-digest")
        if digest is None:
            raise Refusal(400, "missing digest header")
        given = whole.read(request, self._checker)
        current = self._current()
        if current.get(_DIGEST) == digest:
            return Answer(204)
        for fault in whole.faults(self._checker, given):
            raise Refusal(400, fault.error)
        config = _replaced(current, given)
        config |= {_MODIFIED: int(time.time()), _DIGEST: digest}
        try:
            write_pushed(self._pushed, documents.write(config))
        except OSError as error:
            log.error("the configuration cannot be kept in %s: %s", self._pushed, error)
            raise Refusal(500, f"the configuration cannot be kept: {error.strerror}") from None
        return Answer(202, NOTHING, _metadata(config))

    def _current(self) -> Config:
        """The configuration in force."""
        try:
            config, _ = in_force(self._path, self._pushed)
        except ConfigError as error:
            raise Refusal(500, f"the configuration in force is unusable: {error}") from None
        return config


def _replaced(current: Config, given: Config) -> Config:
    """The next configuration: a list whose version has not changed stays as it is.

    Raises Refusal (400) for a version that goes back.
    """
    config: Config = {}
    for name in whole.LISTS:
        key = whole.version_key(name)
        before = current.get(key, 0)
        version = given.get(key)
        if version is None:
            version = before + 1
        elif version < before:
            raise Refusal(400, f"{key} must be greater than or equal to ({before})")
        config[key] = version
        items = (current if version == before else given).get(name)
        if items:
            config[name] = items
    return config


def _metadata(config: Config) -> dict[str, str]:
    return {name: str(config[name]) for name in (_MODIFIED, _DIGEST) if name in config}
