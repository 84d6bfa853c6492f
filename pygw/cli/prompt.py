"""Owns the dialogue of `pygw shell`: which language a line is of, what is asked for and printed."""

from __future__ import annotations

import ast
import code as interpreter
import sys
from collections.abc import Callable

import gevent

from pygw import __version__
from pygw.cli.inprocess import InProcess
from pygw.cli.luaprompt import LuaFailure, LuaPrompt
from pygw.cli.terminal import Terminal
from pygw.config.model import Settings

_MORE = "... "
_HELP = """\
Lua: an expression shows its values, a statement runs; globals stay, locals end with their line.
Python: `lua("code")` gives Lua's value, `gateway` is the worker, `settings` its configuration.
:lua, :python        switch to that language
:lua CODE, :python CODE   run one line of it
:help                this text
:quit, Ctrl-D        leave; Ctrl-C ends what runs, or the line that is typed"""


class Prompt:
    """One dialogue over stdin and stdout, with a worker."""

    def __init__(self, worker: InProcess, settings: Settings) -> None:
        self._lua = LuaPrompt(worker)
        self._python = interpreter.InteractiveInterpreter(
            {
                "__name__": "__console__",
                "gateway": worker.gateway,
                "settings": settings,
                "lua": self._lua.value,
            }
        )
        self._failed = self._leaving = False
        self._language = "lua"
        worker.on_interrupt = self._on_interrupt

    def close(self) -> None:
        """End what was left running."""
        self._lua.close()

    def interact(self) -> bool:
        """Ask until the end of the input. Returns True."""
        print(f"pygw {__version__}: Lua and Python inside a worker; :help, Ctrl-D leaves")
        with Terminal() as terminal:
            while not self._leaving:
                try:
                    self._take(self._read(terminal))
                except KeyboardInterrupt:
                    print()
                except EOFError:
                    print()
                    break
        return True

    def run_all(self) -> bool:
        """Run all of stdin. Returns whether nothing failed; the first failure is the end.

        What lies between lines that begin with a colon is one chunk where it can be one: locals
        last, and a last line that is an expression is shown; else it is taken line by
        line.
        """
        lines: list[str] = []
        for line in [*gevent.get_hub().threadpool.apply(sys.stdin.readlines), ":"]:
            if not line.startswith(":"):
                lines.append(line)
                continue
            self._run_lines(lines)
            lines = []
            if not self._failed and line != ":":
                self._take(line.rstrip("\n"))
            if self._failed or self._leaving:
                break
        return not self._failed

    # -- what is typed ----------------------------------------------------------------------------

    def _read(self, terminal: Terminal) -> str:
        """Lines until they are a whole."""
        text = terminal.read(f"{'lua' if self._language == 'lua' else 'py'}> ")
        while not text.startswith(":") and self._lacks_end(text):
            text += "\n" + terminal.read(_MORE)
        return text

    def _lacks_end(self, text: str) -> bool:
        if self._language == "lua":
            return self._lua.fault(text) == "more"
        try:
            return self._python.compile(text, "<prompt>", "single") is None
        except (SyntaxError, ValueError, OverflowError):
            return False

    def _run_lines(self, lines: list[str]) -> None:
        whole = "".join(lines)
        if self._language == "python":
            self._run(whole)
            return
        if self._lua.fault(whole) is None:
            ending = "".join(lines[:-1]) + "return " + "".join(lines[-1:])
            self._run(ending if self._lua.fault(ending) is None else whole)
            return
        text = ""
        for line in lines:
            text += line
            if not self._lacks_end(text) or line is lines[-1]:
                self._run(text)
                text = ""
            if self._failed:
                return

    def _take(self, text: str) -> None:
        """A whole piece of code, or a command."""
        if not text.startswith(":"):
            self._run(text)
            return
        command, _, rest = text[1:].partition(" ")
        if command in ("lua", "python"):
            before, self._language = self._language, command
            if rest.strip():
                self._run(rest)
                self._language = before
        elif command == "help":
            print(_HELP)
        elif command in ("quit", "q"):
            self._leaving = True
        else:
            self._fail(f"no command :{command}; :help tells them")

    # -- running ----------------------------------------------------------------------------------

    def _run(self, text: str) -> None:
        if not text.strip():
            return
        run: Callable[[str], None] = self._run_lua if self._language == "lua" else self._run_python
        run(text)
        sys.stdout.flush()

    def _run_lua(self, text: str) -> None:
        fault = self._lua.fault(text)
        if fault is not None:
            self._fail("prompt: the end is missing" if fault == "more" else fault)
            return
        try:
            shown = self._lua.run(text)
        except LuaFailure as error:
            self._fail(str(error))
            return
        if shown is not None:
            print(shown)

    def _run_python(self, text: str) -> None:
        try:
            tree = ast.parse(text, "<prompt>")
        except (SyntaxError, ValueError):
            self._python.showsyntaxerror("<prompt>")
            self._failed = True
            return
        for statement in tree.body:  # one by one: "single" shows the value of each expression
            compiled = compile(ast.Interactive([statement]), "<prompt>", "single")
            try:
                exec(compiled, self._python.locals)
            except SystemExit:
                self._leaving = True
                return
            except BaseException:
                self._python.showtraceback()
                self._failed = True
                return

    def _fail(self, text: str) -> None:
        self._failed = True
        print(text, file=sys.stderr, flush=True)

    def _on_interrupt(self) -> None:
        self._lua.interrupted = True  # for Lua that runs and runs
