"""Files of APISIX's own style: whole gateways, what blocks leave for the next, their sections."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tfiles import Run, run

PROJECT = Path(__file__).with_name("apisix_project")


def blocks_of(name: str) -> list[str]:
    text = (PROJECT / "t" / "plugin" / f"{name}.t").read_text()
    return [f"{name}::{each}" for each in re.findall(r"^=== (.*)$", text, re.M)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All files of the project, run once."""
    project = shutil.copytree(PROJECT, tmp_path_factory.mktemp("apisix") / "project")
    yield run(project, "--pygw-t", "t", "--pygw-t-keep", str(project / "kept"))
    shutil.rmtree(project)


@pytest.mark.parametrize("file", ["greeter", "others", "hup"])
def test_blocks_pass_but_for_those_that_say_otherwise(whole: Run, file: str) -> None:
    for name in blocks_of(file):
        if "fails by" not in name and "a stream" not in name:
            assert name in whole.passed, whole.said


def test_an_error_in_the_log_fails_a_block_that_says_nothing_of_it(whole: Run) -> None:
    (said,) = whole.failed.values()
    assert re.search(r"greeter\.t:\d+\n'\[error\]' must match no line of the error log: ", said)
    assert "refused to greet Ann" in said


def test_streams_are_skipped_by_name(whole: Run) -> None:
    assert whole.skipped == {
        "others::TEST 7: a stream": "section stream_request is not supported here: "
        "nginx's stream subsystem"
    }


def test_a_block_alone_finds_an_empty_store(tmp_path: Path) -> None:
    project = shutil.copytree(PROJECT, tmp_path / "project")
    found = run(project, "--pygw-t", "t/plugin/greeter.t", "-k", "greeted")
    (said,) = found.failed.values()
    assert "status '404', not '200'" in said


def test_without_a_checkout_around_it(tmp_path: Path) -> None:
    file = tmp_path / "alone.t"
    file.write_text("""use t::APISIX 'no_plan';
run_tests();
__DATA__

=== TEST 1: alone
--- apisix_yaml
routes:
  - uri: /hello
    plugins: {key-auth: {}}
    upstream: {type: roundrobin, nodes: {"127.0.0.1:1982": 1}}
consumers:
  - {username: ann, plugins: {key-auth: {key: secret}}}
#END
--- request eval
["GET /hello", "GET /hello"]
--- more_headers eval
["", "apikey: secret"]
--- error_code eval
[401, 200]
--- response_body eval
['{"message":"Missing API key in request"}' . "\\n", "hello world\\n"]
""")
    found = run(tmp_path, "--pygw-t", "alone.t")
    assert found.code == 0, found.said
