"""docs/hooks.md says what pygw/hookspecs.py says."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pluggy
import pytest

from pygw import hookspecs

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs/hooks.md").read_text()
HOOKS = [name for name in vars(hookspecs) if name.startswith("pygw_")]
TYPES = [each for each in vars(hookspecs).values() if dataclasses.is_dataclass(each)]


def signature(name: str) -> str:
    """As it stands in the file: annotations are text there."""
    return name + str(inspect.signature(getattr(hookspecs, name))).replace("'", "")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_stands_there_with_its_exact_signature(name: str) -> None:
    rows = re.findall(rf"^\| `({name}\(.*?)` \|", DOCS, re.M)
    assert [row.replace("\\|", "|") for row in rows] == [signature(name)]


def test_no_hook_stands_there_that_is_none() -> None:
    assert set(re.findall(r"\bpygw_\w+", DOCS)) == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_typed_and_says_when_in_a_line(name: str) -> None:
    hook = getattr(hookspecs, name)
    assert hook.pygw_spec
    parameters = inspect.signature(hook).parameters.values()
    assert all(each.annotation is not each.empty for each in parameters)
    assert hook.__doc__
    first = hook.__doc__.splitlines()[0]
    assert first.startswith(("Called ", "Return "))
    assert first.endswith(".")


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_every_field_of_what_hooks_are_given_stands_there(cls: Any) -> None:
    for field in dataclasses.fields(cls):
        assert re.search(rf"`{field.name}\b|[(, ]{field.name}[=,)]", DOCS), field.name


def test_the_hooks_of_the_page_are_hooks() -> None:
    for source in re.findall(r"^```python\n(.*?)^```$", DOCS, re.M | re.S):
        manager = pluggy.PluginManager("pygw")
        manager.add_hookspecs(hookspecs)
        namespace: dict[str, Any] = {"__name__": __name__}
        exec(source, namespace)
        module = type("Module", (), namespace)
        manager.register(module)
        assert manager.get_hookcallers(module)
