"""Owns the order of tests: random, so that none comes to lean on what another leaves.

Modules change places, and tests within their module: its fixtures are made once. Must never change
which tests run.
"""

from __future__ import annotations

import random
from collections import defaultdict

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--order",
        metavar="SEED",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="run the tests in the order of this seed (a run with failures names its own)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = random.Random(config.getoption("order"))
    modules: defaultdict[object, list[pytest.Item]] = defaultdict(list)
    for item in items:
        modules[item.path].append(item)
    groups = list(modules.values())
    order.shuffle(groups)
    for group in groups:
        order.shuffle(group)
    items[:] = [item for group in groups for item in group]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"the same order again: pytest --order {config.option.order}")
