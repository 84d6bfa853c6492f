"""The loading of extension modules: what is found in them, and what is said of a bad one."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pygw.config.settings import load as load_settings
from pygw.extensions.manager import ExtensionError, Extensions

HEAD = "from pygw.plugin import Plugin\nfrom pygw.hookspecs import hookimpl\n"
GOOD = """
class Good(Plugin):
    name, priority, schema = "good", 1, {}
    def access(self, conf, ctx): ...
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Load files given as name=text; `names` instead of all of them."""

    def run(names: list[str] | None = None, **files: str) -> Any:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(HEAD + textwrap.dedent(text))
        every = [f"{name.replace('__', '/')}.py" for name in files]
        own = {"python_plugins": every if names is None else names, "entry_points": False}
        (tmp_path / "config.yaml").write_text(json.dumps({"pygw": own}))
        return Extensions(load_settings(tmp_path / "config.yaml"))

    return run


def test_nothing_named_is_nothing_loaded(load: Any) -> None:
    assert load().find_plugins() == {}


def test_classes_of_a_module_are_found_bases_and_imported_ones_are_not(load: Any) -> None:
    source = """
    from pygw.plugin import Plugin as Imported
    class _Base(Plugin):
        priority, schema = 1, {}
        def access(self, conf, ctx): ...
    class One(_Base): name = "one"
    class Two(_Base): name = "two"
    """
    plugins = load(p=source).find_plugins()
    assert list(plugins) == ["one", "two"]
    assert [type(plugin).__name__ for plugin in plugins.values()] == ["One", "Two"]


def test_pygw_plugins_adds_classes_from_elsewhere_once(load: Any) -> None:
    source = GOOD + "\n@hookimpl\ndef pygw_plugins(): return [Good, type('N', (Good,), NEW)]"
    found = load(p="NEW = {'name': 'new'}\n" + source).find_plugins()
    assert list(found) == ["good", "new"]


def test_two_files_of_one_name_are_two_modules(load: Any) -> None:
    extensions = load(a__p=GOOD, b__p=GOOD.replace('"good"', '"other"'))
    assert list(extensions.find_plugins()) == ["good", "other"]


def test_a_module_that_can_be_imported_is_named_with_dots(load: Any) -> None:
    with pytest.raises(ExtensionError, match="json.decoder has neither a plugin nor a hook"):
        load(["json.decoder"])


def test_a_module_may_have_hooks_alone(load: Any) -> None:
    extensions = load(p="@hookimpl\ndef pygw_worker_start(worker_id): ...")
    assert (extensions.find_plugins(), extensions.faults) == ({}, [])
    assert len(extensions.manager.hook.pygw_worker_start.get_hookimpls()) == 1


def test_a_hook_may_take_fewer_arguments(load: Any) -> None:
    manager = load(p="@hookimpl\ndef pygw_worker_start(): seen.append(1)\nseen = []").manager
    manager.hook.pygw_worker_start(worker_id=0, config={})
    assert manager.get_plugin("p.py").seen == [1]


HOOK_FAULTS = {
    "@hookimpl\ndef pygw_worker_begin(): ...": "there is no hook `pygw_worker_begin`; the hooks",
    "def pygw_nothing(): ...": "there is no hook `pygw_nothing`; the hooks are pygw_master_start, ",
    "def pygw_worker_start(worker_id): ...": "`pygw_worker_start` lacks its mark: put @pygw.hook",
    "@hookimpl\nasync def pygw_worker_start(worker_id): ...": "`pygw_worker_start` is `async def`",
    "@hookimpl\ndef pygw_worker_start(number): ...": "Argument(s) {'number'} are declared in the",
}


@pytest.mark.parametrize("source", HOOK_FAULTS)
def test_a_wrong_hook_is_refused_in_one_line(load: Any, source: str) -> None:
    with pytest.raises(ExtensionError) as raised:
        load(p=source)
    message = str(raised.value)
    assert message.startswith("pygw.python_plugins: p.py: ")
    assert HOOK_FAULTS[source] in message
    assert "\n" not in message


def test_what_begins_like_a_hook_but_is_no_function_is_left_alone(load: Any) -> None:
    load(p=GOOD + "\nimport pygw.plugin as pygw_plugin\npygw_number = 7")


IMPORT_FAULTS = {
    "import nothing_like_it": "ModuleNotFoundError: No module named 'nothing_like_it' ({file}:3)",
    "def f(:": "SyntaxError: invalid syntax (p.py, line 3)",
    "x = 1\ny = x / 0": "ZeroDivisionError: division by zero ({file}:4)",
    "raise ValueError('one\\n two')": "ValueError: one two ({file}:3)",
    "raise SystemExit(3)": "SystemExit: 3 ({file}:3)",
}


@pytest.mark.parametrize("source", IMPORT_FAULTS)
def test_a_module_that_cannot_be_imported_is_named_with_the_place(
    load: Any, tmp_path: Path, source: str
) -> None:
    before = set(sys.modules)
    faults = load(p=source).faults
    expected = IMPORT_FAULTS[source].format(file=tmp_path / "p.py")
    assert faults == [f"pygw.python_plugins: cannot import p.py: {expected}"]
    assert not {name for name in set(sys.modules) - before if name.startswith("pygw_extension")}


@pytest.mark.parametrize("name", ["gone.py", "./gone.py", "gone_module"])
def test_a_module_that_is_not_there_is_named(load: Any, name: str) -> None:
    (fault,) = load([name]).faults
    assert re.search(f"cannot import {name}: .*gone", fault)


def test_a_module_named_twice_is_refused(load: Any) -> None:
    with pytest.raises(ExtensionError, match="p.py stands there twice"):
        load(["p.py", "p.py"], p=GOOD)


FIND_FAULTS = {
    GOOD + "    def __init__(self): raise ValueError('no')": "cannot be made: ValueError: no (",
    "@hookimpl\ndef pygw_plugins(): return [7]": "7 is no subclass of pygw.plugin.Plugin",
    "@hookimpl\ndef pygw_plugins(): return 7": "a pygw_plugins hook failed: TypeError: 'int'",
    "@hookimpl\ndef pygw_plugins(): 1 / 0": "a pygw_plugins hook failed: ZeroDivisionError",
    GOOD + GOOD.replace("Good", "Also"): 'two Python plugins have the name "good": Good (',
}


@pytest.mark.parametrize("source", FIND_FAULTS)
def test_a_wrong_plugin_is_refused(load: Any, source: str) -> None:
    extensions = load(p=source)
    extensions.find_plugins()
    (fault,) = extensions.faults
    assert FIND_FAULTS[source] in fault
