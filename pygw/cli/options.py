"""Owns the options that commands share, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import click

from pygw.config.settings import Settings, load
from pygw.config.yamlfile import ConfigError, KeyPath

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEFAULT_CONFIG = Path("config.yaml")


def parse_listen(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[int | dict[str, Any]]:
    """Turn PORT, IP:PORT and [IPV6]:PORT into entries of apisix.node_listen."""
    return [_listen_entry(value) for value in values]


def _listen_entry(value: str) -> int | dict[str, Any]:
    ip, _, port = value.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f'"{value}": the port must be a number from 0 to 65535')
    if not ip:
        return int(port)
    try:
        ip_address(ip.strip("[]"))
    except ValueError:
        raise click.BadParameter(f'"{value}": "{ip}" is not an IP address') from None
    return {"ip": ip.strip("[]"), "port": int(port)}


def parse_workers(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | str | None:
    """Turn a number of workers, or "auto", into nginx_config.worker_processes."""
    if value is None or value == "auto":
        return value
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise click.BadParameter(f'"{value}" is neither "auto" nor a number of at least 1')
    return int(value)


def parse_address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """Turn PORT, IP:PORT and [IPV6]:PORT into a host and a port."""
    if value is None:
        return None
    entry = _listen_entry(value)
    return ("127.0.0.1", entry) if isinstance(entry, int) else (entry["ip"], entry["port"])


def parse_header(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Turn "NAME: VALUE" into pairs."""
    pairs = [value.partition(":") for value in values]
    for name, colon, _ in pairs:
        if not (name and colon):
            raise click.BadParameter(f'"{name}": must be "NAME: VALUE"')
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def first_address(settings: Settings) -> tuple[str, int]:
    """Where plain HTTP reaches the gateway from this machine. Raises ConfigError."""
    for listen in settings.listen:
        if not listen.tls:
            wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
            return wildcard.get(listen.ip, listen.ip), listen.port
    raise ConfigError("no address of plain HTTP in apisix.node_listen", file=str(settings.source))


def config_option(command: _Command) -> _Command:
    """Add -c/--config."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The configuration file [default: ./config.yaml if it is there].",
    )(command)


def app_option(command: _Command) -> _Command:
    """Add --app."""
    return click.option(
        "--app",
        type=click.Path(exists=True, dir_okay=False, resolve_path=True),
        help="Run this Lua application instead of the gateway; the Admin API stays off.",
    )(command)


def settings_from(
    config: Path | None, listen: Sequence[Any] = (), workers: int | str | None = None
) -> Settings:
    """Load the settings that the options ask for. Raises ConfigError."""
    if config is None and DEFAULT_CONFIG.exists():
        config = DEFAULT_CONFIG
    overrides: dict[KeyPath, Any] = {}
    if listen:
        overrides["apisix", "node_listen"] = listen
    if workers is not None:
        overrides["nginx_config", "worker_processes"] = workers
    return load(config, overrides=overrides)
