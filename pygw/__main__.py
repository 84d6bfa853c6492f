"""`python -m pygw` is the command `pygw`."""

from pygw.cli import main

main()
