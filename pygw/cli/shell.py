"""Owns `pygw shell`: a prompt of Lua and Python inside a worker. What is typed decides all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from pygw.cli.options import config_option, settings_from
from pygw.config.yamlfile import ConfigError


@click.command()
@config_option
def shell(config: Path | None) -> None:
    """A prompt of Lua and Python inside a worker of the gateway, in this process.

    Lua statements and expressions, as a timer would run them: ngx.*, require, the plugins, what
    waits. :python and :lua switch the language, or run the rest of the line in it; :help tells
    more. What comes by a pipe is run, too: echo 'return ngx.time()' | pygw shell
    """
    from gevent import monkey

    monkey.patch_all()
    from pygw.cli.inprocess import in_process
    from pygw.cli.prompt import Prompt
    from pygw.config.store import StoreError
    from pygw.extensions.manager import ExtensionError
    from pygw.vm.worker import StartError

    try:
        settings = settings_from(config, workers=1)
        with in_process(settings) as worker:
            prompt = Prompt(worker, settings)
            try:
                good = prompt.interact() if sys.stdin.isatty() else prompt.run_all()
            finally:
                prompt.close()
    except (ConfigError, StoreError, ExtensionError, StartError) as error:
        _die(str(error))
    sys.exit(0 if good else 1)


def _die(message: str) -> NoReturn:
    click.echo(f"pygw: {message}", err=True)
    sys.exit(1)
