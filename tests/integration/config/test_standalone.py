"""apisix.yaml: reading it, following it, and what is said when it cannot be used."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pygw.config.standalone import StandaloneFile, parse
from pygw.config.yamlfile import ConfigError

WAIT = 20.0
GOOD = "routes:\n  - {id: 1, uri: /a}\n#END\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "conf" / "apisix.yaml"
    found.parent.mkdir()
    found.write_text(GOOD)
    return found


@pytest.fixture
def follow(path: Path) -> Iterator[Callable[..., StandaloneFile]]:
    """Starts following the file, and stops with the test."""
    files: list[StandaloneFile] = []

    def start(env: dict[str, str] | None = None) -> StandaloneFile:
        files.append(StandaloneFile(path, env))
        return files[-1]

    yield start
    for file in files:
        file.close()


def next_config(file: StandaloneFile, version: int) -> tuple[Any, int]:
    """Wait for the version after that one."""
    assert file.wait(version, WAIT) is not None
    text, found = file.config()
    return json.loads(text), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("routes: []\n", ":1: the last line must be #END"),
        ("#END\nroutes: []\n", ":2: the last line must be #END"),
        ("routes: [\n#END\n", ":3: not valid YAML: "),
        ("a: 1\nb: 1\na: 2\n#END\n", ":3: a: given twice \\(first on line 1\\)"),
        ("- a\n#END\n", ":1: must be a table"),
        ("a: ${{NO_SUCH}}\n#END\n", "environment variable NO_SUCH is not set"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    path: Path, text: str, message: str
) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as info:
        parse(path, {})
    assert str(info.value).startswith(str(path))


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        StandaloneFile(tmp_path / "none.yaml")


def test_what_is_not_utf_8_is_refused(path: Path) -> None:
    path.write_bytes(b"a: \xff\n#END\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        parse(path)


def test_variables_are_put_in_before_parsing(path: Path) -> None:
    path.write_text('a: ${{N}}\nb: "${{N}}"\nc: ${{ABSENT:=x}}\n#END')
    assert parse(path, {"N": "7"}) == {"a": 7, "b": "7", "c": "x"}


def test_an_empty_configuration_is_one(path: Path) -> None:
    path.write_text("#END\n")
    assert parse(path) == {}


def test_json_needs_no_end_and_keeps_the_types_of_variables(tmp_path: Path) -> None:
    path = tmp_path / "apisix.json"
    path.write_text('{"routes": [{"id": "1", "n": "${{N}}", "s": "\\u00e9"}]}')
    assert parse(path, {"N": "7"}) == {"routes": [{"id": "1", "n": 7, "s": "é"}]}


def test_broken_json_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "apisix.json"
    path.write_text('{"a": 1,\n "b": }')
    with pytest.raises(ConfigError, match=r"json:2: not valid JSON: .*column 7"):
        parse(path)


def test_a_change_is_seen_at_once(path: Path, follow: Callable[..., StandaloneFile]) -> None:
    file = follow()
    _, version = file.config()
    waiter = gevent.spawn(next_config, file, version)
    gevent.sleep(0)
    path.write_text(GOOD.replace("/a", "/b"))
    with gevent.Timeout(0.9):  # less than looking at it each second would take
        config, changed = waiter.get()
    assert config == {"routes": [{"id": 1, "uri": "/b"}]}
    assert changed > version


def test_without_a_change_the_wait_ends_after_its_time(
    follow: Callable[..., StandaloneFile],
) -> None:
    file = follow()
    assert file.wait(file.config()[1], 0.01) is None


def test_a_version_that_is_not_in_force_is_answered_at_once(
    follow: Callable[..., StandaloneFile],
) -> None:
    file = follow()
    assert file.wait(0, WAIT) == file.config()[1]


def test_a_broken_file_is_one_log_line_and_the_good_one_stays(
    path: Path, follow: Callable[..., StandaloneFile], caplog: pytest.LogCaptureFixture
) -> None:
    file = follow()
    before = file.config()
    path.write_text("routes: [\n#END\n")
    with gevent.Timeout(WAIT):
        while not caplog.records:
            gevent.sleep(0.005)
    assert file.config() == before
    path.write_text(GOOD.replace("/a", "/c"))
    config, _ = next_config(file, before[1])
    assert config["routes"][0]["uri"] == "/c"
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].startswith(f"{path}:3: not valid YAML")
    assert errors[0].endswith("the configuration in force stays")


def test_a_file_written_in_pieces_is_read_once_whole(
    path: Path, follow: Callable[..., StandaloneFile], caplog: pytest.LogCaptureFixture
) -> None:
    file = follow()
    _, version = file.config()
    with path.open("w") as out:
        for line in ("routes:\n", "  - {id: 1, uri: /p}\n", "#END\n"):
            out.write(line)
            out.flush()
            gevent.sleep(0)
    config, _ = next_config(file, version)
    assert config["routes"][0]["uri"] == "/p"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_file_replaced_by_renaming_is_seen(
    path: Path, follow: Callable[..., StandaloneFile]
) -> None:
    file = follow()
    _, version = file.config()
    for uri in ("/x", "/y"):
        new = path.with_suffix(".new")
        new.write_text(GOOD.replace("/a", uri))
        os.replace(new, path)
        config, version = next_config(file, version)
        assert config["routes"][0]["uri"] == uri


def test_a_configmap_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """Kubernetes: the file is a link through ..data, and that link is what gets replaced."""
    for name, uri in (("first", "/1"), ("second", "/2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "apisix.yaml").write_text(GOOD.replace("/a", uri))
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "apisix.yaml").symlink_to("..data/apisix.yaml")
    file = StandaloneFile(tmp_path / "apisix.yaml")
    _, version = file.config()
    (tmp_path / "..tmp").symlink_to("second")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    assert next_config(file, version)[0]["routes"][0]["uri"] == "/2"
    file.close()


def test_an_edit_of_what_a_link_leads_to_is_seen(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "apisix.yaml"
    link.symlink_to(path)
    file = StandaloneFile(link)
    _, version = file.config()
    path.write_text(GOOD.replace("/a", "/edited"))
    assert next_config(file, version)[0]["routes"][0]["uri"] == "/edited"
    file.close()


def test_a_file_that_goes_and_comes_back_is_followed_on(
    path: Path, follow: Callable[..., StandaloneFile], caplog: pytest.LogCaptureFixture
) -> None:
    file = follow()
    before = file.config()
    path.unlink()
    with gevent.Timeout(WAIT):
        while not caplog.records:
            gevent.sleep(0.005)
    assert file.config() == before
    path.write_text(GOOD.replace("/a", "/back"))
    assert next_config(file, before[1])[0]["routes"][0]["uri"] == "/back"


def test_closing_wakes_who_waits_and_leaves_no_descriptor(path: Path) -> None:
    StandaloneFile(path).close()
    before = set(os.listdir("/proc/self/fd"))
    file = StandaloneFile(path)
    waiter = gevent.spawn(file.wait, file.config()[1], WAIT)
    gevent.sleep(0)
    file.close()
    file.close()
    assert waiter.get(timeout=1) is None
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_log_beside_the_file_does_not_keep_its_changes_back(
    path: Path, follow: Callable[..., StandaloneFile]
) -> None:
    file = follow()
    _, version = file.config()

    def write_a_log() -> None:
        with path.with_name("error.log").open("w") as log:
            while True:
                log.write("x\n")
                log.flush()
                gevent.sleep(0.001)

    logging = gevent.spawn(write_a_log)
    path.write_text(GOOD.replace("/a", "/b"))
    config, _ = next_config(file, version)
    logging.kill()
    assert config["routes"][0]["uri"] == "/b"


def test_an_optional_file_may_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "debug.yaml"
    file = StandaloneFile(path, optional=True)
    try:
        text, version = file.config()
        assert json.loads(text) == {}
        path.write_text("basic: {enable: true}\n#END\n")
        config, version = next_config(file, version)
        assert config == {"basic": {"enable": True}}
        path.unlink()
        config, version = next_config(file, version)
        assert config == {}
    finally:
        file.close()


def test_an_optional_file_that_is_bad_counts_as_absent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "debug.yaml"
    path.write_text("basic: {enable: true}\n")
    file = StandaloneFile(path, optional=True)
    try:
        assert json.loads(file.config()[0]) == {}
        assert "the last line must be #END" in caplog.text
    finally:
        file.close()
