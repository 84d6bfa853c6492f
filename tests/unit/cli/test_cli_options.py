"""What the commands take, print and exit with."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pygw import __version__
from pygw.cli import main
from pygw.cli.options import settings_from
from pygw.config.settings import Listen


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pygw(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="pygw")


def test_version() -> None:
    assert pygw("version").output == f"pygw {__version__}\n"


def test_help_shows_every_command() -> None:
    shown = pygw("--help").output
    for command in ("run", "test", "version", "stop", "quit", "reload", "reopen"):
        assert f"\n  {command} " in shown


@pytest.mark.parametrize(
    "address", ["x", "1:2:3", "localhost:80", "127.0.0.1:", "99999", "-1", "²"]
)
def test_a_bad_listen_address_is_refused(address: str) -> None:
    result = pygw("run", "--listen", address)
    assert result.exit_code == 2
    assert f"Invalid value for '--listen': \"{address}\":" in result.output


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5"])
def test_a_bad_number_of_workers_is_refused(count: str) -> None:
    result = pygw("run", "--workers", count)
    assert result.exit_code == 2
    assert f'"{count}" is neither "auto" nor a number of at least 1' in result.output


def test_the_configuration_of_the_current_directory_is_the_default(directory: Path) -> None:
    one_address = "apisix: {node_listen: %d, enable_ipv6: false, enable_control: false}"
    assert settings_from(None).source == "built-in defaults"
    (directory / "config.yaml").write_text(one_address % 81)
    assert settings_from(None).listen == (Listen("0.0.0.0", 81),)
    (directory / "other.yaml").write_text(one_address % 82)
    assert settings_from(Path("other.yaml")).listen == (Listen("0.0.0.0", 82),)


def test_options_win_over_the_file(directory: Path) -> None:
    (directory / "config.yaml").write_text(
        "apisix: {enable_control: false}\nnginx_config: {worker_processes: 4}"
    )
    settings = settings_from(None, [{"ip": "::1", "port": 1}], 2)
    assert (settings.listen, settings.workers) == ((Listen("::1", 1),), 2)


def test_stop_without_a_gateway_says_so(directory: Path) -> None:
    result = pygw("stop")
    assert (result.exit_code, result.output) == (
        1,
        f"pygw: no pygw runs with {directory}/run/pygw.pid\n",
    )
