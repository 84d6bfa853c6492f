"""Owns the commands of `pygw`: what each is called, takes, prints and exits with."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from pygw import __version__
from pygw.cli.extended import Commands
from pygw.cli.options import (
    app_option,
    config_option,
    first_address,
    parse_address,
    parse_header,
    parse_listen,
    parse_workers,
    settings_from,
)
from pygw.config.yamlfile import ConfigError


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    r"""A gateway in Python that runs APISIX-style Lua plugins unchanged.

    \b
    pygw run -c config.yaml     serve, in the foreground
    pygw test -c config.yaml    check the configuration, start nothing
    pygw check apisix.yaml      check routes and all that, with line and column
    pygw check plugins/         check whether plugins can run here
    pygw reload -c config.yaml  have a running gateway read it again
    pygw trace GET /path        show what plugins do to a request
    pygw get /path              one request, without a server
    pygw shell                  a Lua and Python prompt inside a worker
    pygw new plugin NAME        write a plugin and its tests
    """


@main.command()
@config_option
@app_option
@click.option(
    "--listen",
    metavar="ADDR",
    callback=parse_listen,
    multiple=True,
    help="PORT, IP:PORT or [IPV6]:PORT instead of apisix.node_listen; may be repeated.",
)
@click.option(
    "--workers",
    metavar="N",
    callback=parse_workers,
    help='Worker processes, or "auto", instead of nginx_config.worker_processes.',
)
def run(config: Path | None, app: str | None, listen: list[Any], workers: int | str | None) -> None:
    """Run the gateway in the foreground until it is told to stop.

    Signals: TERM and INT stop at once, QUIT finishes the requests in hand first, HUP reads the
    configuration again, USR1 reopens the error log.
    """
    from pygw.process.listeners import ListenError
    from pygw.process.master import Master, StartError
    from pygw.process.pidfile import AlreadyRunningError

    try:
        Master(lambda: settings_from(config, listen, workers), app=app).run()
    except (ConfigError, ListenError, StartError, AlreadyRunningError, OSError) as error:
        _die(str(error))


@main.command()
@config_option
@app_option
@click.option("--store", is_flag=True, help="Check all that stands in the store (it is only read).")
def test(config: Path | None, app: str | None, store: bool) -> None:
    """Check the configuration and the plugins that it names, like `nginx -t`.

    An apisix.yaml that it names is checked as `pygw check` does. Exits 0 if the gateway could start
    with all of it, 1 with the reasons if not.
    """
    from pygw.cli.check import problems

    try:
        settings = settings_from(config)
    except ConfigError as error:
        _die(str(error))
    for warning in settings.warnings:
        click.echo(f"pygw: warning: {warning}", err=True)

    def count(prefix: str, items: int) -> None:
        click.echo(f"pygw: {items} items in the store, below {prefix}/")

    found = problems(settings, app, count if store else None)
    for problem in found:
        click.echo(f"pygw: {problem}", err=True)
    if found:
        sys.exit(1)
    click.echo(f"pygw: {settings.source}: the configuration is good")


@main.command()
@config_option
@click.option(
    "-H",
    "--header",
    "headers",
    metavar="'NAME: VALUE'",
    multiple=True,
    callback=parse_header,
    help="A header field of the request; may be repeated.",
)
@click.option("-d", "--data", metavar="BODY", help="The body of the request.")
@click.option(
    "--address",
    metavar="IP:PORT",
    callback=parse_address,
    help="Where the gateway listens [default: the first address of apisix.node_listen].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON, not as a tree.")
@click.argument("method")
@click.argument("path")
def trace(
    config: Path | None,
    headers: list[tuple[str, str]],
    data: str | None,
    address: tuple[str, int] | None,
    as_json: bool,
    method: str,
    path: str,
) -> None:
    """Send one request to a running gateway and show what its plugins did.

    A tree of the phases and plugins in the order of running, with the microseconds that each took
    and what it changed. The gateway must run with apisix.enable_debug: true.
    """
    from pygw.cli.trace import Question, TraceError, ask, render

    try:
        settings = settings_from(config)
        question = Question(method.upper(), path, headers, data.encode() if data else None)
        target = address or first_address(settings)
        found = ask(question, target, settings.pid_file.parent)
    except (ConfigError, TraceError) as error:
        _die(str(error))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for line in render(found):
        click.echo(line)


@main.command()
@click.argument("what", nargs=-1, metavar="[FILE.yaml | FILE.json | PLUGIN.lua | DIR | NAME]...")
@config_option
@click.option(
    "--lua-path",
    "lua_paths",
    metavar="DIR",
    multiple=True,
    help="A LuaRocks tree, or ;-separated templates: libraries that plugins need; may be repeated.",
)
@click.option(
    "--timeout",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=20,
    show_default=True,
    help="How long one plugin may take to load.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to say what was found.",
)
def check(
    what: tuple[str, ...],
    config: Path | None,
    lua_paths: tuple[str, ...],
    seconds: float,
    form: str,
) -> None:
    """Check a configuration (apisix.yaml), or whether Lua plugins can run here.

    Of FILE.yaml and FILE.json all that is wrong is told with line and column: each item is judged
    as a worker would judge it, plugins' schemas included; what it refers to must be there.

    A plugin is loaded as a worker would load it, in a process of its own; what its source reaches
    for is looked up. A directory gives a line a plugin; without arguments: the configured plugins.
    Exits 0 if all is good, 1 if not.
    """
    from pygw.check import command, targets
    from pygw.check.files import is_configuration
    from pygw.extensions.manager import ExtensionError

    files = [each for each in what if is_configuration(each)]
    try:
        settings = command.with_lua_paths(settings_from(config), lua_paths)
        groups = [targets.find_targets(each, settings) for each in what if each not in files]
    except targets.TargetError as error:
        raise click.UsageError(str(error)) from None
    except ConfigError as error:
        _die(str(error))
    if not what:
        groups = [targets.configured(settings)]
    try:
        good = command.check(groups, settings, seconds, form, click.echo, files)
    except ExtensionError as error:
        _die(str(error))
    except command.BootError as error:
        _die(f"the gateway itself does not start: {error}")
    sys.exit(0 if good else 1)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"pygw {__version__}")


def _control(name: str, number: signal.Signals, text: str) -> None:
    @main.command(name, help=text)
    @config_option
    def command(config: Path | None) -> None:
        from pygw.process.pidfile import running_pid

        try:
            pid_file = settings_from(config).pid_file
        except ConfigError as error:
            _die(str(error))
        pid = running_pid(pid_file)
        if pid is None:
            _die(f"no pygw runs with {pid_file}")
        os.kill(pid, number)


_control("stop", signal.SIGTERM, "Stop a running gateway at once.")
_control("quit", signal.SIGQUIT, "Stop a running gateway once its requests are finished.")
_control("reload", signal.SIGHUP, "Have a running gateway read its configuration again.")
_control("reopen", signal.SIGUSR1, "Have a running gateway reopen its error log.")


def _die(message: str) -> NoReturn:
    click.echo(f"pygw: {message}", err=True)
    sys.exit(1)
