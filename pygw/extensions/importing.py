"""Owns the import of extensions by name or by file, and what is said of one that fails.

Must never know what is in them.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

_OURS = (__file__, str(Path(__file__).with_name("manager.py")), importlib.__file__)


class ExtensionError(Exception):
    """An extension that cannot be used; the message names it, where it is and why."""


def import_named(name: str, base: Path) -> ModuleType:
    """The module of that name, or of that file, relative to `base`. Raises ExtensionError."""
    try:
        if name.endswith(".py") or "/" in name:
            return _import_file((base / name).resolve())
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ExtensionError(
            f"pygw.python_plugins: cannot import {name}: {describe_error(error)}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    module_name = "pygw_extension" + re.sub(r"\W", "_", str(path.with_suffix("")))
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError("a Python file ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def describe_error(error: BaseException) -> str:
    """The error in one line, with the place in the extension where it was raised."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, (SyntaxError, FileNotFoundError)):  # they say where themselves
        return text
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if not _is_ours(frame)]
    return f"{text} ({places[-1]})" if places else text


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename in _OURS or frame.filename.startswith("<frozen")
