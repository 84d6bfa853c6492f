"""Owns what a Lua file reaches for: paths from modules and globals, and the modules it requires.

Must never look into a VM: whether what is reached for exists is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

# A call and a read need the path; what only keeps its value, or looks whether it is there (a test:
# "if ngx.x then", type(ngx.x), anything below pcall), lives with nil.
Manner = Literal["call", "read", "keep", "test"]


@dataclass(frozen=True)
class Path:
    """What a name stands for: names, followed from a module's value or, None, the globals."""

    module: str | None
    names: tuple[str, ...] = ()

    def __truediv__(self, name: str) -> Path:
        return Path(self.module, (*self.names, name))

    def parents(self) -> Iterator[Path]:
        """Itself and what it leads through, the longest first."""
        for length in range(len(self.names), 0, -1):
            yield Path(self.module, self.names[:length])

    def __str__(self) -> str:
        if self.module is None:
            return ".".join(self.names)
        module = self.module.removeprefix("apisix.") if self.module == "apisix.core" else None
        return ".".join((module or f'require("{self.module}")', *self.names))


@dataclass(frozen=True)
class Text:
    """A string that the source says; whole: nothing unknown follows it."""

    value: str
    whole: bool = True


Value = Path | Text | None  # None: unknown


@dataclass(frozen=True)
class Use:
    """A path that the source follows, and how."""

    path: Path
    manner: Manner
    line: int


@dataclass(frozen=True)
class Require:
    """A module that the source requires. optional: below pcall; whole: else a name's beginning."""

    module: str
    line: int
    optional: bool
    whole: bool


@dataclass
class Reach:
    """All that one file reaches for. written: paths that it sets itself."""

    uses: list[Use] = field(default_factory=list)
    requires: list[Require] = field(default_factory=list)
    written: set[Path] = field(default_factory=set)

    @property
    def tested(self) -> set[Path]:
        """What the file itself looks at before it relies on it."""
        return {use.path for use in self.uses if use.manner == "test"}
