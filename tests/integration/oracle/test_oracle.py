"""Every snippet gives in pygw what it gives in nginx + ngx_lua: status, headers, body, log lines.

A snippet that differs says in its `differs` which part does, and why.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.oracle import Both, Snippet, load_snippets, running_both
from support.oracle_answers import Answer, ask, reconciled, start

HERE = Path(__file__).parent
SNIPPETS = load_snippets(HERE / "snippets")


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with running_both(SNIPPETS, HERE) as servers:
        yield servers


def as_text(answer: Answer) -> list[str]:
    return [line for part, text in answer.items() for line in [f"[{part}]", *text.split("\n")]]


def differences(both: Both, snippet: Snippet) -> list[str]:
    theirs, ours = ask(both.theirs, snippet), ask(both.ours, snippet)
    ours = reconciled(theirs, ours)
    agreed = [part for part in snippet.differs if theirs.pop(part, "") == ours.pop(part, "")]
    told = [f"{part} does not differ (any more)" for part in agreed]
    lines = difflib.unified_diff(as_text(theirs), as_text(ours), "nginx", "pygw", lineterm="")
    return [*told, *lines]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda each: each.id)
def test_the_same(both: Both, snippet: Snippet) -> None:
    found = differences(both, snippet) and differences(both, snippet)  # nginx under load is late
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_the_start_is_logged_alike(both: Both) -> None:
    theirs, ours = start(both.theirs), start(both.ours)
    ours = reconciled(theirs, ours)
    lines = difflib.unified_diff(as_text(theirs), as_text(ours), "nginx", "pygw", lineterm="")
    if theirs != ours:
        pytest.fail("\n".join(lines), pytrace=False)


def test_every_difference_has_its_reason() -> None:
    assert all(reason for each in SNIPPETS for reason in each.differs.values())
