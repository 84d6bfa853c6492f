"""Owns who may use the Admin API: addresses, keys, roles. Mirrors nginx's allow, APISIX's tokens.

Must never log or show a key.
"""

from __future__ import annotations

import hmac
import logging
from ipaddress import ip_address, ip_network

from pygw.admin.refusal import Refusal
from pygw.config.model import Admin

log = logging.getLogger(__name__)

_VIEWER_METHODS = ("GET",)


class Access:
    """The rules of deployment.admin."""

    def __init__(self, settings: Admin) -> None:
        self._required = settings.key_required
        self._keys = [key for key in settings.keys if key.key]  # an empty one opens nothing
        self._networks = [ip_network(cidr, strict=False) for cidr in settings.allow]

    def check_address(self, address: str) -> None:
        """Refuse (403) a client outside of allow_admin."""
        if self._networks and not any(ip_address(address) in net for net in self._networks):
            raise Refusal(403, f"forbidden: {address} is not in deployment.admin.allow_admin")

    def check_key(self, given: str | None, method: str) -> None:
        """Refuse (401) a missing or wrong key, and a method that the key's role has not."""
        if not self._required:
            return
        if given is None:
            raise _unauthorized("missing apikey")
        role = self._role(given)
        if role is None:
            raise _unauthorized("wrong apikey")
        if role == "viewer" and method not in _VIEWER_METHODS:
            raise _unauthorized("invalid method for role viewer")

    def _role(self, given: str) -> str | None:
        """The role of a key. All are compared, each in constant time: the time tells nothing."""
        role = None
        for key in self._keys:
            if hmac.compare_digest(key.key.encode(), given.encode("utf-8", "surrogateescape")):
                role = role or key.role
        return role


def _unauthorized(reason: str) -> Refusal:
    log.warning("failed to check token: %s", reason)
    return Refusal(401, "failed to check token", description=reason)
