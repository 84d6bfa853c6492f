"""What `pip install .` puts into an environment, and whether it works from anywhere."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and the source archive of a copy of the checkout."""
    source = tmp_path_factory.mktemp("source") / "pygw"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    out = tmp_path_factory.mktemp("dist")
    for hook in ("build_sdist", "build_wheel"):
        code = f"from setuptools.build_meta import {hook}; {hook}({str(out)!r})"
        subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return out


def checkout(folder: str, suffix: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(f"*{suffix}")}


def test_every_package_is_named() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "pygw").rglob("__init__.py")
    }
    assert named == found | {"pygw.lua", "pygw.plugins"}


def test_the_wheel_carries_all_python_and_lua(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = checkout("pygw", ".py") | {"pygw/config/defaults.yaml", "pygw/py.typed"}
    wanted |= checkout("pygw/cli/templates", ".txt")
    wanted |= {f"pygw/{name}" for name in checkout("lua", ".lua") | checkout("plugins", ".lua")}
    assert wanted <= names
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_source_archive_carries_the_whole_project(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    wanted = checkout("lua", ".lua") | checkout("plugins", ".lua") | checkout("tests", ".py")
    wanted |= checkout("examples", ".yaml") | {"Makefile", "setup.cfg", ".ci/run", ".luacheckrc"}
    assert {name for name in wanted if "/run/" not in name} <= names


def test_an_installed_pygw_runs_from_any_directory(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    home, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    install = ["pip", "--python", home / "bin/python", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, "-m", *install, wheel], check=True, capture_output=True)
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies) + "\n")

    def run(*command: str) -> str:
        program = [home / "bin" / command[0], *command[1:]]
        ran = subprocess.run(program, cwd=elsewhere, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    where = run("python", "-c", "import pygw.paths as p; print(p.LUA_DIR, p.PLUGINS_DIR)")
    assert where.split() == [f"{site}/pygw/lua", f"{site}/pygw/plugins"]
    assert run("pygw", "version").startswith("pygw ")
    assert run("pygw", "test").endswith("the configuration is good\n")
