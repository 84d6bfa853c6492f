"""What gateways under test leave in the memory of the process when they have ended: nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# No cycle is collected meanwhile: in a process with many objects that is rare.
SERVING = '''
import gc, json, re, sys
from pathlib import Path
from pygw.testing import running
from pygw.vm.luajit import LuaRuntime

PLUGIN = """
from pygw.plugin import Plugin

class Python(Plugin):
    name, priority, schema = "python", 10, {"type": "object"}
    def access(self, conf, ctx):
        ctx.state["context"] = ctx.request.headers["host"], ctx.request
    def body_filter(self, conf, ctx, chunks):
        for chunk in chunks:
            yield chunk
"""
FILE = Path("python.py").resolve()
CONFIG = {"plugins": ["limit-count"], "pygw": {"python_plugins": [str(FILE)]}}
LIMIT = {"count": 2, "time_window": 60, "rejected_code": 429, "key": "remote_addr"}

def serve(directory):
    directory.mkdir()
    with running(directory, CONFIG) as gateway:
        path = gateway.route({"limit-count": LIMIT, "python": {}})
        assert gateway.get(path).status == 200

def resident():
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\\d+) kB", text, re.M)[1])

FILE.write_text(PLUGIN)
gc.disable()
sizes = []
for batch in range(4):
    for number in range(10):
        serve(Path(f"{batch}-{number}"))
    sizes.append(resident())
runtimes = sum(isinstance(each, LuaRuntime) for each in gc.get_objects())
print(json.dumps([sizes, runtimes]))
'''
MOST = 400  # KiB for each gateway: one that leaves its shared dictionaries behind leaves 1800

KEEPING = """
import gc, pytest
from pygw.vm.luajit import LuaRuntime

@pytest.mark.parametrize("number", range(5))
def test_it(gateway, number):
    gc.collect()
    assert sum(isinstance(each, LuaRuntime) for each in gc.get_objects()) == 1
"""


def python(directory: Path, *arguments: str) -> str:
    """What it prints, in a process whose memory is its own."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_number_of_gateways(tmp_path: Path) -> None:
    sizes, runtimes = json.loads(python(tmp_path, "-c", SERVING))
    assert runtimes == 0
    growth = [(after - before) / 10 for before, after in zip(sizes, sizes[1:], strict=False)]
    assert min(growth) < MOST, sizes  # the allocator's own needs show now and then, a leak always


def test_pytest_keeps_no_gateway_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "test_keeping.py").write_text(KEEPING)
    python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_keeping.py")
