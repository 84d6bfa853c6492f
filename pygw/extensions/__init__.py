"""Owns Python's extensions: plugins and hooks, from their import to what they use of their worker.

What people write against stands above: `pygw.plugin` and `pygw.hookspecs`.
"""
