"""Owns the files in memory that shared dictionaries (ngx.shared) live in, as the master holds them.

A file is a memfd; children inherit it and map it. It outlives any of them, and a reload too unless
the dictionary's size changes, as in nginx. Must never look into one: lua/ngx/shdict lays it out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

Key = tuple[str, int]  # name and size in bytes


class Regions:
    """The files by name and size of their dictionary."""

    def __init__(self) -> None:
        self._fds: dict[Key, int] = {}

    def open(self, sizes: Mapping[str, int]) -> list[int]:
        """The files of these dictionaries, in the order of their names. Raises OSError."""
        for key in sizes.items():
            if key not in self._fds:
                self._fds[key] = os.memfd_create(f"pygw-shared-{len(self._fds)}", os.MFD_CLOEXEC)
        return [self._fds[name, sizes[name]] for name in sorted(sizes)]

    def retain(self, sizes: Mapping[str, int]) -> None:
        """Let go of every file that is not one of these; who has mapped it keeps it."""
        self._close([key for key in self._fds if key not in sizes.items()])

    def close(self) -> None:
        """Let go of them all."""
        self._close(list(self._fds))

    def _close(self, keys: Iterable[Key]) -> None:
        for key in keys:
            os.close(self._fds.pop(key))
