"""Owns `pygw check`: whether plugin files can run here, and by name what they lack.

`command.py` is the whole of it. `targets.py` finds the files; `tokens.py`, `expressions.py` and
`statements.py` read Lua source for what it reaches for (`reach.py`); `examiner.py` loads the plugin
and holds that against a real VM (`machine.py`, lua/apisix/check/); `isolation.py` gives each plugin
a process and a time limit; `messages.py` and `report.py` say what came of it (`model.py`).
Must never serve, nor touch the store.
"""
