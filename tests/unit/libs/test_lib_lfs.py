"""lfs: what os.stat says, and the same answers as LuaFileSystem where that is installed."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime

Run = Callable[..., Any]

LFS_C = [Path(f"/usr/lib/{arch}-linux-gnu/lua/5.1/lfs.so") for arch in ("x86_64", "aarch64")]


@pytest.fixture
def lfs(lua: Any) -> Any:
    return lua.eval('require "lfs"')


def same_as_stat(attributes: Any, stat: os.stat_result) -> bool:
    named = {
        "dev": stat.st_dev, "ino": stat.st_ino, "nlink": stat.st_nlink, "uid": stat.st_uid,
        "gid": stat.st_gid, "rdev": stat.st_rdev, "access": int(stat.st_atime),
        "modification": int(stat.st_mtime), "change": int(stat.st_ctime), "size": stat.st_size,
        "blocks": stat.st_blocks, "blksize": stat.st_blksize,
    }  # fmt: skip
    return {name: attributes[name] for name in named} == named


@pytest.mark.parametrize("path", ["/dev/null", "/", "/proc/self/status", __file__])
def test_attributes_are_those_of_stat(lfs: Any, path: str) -> None:
    assert same_as_stat(lfs.attributes(path.encode()), os.stat(path))


@pytest.mark.parametrize(
    ("mode", "letters"), [(0o644, "rw-r--r--"), (0o751, "rwxr-x--x"), (0, "-" * 9)]
)
def test_permissions(lfs: Any, tmp_path: Path, mode: int, letters: str) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "f").chmod(mode)
    assert lfs.attributes(str(tmp_path / "f"), "permissions") == letters


def test_kinds(lfs: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    kinds = {
        "file": "file",
        "link": "file",
        "fifo": "named pipe",
        "socket": "socket",
        "": "directory",
    }
    assert {name: lfs.attributes(str(tmp_path / name), "mode") for name in kinds} == kinds
    assert lfs.attributes("/dev/null", "mode") == "char device"
    assert lfs.attributes(str(tmp_path / "link"), "size") == 5


def test_a_symbolic_link_itself(lfs: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    path = str(tmp_path / "link")
    assert lfs.symlinkattributes(path, "mode") == "link"
    assert lfs.symlinkattributes(path, "target") == "nowhere"
    attributes = lfs.symlinkattributes(path)
    assert same_as_stat(attributes, os.lstat(path))
    assert attributes["target"] == "nowhere"


def test_a_given_table_is_filled(run_lua: Run) -> None:
    assert run_lua("""
        local t = {mine = 1}
        return require("lfs").attributes("/", t) == t, t.mine, t.mode
    """) == (True, 1, "directory")


def test_what_is_not_there(lfs: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "absent")
    reason = (None, f"cannot obtain information from file '{path}': No such file or directory", 2)
    assert lfs.attributes(path) == reason
    assert lfs.attributes(path, "size") == reason
    assert lfs.symlinkattributes(path) == reason
    assert lfs.rmdir(path) == (None, "No such file or directory", 2)


def test_an_unknown_attribute_raises(run_lua: Run) -> None:
    ok, error = run_lua("return pcall(function() return (require('lfs').attributes('/', 'x')) end)")
    assert not ok
    assert error.endswith("invalid attribute name 'x'")


def test_directories(lfs: Any, run_lua: Run, tmp_path: Path) -> None:
    path = tmp_path / "d"
    assert lfs.mkdir(str(path)) is True
    assert path.is_dir()
    assert lfs.mkdir(str(path)) == (None, "File exists", 17)
    for name in ("a", "b"):
        (path / name).touch()
    code = f"local t = {{}} for n in require('lfs').dir('{path}') do t[#t + 1] = n end return t"
    assert sorted(run_lua(code).values()) == [".", "..", "a", "b"]
    assert lfs.rmdir(str(path)) == (None, "Directory not empty", 39)


def test_walking_a_directory_by_hand(run_lua: Run, tmp_path: Path) -> None:
    assert run_lua(f"""
        local _, d = require("lfs").dir("{tmp_path}")
        local seen = {{ [d:next()] = true, [d:next()] = true }}
        local last = d:next()
        local ok, err = pcall(d.next, d)
        d:close()
        return seen["."], seen[".."], last, ok, err
    """) == (True, True, None, False, "closed directory")


def test_a_directory_that_cannot_be_opened_raises(run_lua: Run) -> None:
    ok, error = run_lua("return pcall(function() require('lfs').dir('/absent') end)")
    assert not ok
    assert error.endswith("cannot open /absent: No such file or directory")


def test_an_abandoned_walk_leaves_no_descriptor(run_lua: Run, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run_lua(f"""
        for _ = 1, 20 do
            for _ in require("lfs").dir("{tmp_path}") do break end
        end
        collectgarbage() collectgarbage()
    """)
    assert len(os.listdir("/proc/self/fd")) == before


def test_touch(lfs: Any, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    assert lfs.touch(str(path), 1000, 2000) is True
    assert (path.stat().st_atime, path.stat().st_mtime) == (1000, 2000)
    assert lfs.touch(str(path), 3000) is True
    assert (path.stat().st_atime, path.stat().st_mtime) == (3000, 3000)
    assert lfs.touch(str(path)) is True
    assert path.stat().st_mtime > 1_600_000_000
    assert lfs.touch(str(path / "below")) == (None, "Not a directory", 20)


def test_currentdir(lfs: Any) -> None:
    assert lfs.currentdir() == os.getcwd()


def test_it_answers_as_luafilesystem_does(lfs: Any, tmp_path: Path) -> None:
    modules = [path for path in LFS_C if path.exists()]
    if not modules:
        pytest.skip("needs LuaFileSystem (Debian: lua-filesystem)")
    other = create_runtime(lua_paths=["/nonexistent/?.lua"], lua_cpaths=[str(modules[0])])
    original = other.execute("package.path = '' return require 'lfs'")
    (tmp_path / "f").write_bytes(b"1")
    (tmp_path / "l").symlink_to("f")
    for name in ("", "f", "l", "absent"):
        path = str(tmp_path / name)
        for function in ("attributes", "symlinkattributes"):
            ours, theirs = lfs[function](path), original[function](path)
            assert (dict(ours) if name != "absent" else ours) == (
                dict(theirs) if name != "absent" else theirs
            )
