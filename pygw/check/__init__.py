"""Owns `pygw check`: whether plugin files can run here, and by name what they lack.

`targets.py` finds the files, `tokens.py`, `reach.py`, `expressions.py` and `statements.py` read Lua
source for what it reaches for, `examiner.py` holds that against a real VM and loads the plugin,
`isolation.py` gives each plugin a process and a time limit, `report.py` says what came of it.
Must never serve, nor touch the store.
"""
