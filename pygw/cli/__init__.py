"""The command line: `pygw run`, `test`, `version`, `stop`, `quit`, `reload`, `reopen`.

It reads options and prints; what it starts or checks stands elsewhere.
"""

from pygw.cli.commands import main

__all__ = ["main"]
