"""Gateways with hooks given as text: those of the tests of Python plugins."""

from integration.python_plugins.conftest import start, unused_port, upstream

__all__ = ["start", "unused_port", "upstream"]
