"""What an author says on the command line, and what is answered when it cannot be done."""

from __future__ import annotations

import re
from pathlib import Path

from support.tfiles import Run, blocks_of, run

USAGE_ERROR = 4
INTERRUPTED = 2  # by errors of collection


def test_a_file_that_is_not_there(project: Path) -> None:
    found = run(project, "--pygw-t", "t/nothing.t")
    assert found.code == USAGE_ERROR
    assert "ERROR: --pygw-t t/nothing.t: no such file or directory" in found.said


def test_no_perl(project: Path) -> None:
    found = run(project, "--pygw-t", "t/own.t", PATH="/nothing")
    assert found.code == USAGE_ERROR
    assert "ERROR: --pygw-t: needs perl, which reads the files" in found.said


def test_a_perl_that_is_not_whole(project: Path) -> None:
    perl = project / "perl"
    perl.write_text("#!/bin/sh\nexit 2\n")
    perl.chmod(0o755)
    found = run(project, "--pygw-t", "t/own.t", PATH=f"{project}:/usr/bin:/bin")
    assert found.code == USAGE_ERROR
    assert f"{perl} lacks what belongs to it (JSON::PP)" in found.said


def test_a_file_that_perl_does_not_take(project: Path) -> None:
    (project / "t" / "broken.t").write_text("use Test::Nginx::Socket;\nrun_tests(;\n")
    (project / "t" / "other.t").write_text("use No::Such::Module;\nrun_tests();\n")
    (project / "t" / "told.t").write_text(
        "use Test::Nginx::Socket;\nplan(skip_all => 'no time');\nrun_tests();\n"
    )
    options = [f"t/{name}.t" for name in ("broken", "other", "told")]
    found = run(project, *(word for name in options for word in ("--pygw-t", name)))
    assert found.code == INTERRUPTED
    for name, why in (
        ("broken", r"syntax error at t/broken\.t line 2"),
        ("other", r"Can't locate No/Such/Module\.pm"),
    ):
        assert re.search(rf"ERROR collecting t/{name}\.t .*\n{why}", found.said), found.said
    assert "told" not in found.said.partition("short test summary")[2]


def test_blocks_are_listed_and_not_run(project: Path) -> None:
    found = run(project, "-q", "--collect-only", "--pygw-t", "t/own.t", "--pygw-t", "t/deeper")
    assert "t/deeper/patience.t::TEST 1: as long as the file says" in found.said
    assert found.code == 0
    listed = re.findall(r"^(\S+\.t)::(.*)$", found.said, re.M)
    wrong = re.findall(r"^=== (.*)$", (project / "t" / "deeper" / "wrong.t").read_text(), re.M)
    again = wrong.index("TEST 2: same name", 2)
    wrong[again] += " (2)"
    assert [name for file, name in listed if file == "t/own.t"] == blocks_of("own")
    assert [name for file, name in listed if file == "t/deeper/wrong.t"] == wrong


def test_one_block_by_its_name_beside_a_test_in_python(project: Path) -> None:
    (project / "test_it.py").write_text("def test_it():\n    pass\n")
    (project / "test_other.py").write_text("def test_it():\n    assert False\n")
    chosen = ["--pygw-t", "t", "--pygw-t-jobs", "1", "-k", "pipelined or test_it"]
    found = run(project, "test_it.py", *chosen)
    assert found.code == 0, found.said
    assert "requests::TEST 4: pipelined" in found.passed
    assert any(name.endswith("::test_it") for name in found.passed)


def test_what_blocks_ran_with_is_kept(whole: Run) -> None:
    kept = re.search(r"^kept: (.*)/t/deeper/wrong/1-TEST-1-all-that-is-wrong$", whole.said, re.M)
    assert kept
    root = Path(kept[1]) / "t"
    both = [root / "deeper" / "wrong" / f"{number}-TEST-2-same-name" for number in (2, 3)]
    assert all((each / "conf" / "nginx.conf").exists() for each in both)
    log = root / "deeper" / "wrong" / "1-TEST-1-all-that-is-wrong" / "logs" / "error.log"
    assert "about to answer" in log.read_text()
    assert (
        root / "requests" / "7-TEST-7-files-with-their-times" / "html" / "sub" / "b.txt"
    ).exists()
    ran = {each.name.partition("-TEST")[0] for each in (root / "skips").iterdir()}
    assert ran == {"11", "12"}


def test_a_file_without_t_around_it_and_one_of_another_name(tmp_path: Path) -> None:
    text = """use Test::Nginx::Socket 'no_plan';
run_tests();
__DATA__
=== TEST 1: its own directory
--- config
    location = /t { content_by_lua_block { ngx.say(require("beside").name) } }
--- http_config
    lua_package_path "?.lua;;";
--- request
GET /t
--- response_body
beside
"""
    (tmp_path / "blocks.test").write_text(text)
    (tmp_path / "beside.lua").write_text('return { name = "beside" }\n')
    found = run(tmp_path, "--pygw-t", "blocks.test")
    assert found.code == 0, found.said
    assert not (tmp_path / "servroot").exists()
    assert not (tmp_path / "t").exists()
