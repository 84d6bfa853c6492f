"""`pygw new plugin`: what it writes passes at once, and nothing is overwritten."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

LANGUAGES = ["lua", "python"]


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def new(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(directory, "pygw", "new", "plugin", *options)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", ["team-header", "a", "x2_y"])
def test_its_tests_pass_at_once(tmp_path: Path, lang: str, name: str) -> None:
    done = new(tmp_path, name, "--lang", lang)
    assert done.returncode == 0, done.stderr
    project = tmp_path / name
    written = re.findall(r"^pygw: wrote (\S+)$", done.stdout, re.M)
    there = [path for path in project.rglob("*") if path.is_file()]
    assert sorted(written) == sorted(str(path.relative_to(tmp_path)) for path in there)
    assert len(there) == 3
    tests = run(project, "pytest", "-p", "no:cacheprovider", "tests")
    assert tests.returncode == 0, tests.stdout
    assert "3 passed" in tests.stdout


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_readme_holds(tmp_path: Path, lang: str) -> None:
    new(tmp_path, "team-header", "--lang", lang, "--dir", "here/there")
    project = tmp_path / "here" / "there"
    readme = (project / "README.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", readme, re.S)
    assert len(blocks) == 2
    for file, text in zip(("config.yaml", "apisix.yaml"), blocks, strict=True):
        (project / file).write_text(text)
    checked = run(project, "pygw", "test")
    assert checked.returncode == 0, checked.stderr
    asked = re.search(r"^\$ pygw (get .*)\n(.*)\n", readme, re.M)
    assert asked
    assert run(project, "pygw", *shlex.split(asked[1])).stdout.strip() == asked[2]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_there_is_not_overwritten(tmp_path: Path, lang: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("mine")
    done = new(tmp_path, "team-header", "--lang", lang, "--dir", ".")
    assert done.returncode == 1
    assert done.stderr == "pygw: nothing is written, since there is already README.md\n"
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert readme.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["", "Team", "team header", "../up", "a.b", "-x", "x-", "1a", "é", "x" * 65]
)
def test_bad_names(tmp_path: Path, name: str) -> None:
    done = new(tmp_path, "--lang", "lua", "--", name)
    assert done.returncode == 2
    assert f"Invalid value for 'NAME': \"{name}\": small letters" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["limit-count", "--lang", "lua"], '"limit-count" is a plugin of pygw\'s own'),
        (["mine", "--lang", "ruby"], "'ruby' is not one of 'lua', 'python'"),
        (["mine"], "Missing option '--lang'"),
        (["--lang", "lua"], "Missing argument 'NAME'"),
    ],
)
def test_other_mistakes(tmp_path: Path, options: list[str], said: str) -> None:
    done = new(tmp_path, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "plugins").write_text("")
    done = new(tmp_path, "mine", "--lang", "lua", "--dir", ".")
    assert done.returncode == 1
    assert done.stderr == "pygw: plugins: File exists\n"
