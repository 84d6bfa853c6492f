"""Blocks of Test::Nginx files: those that pass, fail and are skipped, and what the last two say."""

from __future__ import annotations

import re

import pytest
from support.tfiles import PROJECT, Run, blocks_of

# What of a block of wrong.t is said, line by line, between its place and its log.
WRONG = {
    "TEST 1: all that is wrong": r"""status '200', not '201'
header X-Wanted: None, not 'yes'
body 'came\\n', not 'wanted\\n'
'another line' matches no line of the error log
'about to' must match no line of the error log: '.*\[warn\].* about to answer, client: .*\\n'""",
    "TEST 2: same name (2)": r"body 'first\\n', not 'second\\n'",
    "TEST 3: a worker that does not start": r"the worker does not start: init_by_lua"
    r"\(nginx\.conf:25\):1: not with me\nstack traceback:\n(?s:.*)",
    "TEST 4: a worker that must not start": "must_die, but it serves",
    "TEST 5: nothing comes": r"no end of the response within 0\.2 s; got b''\nstatus '', not '200'",
    "TEST 6: one value for two requests": "response_body must be a list, "
    "since there are 2 requests",
    "TEST 7: too few values": r"response_body has no value for request 2; got 'hello\\n'",
    "TEST 8: a filter that there is not": "unknown filter 'roman' of section response_body\n",
    "TEST 9: nor this": "response_body_filters: there is no 'roman'",
    "TEST 10: nginx.conf": r'unexpected end of file, expecting "}" in nginx\.conf:\d+',
    "TEST 11: a variable that nobody has set": "the environment has no TEST_NGINX_NOBODY",
    "TEST 12: no request": "the block has no request",
    "TEST 13: the exit code": "the exit code is 1, not 2",
    "TEST 14: the access log": "'POST' matches no line of the access log, which is "
    """'.*"GET /t .*'""",
    "TEST 15: what a server was asked": "tcp_query 'abc', not 'abd'",
    "TEST 16: a pattern that Python has not": r"a pattern of section error_log: .*\?\|.*",
    "TEST 17: the same as a text": r".*\?\|.*",
}
SKIPPED = {
    "TEST 1: marked": "marked SKIP",
    "TEST 2: by code": "skip_eval: $^O eq 'linux'",
    "TEST 3: old nginx alone": "skip_nginx: 2: > 1.2.3: too new",
    "TEST 4: two versions": "skip_nginx2: 2: < 1.2.3 or >= 1.27.0",
    "TEST 5: OpenSSL": "skip_openssl: 2: > 1.1.1h",
    "TEST 6: to be done": "todo: when there is time",
    "TEST 7: to be done in newer ones": "todo_nginx: >= 1.20.0",
    "TEST 8: nginx's streams": "section stream_server_config is not supported here: "
    "nginx's stream subsystem",
    "TEST 9: HTTP/2": "section http2 is not supported here: HTTP/2",
    "TEST 10: Perl code as a section": "section tcp_reply is not supported here as Perl code",
    "TEST 11: a directive of nobody's": "directive perl_set",
}


@pytest.mark.parametrize("file", ["requests", "logs", "own"])
def test_all_blocks_of_a_file_pass(whole: Run, file: str) -> None:
    for name in blocks_of(file):
        assert f"{file}::{name}" in whole.passed, whole.said


def test_only_and_last_choose_blocks(whole: Run) -> None:
    names = whole.passed | whole.skipped.keys() | whole.failed.keys()
    assert {each for each in names if each.startswith("only")} == {"only::TEST 2: this"}
    assert {each for each in names if each.startswith("last")} == {f"last::{blocks_of('last')[0]}"}


def test_a_skip_says_why_and_where(whole: Run) -> None:
    assert whole.skipped == {f"skips::{name}": why for name, why in SKIPPED.items()}
    assert f"skips::{blocks_of('skips')[-1]}" in whole.passed


@pytest.mark.parametrize("name", WRONG)
def test_a_failure_says_all_that_is_wrong(whole: Run, name: str) -> None:
    said = whole.failed[f"wrong::{name}"]
    place = r".*/shop/t/deeper/wrong\.t:\d+\n"
    kept = r"(?:kept: .*\n)?"
    log = r"error\.log (?:is empty|ends with:\n(?s:.*))"
    assert re.fullmatch(f"{place}{WRONG[name]}\n{kept}{log}", said), said


def test_nothing_else_fails(whole: Run) -> None:
    patience = "patience::TEST 1: as long as the file says"
    assert whole.failed.keys() == {patience, *(f"wrong::{name}" for name in WRONG)}
    assert "no end of the response within 0.1 s; got b''" in whole.failed[patience]
    assert "wrong::TEST 2: same name" in whole.passed


def test_a_failure_names_the_line_of_its_block(whole: Run) -> None:
    lines = (PROJECT / "t" / "deeper" / "wrong.t").read_text().splitlines()
    for name in WRONG:
        said = whole.failed[f"wrong::{name}"]
        number = re.match(r".*wrong\.t:(\d+)$", said, re.M)
        assert number
        assert lines[int(number[1]) - 1] == "=== " + name.removesuffix(" (2)")


def test_a_failure_ends_with_the_error_log(whole: Run) -> None:
    said = whole.failed["wrong::TEST 1: all that is wrong"]
    assert re.search(r"^error\.log ends with:\n\S+ \S+ \[warn\].* about to answer, ", said, re.M)


def test_a_misspelt_section_is_warned_of(whole: Run) -> None:
    said = re.findall(r"(\S+): PytestWarning: (section .*)$", whole.said, re.M)
    line = (PROJECT / "t" / "own.t").read_text().splitlines().index(f"=== {blocks_of('own')[3]}")
    text = "section reponse_body means nothing to Test::Nginx; is it response_body?"
    assert said == [(f"t/own.t:{line + 1}", text)]
