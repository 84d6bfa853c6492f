"""Owns a generation: the children that run with one reading of config.yaml.

A reload makes a new one beside the old; the dead are replaced within their own generation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from pygw.config.model import Listen, Settings
from pygw.process.adminkey import key_file, with_key
from pygw.process.child import Child, Kind
from pygw.process.listeners import Key, Listeners
from pygw.process.regions import Regions

Slot = tuple[Kind, int]
AGENT_ID = -1

# What is said of the listeners of each kind, before the Admin API and after it.
_SAID = {"plain": "listening", "tls": "over TLS", "metrics": "metrics"}
_SAID_LAST = {"control": "control", "status": "status"}


class Generation:
    """Settings, the slots that they ask for, and who fills each.

    Raises OSError when the Admin API needs a key and none can be kept.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        kinds: dict[str, Kind],
        app: str | None,
        listeners: Listeners,
        regions: Regions,
    ) -> None:
        self.number, self.app = number, app
        admin_used = app is None and settings.admin.enabled
        self.key_file = key_file(settings) if admin_used else None
        settings = with_key(settings) if admin_used else settings
        self.settings = settings = settings if app is None else _of_an_application(settings)
        self.children: dict[Slot, Child] = {}
        self.failures: dict[Slot, int] = {}
        self._was_ready = False  # until then it may be given up for the generation before
        self._listeners, self._regions, self._kinds = listeners, regions, kinds
        self._slots: dict[Slot, list[Key]] = {
            (kinds["worker"], index): [("worker", address, index) for address in settings.listen]
            for index in range(settings.workers)
        }
        if admin_used:
            self._slots[kinds["admin"], 0] = [("admin", settings.admin.listen, 0)]
        self._settings_fd = os.memfd_create("pygw-settings", os.MFD_CLOEXEC)
        os.write(self._settings_fd, settings.dump())

    def open_listeners(self) -> None:
        """Open what is not open yet. Raises ListenError, leaving what was open as it was."""
        before = self._listeners.keys()
        try:
            self._listeners.open("worker", self.settings.listen, self.settings.workers)
            if self.has_admin:
                self._listeners.open("admin", [self.settings.admin.listen], 1)
        except Exception:
            self._listeners.retain(before)
            raise

    @property
    def has_admin(self) -> bool:
        return any(kind.name == "admin" for kind, _ in self._slots)

    @property
    def ready(self) -> bool:
        """Whether every slot is filled by a child that serves."""
        filled = self.children
        ready = all(slot in filled and filled[slot].ready for slot in self._slots)
        self._was_ready = self._was_ready or ready
        return ready

    def slots(self) -> Iterator[Slot]:
        """All that is to run."""
        yield from self._slots

    def want_agent(self) -> Slot | None:
        """Make room for a privileged agent. Returns its slot, or None when there is one already."""
        slot = self._kinds["agent"], AGENT_ID
        if slot in self._slots:
            return None
        self._slots[slot] = []
        return slot

    def sockets(self) -> list[Key]:
        """The listening sockets that it uses."""
        return [key for keys in self._slots.values() for key in keys]

    def spawn(self, slot: Slot, now: float) -> Child:
        """Start the child of a slot. Raises OSError."""
        kind, index = slot
        has_lua = kind.name != "admin"
        child = Child(
            kind,
            index,
            self.number,
            settings_fd=self._settings_fd,
            listen_fds=[self._listeners.fd(key) for key in self._slots[slot]],
            shared_fds=self._regions.open(self.settings.shared_dicts) if has_lua else [],
            app=self.app,
            careful=self.number > 1 and not self._was_ready,
            now=now,
        )
        self.children[slot] = child
        return child

    def close(self) -> None:
        """Nothing will be started with these settings any more."""
        os.close(self._settings_fd)

    def describe(self) -> str:
        """What it serves, for the one line that a start prints."""
        settings = self.settings
        bound = self._listeners.bound

        def kind(address: Listen) -> str:
            return address.site or ("tls" if address.tls else "plain")

        served: dict[str, list[str]] = {}
        for each in settings.listen:
            served.setdefault(kind(each), []).append(str(bound("worker", each)))

        def say(words: dict[str, str]) -> list[str]:
            return [
                f"{word} on {' '.join(served[each])}"
                for each, word in words.items()
                if each in served
            ]

        parts = say(_SAID)
        if self.has_admin:
            key = f" (key in {self.key_file})" if self.key_file else ""
            parts.append(f"admin {bound('admin', settings.admin.listen)}{key}")
        parts += say(_SAID_LAST)
        parts.append(f"{settings.workers} worker{'s' if settings.workers > 1 else ''}")
        parts.append(f"application {self.app}" if self.app else _store(settings))
        return ", ".join(parts)


def _store(settings: Settings) -> str:
    if settings.provider == "etcd":
        return f"store etcd ({', '.join(settings.etcd.host)})"
    if settings.provider == "yaml":
        return f"store {settings.yaml_path}"
    return f"store embedded ({settings.embedded_path})"


def _of_an_application(settings: Settings) -> Settings:
    """An application stands in the gateway's place, so nothing answers at the gateway's sites."""
    return replace(settings, listen=tuple(each for each in settings.listen if not each.site))
