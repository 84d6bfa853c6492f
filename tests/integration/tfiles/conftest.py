"""An author's project with t/*.t files, and one run of all of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tfiles import Run, copied, run

from pygw.testing.tfiles import spec


@pytest.fixture(scope="package", autouse=True)
def _perl() -> None:
    if why := spec.perl_trouble():
        pytest.skip(f"perl: {why}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All files of the project, run once."""
    project = copied(tmp_path_factory.mktemp("whole"))
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "named.lua").write_text('return { by = "LUA_PATH" }\n')
    path = f"{project}/elsewhere/?.lua;;"
    yield run(project, "--pygw-t", "t", "--pygw-t-keep", str(project / "kept"), LUA_PATH=path)
    shutil.rmtree(project)
