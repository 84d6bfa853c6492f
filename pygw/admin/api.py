"""Owns the answering of one request: who asks, what for, and which refusal an error becomes.

Must never know HTTP's wire: `wsgi.py` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pygw.admin import openapi, whole
from pygw.admin.access import Access
from pygw.admin.address import parse
from pygw.admin.catalogue import Catalogue
from pygw.admin.handlers import NO_BODY, Handlers
from pygw.admin.messages import Answer, Request, decode, read_body
from pygw.admin.records import Records
from pygw.admin.refusal import Refusal
from pygw.admin.reloading import Reloading
from pygw.admin.secrecy import Secrecy
from pygw.admin.standalone import Standalone
from pygw.config.model import Settings
from pygw.config.store import Store, StoreError
from pygw.vm.checker import Checker, CheckFailedError

log = logging.getLogger(__name__)

ROOT = "/apisix/admin"


class Api:
    """The Admin API on a store; without one it says where the configuration is instead."""

    def __init__(self, settings: Settings, store: Store | None, checker: Checker) -> None:
        self._access = Access(settings.admin)
        self._checker = checker
        self._catalogue = Catalogue(checker)
        self._file = settings.yaml_path
        mode = (settings.merged.get("apisix") or {}).get("proxy_mode", "http")
        self._has_stream = mode in ("stream", "http&stream")
        self._handlers: Handlers | None = None
        self._reloading: Reloading | None = None
        self._standalone = None if store else Standalone(settings, checker)
        if store:
            secrecy = Secrecy(checker)
            records = Records(store, settings.etcd.prefix, secrecy)
            self._handlers = Handlers(records, checker, secrecy)
            self._reloading = Reloading(settings, records, checker)
        self._methods: dict[str, Callable[..., tuple[int, Any]]] = {}
        if self._handlers:
            self._methods = {
                "GET": self._handlers.get,
                "PUT": self._handlers.put,
                "POST": self._handlers.post,
                "PATCH": self._handlers.patch,
                "DELETE": self._handlers.delete,
            }

    def answer(self, request: Request) -> Answer:
        """Answer a request; never raises."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body)
        except StoreError as error:
            log.error("%s %s: %s", request.method, request.path, error)
            return Answer(503, {"error_msg": str(error)})
        except CheckFailedError as error:
            return Answer(500, {"error_msg": f"a plugin failed at its check_schema: {error}"})
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return Answer(500, {"error_msg": "internal error: the error log has its traceback"})

    def _answer(self, request: Request) -> Answer:
        self._access.check_address(request.remote_addr)
        if request.path == ROOT and request.method == "HEAD":
            return Answer(200)
        segments = [segment for segment in request.path.split("/") if segment]
        if segments[:2] != ["apisix", "admin"] or len(segments) < 3:
            raise Refusal(404, f"not found: the Admin API is below {ROOT}/")
        self._access.check_key(request.key, request.method)
        return self._dispatch(request, segments[2:])

    def _dispatch(self, request: Request, segments: list[str]) -> Answer:
        if segments[:2] == ["schema", "validate"] and request.method == "POST":
            text = read_body(request)
            decode(text, self._checker)
            self._catalogue.validate(segments[2:], text)
            return Answer(200)
        if segments == ["configs", "validate"] and request.method == "POST":
            return whole.validate(request, self._checker)
        if segments == ["configs"] and self._standalone:
            return self._standalone.answer(request)
        if segments == ["plugins", "reload"] and self._reloading:
            return Answer(200, self._reloading.answer(request.method))
        if segments == ["openapi.json"] and request.method == "GET":
            return Answer(200, openapi.describe(self._checker, has_store=bool(self._handlers)))
        describe = {"schema": self._catalogue.schema, "plugins": self._catalogue.plugins}
        if segments[0] in describe:
            if request.method != "GET":
                raise Refusal(404, "not found")
            return Answer(200, describe[segments[0]](segments[1:], request.query))
        if self._handlers is None:
            raise Refusal(
                404, f"no store to administer: the configuration is {self._file}, or {ROOT}/configs"
            )
        return self._handle(request, segments)

    def _handle(self, request: Request, segments: list[str]) -> Answer:
        if segments[0] == "stream_routes" and not self._has_stream:
            raise Refusal(400, "stream mode is disabled, can not add stream routes")
        address = parse(segments)
        handler = self._methods.get(request.method)
        if handler is None or (address.sub_path and request.method != "PATCH"):
            raise Refusal(404, "not found")
        if request.method in address.resource.unsupported:
            raise Refusal(
                405, f"not supported `{request.method}` method for {address.resource.kind}"
            )
        text = read_body(request)
        body = decode(text, self._checker) if text else NO_BODY
        return Answer(*handler(address, body, request.query))
