"""`pygw test`: what it accepts, and what it says when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pygw.cli import main


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(config: str, *arguments: str) -> Result:
    Path("config.yaml").write_text(config)
    return CliRunner().invoke(main, ["test", *arguments])


def test_a_good_configuration() -> None:
    result = check("apisix: {node_listen: 81}")
    assert (result.exit_code, result.output) == (
        0,
        "pygw: config.yaml: the configuration is good\n",
    )


def test_a_bad_value() -> None:
    result = check("apisix:\n  node_listen: x\n")
    assert result.exit_code == 1
    assert result.output.startswith("pygw: config.yaml:2: apisix.node_listen: must be")
    assert result.output.count("\n") == 1


def test_a_missing_file() -> None:
    result = CliRunner().invoke(main, ["test", "-c", "none.yaml"])
    assert result.exit_code == 1
    assert result.output == "pygw: none.yaml: cannot be read: No such file or directory\n"


def test_a_slip_is_a_warning() -> None:
    result = check("apisix: {node_listn: 81}")
    assert result.exit_code == 0
    assert "pygw: warning: config.yaml: apisix.node_listn: unknown key" in result.output


def test_all_problems_are_listed(directory: Path) -> None:
    (directory / "mine").mkdir()
    (directory / "mine/bad.lua").write_text("return {\nname = 'bad',,}\n")
    (directory / "mine/good.lua").write_text("return {}\n")
    (directory / "broken.py").write_text("import nothing_of_that_name\n")
    result = check(
        "plugins: [bad, good, none]\n"
        "pygw: {plugin_dirs: [mine, absent], python_plugins: [broken.py]}\n"
        "deployment: {role_traditional: {config_provider: yaml}}\n"
    )
    assert result.exit_code == 1
    for said in (
        f"pygw: plugin bad: {directory}/mine/bad.lua:2: unexpected symbol",
        "pygw: config.yaml: plugins: no plugin is called none",
        f"pygw: config.yaml: pygw.plugin_dirs: {directory}/absent is not a directory",
        "pygw: apisix.yaml: cannot be read: No such file or directory",
        "pygw: config.yaml: pygw.python_plugins: ",
        "nothing_of_that_name",
    ):
        assert said in result.output
    assert "plugin good" not in result.output


def test_an_apisix_tree_is_a_plugin_directory(directory: Path) -> None:
    folder = directory / "tree/apisix/plugins/deep"
    folder.mkdir(parents=True)
    (folder / "init.lua").write_text("return {}\n")
    assert check("plugins: [deep]\npygw: {plugin_dirs: [tree]}").exit_code == 0


def test_the_extra_lua_path_is_searched_first(directory: Path) -> None:
    folder = directory / "extra/apisix/plugins"
    folder.mkdir(parents=True)
    (folder / "key-auth.lua").write_text("not lua\n")
    result = check("plugins: [key-auth]\napisix: {extra_lua_path: 'extra/?.lua'}")
    assert "extra/apisix/plugins/key-auth.lua:1:" in result.output


def test_a_python_plugin_may_be_named_among_the_plugins(directory: Path) -> None:
    (directory / "mine.py").write_text(
        "from pygw.plugin import Plugin\n\n\n"
        "class Hello(Plugin):\n    name = 'hello'\n    priority = 1\n"
        "    schema = {'type': 'object'}\n    def access(self, conf, ctx):\n        return None\n"
    )
    assert check("plugins: [hello]\npygw: {python_plugins: [mine.py]}").output.endswith("good\n")


def test_an_application_is_compiled_not_run(directory: Path) -> None:
    (directory / "app.lua").write_text("error('ran')\n")
    assert check("", "--app", "app.lua").exit_code == 0
    (directory / "app.lua").write_text("return {\n")
    result = check("", "--app", "app.lua")
    assert result.exit_code == 1
    assert result.output.startswith(f"pygw: application: {directory}/app.lua:2: unexpected")


def test_each_faulty_item_of_apisix_yaml_is_named_with_its_line(directory: Path) -> None:
    (directory / "apisix.yaml").write_text(
        "routes:\n"
        "  - uri: /good\n"
        "    upstream: {type: roundrobin, nodes: {'127.0.0.1:80': 1}}\n"
        "  - id: bad\n"
        "    uri: /bad\n"
        "    plugins: {no-such-plugin: {}}\n"
        "upstreams:\n"
        "  - id: 1\n"
        "    nodes: {'127.0.0.1:80': heavy}\n"
        "#END\n"
    )
    result = check(
        "deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}\nplugins: []\n"
    )
    assert result.exit_code == 1
    assert 'apisix.yaml:6:15: routes[1] "bad": unknown plugin [no-such-plugin]' in result.output
    assert 'apisix.yaml:9:5: upstreams[0] "1": property "nodes" validation' in result.output
    assert "routes[0]" not in result.output
