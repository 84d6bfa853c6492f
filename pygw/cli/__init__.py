"""The command line: the commands of commands.py, and those with a file of their own.

It reads options and prints; what it starts or checks stands elsewhere.
"""

from pygw.cli.commands import main
from pygw.cli.get import get
from pygw.cli.new import new
from pygw.cli.settled import settled
from pygw.cli.shell import shell

main.add_command(get)
main.add_command(new)
main.add_command(settled)
main.add_command(shell)

__all__ = ["main"]
