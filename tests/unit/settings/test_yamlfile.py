"""YAML with line numbers, strict about duplicates, with `${{VAR}}` substitution."""

from pathlib import Path
from typing import Any

import pytest

from pygw.config.yamlfile import ConfigError, Document, dotted, read_file, read_text


def read(text: str, **env: str) -> Document:
    return read_text(text, "f.yaml", env=env)


def message(text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **env)
    return str(caught.value)


def test_every_key_and_item_knows_its_line() -> None:
    document = read("a:\n  b:\n    - 1\n    -\n      c: 2\n")
    assert document.value == {"a": {"b": [1, {"c": 2}]}}
    assert document.lines[("a", "b", 0)] == 3
    assert document.lines[("a", "b", 1, "c")] == 5


def test_an_error_without_a_line_of_its_own_takes_its_ancestors() -> None:
    error = read("a:\n  b: 1\n").error(("a", "b", "c", 0), "is bad")
    assert str(error) == "f.yaml:2: a.b.c[0]: is bad"


def test_a_key_path_is_written_with_dots_and_brackets() -> None:
    assert dotted(("apisix", "node_listen", 0, "port")) == "apisix.node_listen[0].port"


def test_a_duplicate_key_is_named_with_both_lines() -> None:
    assert message("a: 1\nb:\n  c: 1\n  c: 2\n") == "f.yaml:4: b.c: given twice (first on line 3)"


def test_a_merge_key_is_no_duplicate() -> None:
    document = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")
    assert document.value["use"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1, 2\nb: 3\n", 2), ("a:\n\tb: 1\n", 2), ("a: 'x\n", 2), ("a: 1\n--- \nb: 2\n", 2)],
)
def test_broken_yaml_is_one_message_with_its_line(text: str, line: int) -> None:
    said = message(text)
    assert said.startswith(f"f.yaml:{line}: not valid YAML: ")
    assert "\n" not in said


def test_control_characters_are_refused() -> None:
    assert message("a: \x01").startswith("f.yaml: not valid YAML: ")


def test_an_alias_may_not_contain_itself() -> None:
    assert message("a: &x [*x]\n") == "f.yaml:1: a[0]: an alias may not contain itself"


def test_a_key_must_be_a_word() -> None:
    assert "a key must be a plain word" in message("a:\n  ? [1, 2]\n  : 3\n")


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("9080", 9080),
        ("010", 10),
        ("0x1F", 31),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("on", True),
        ("off", False),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("80:80", "80:80"),
        ("1_000", "1_000"),
        ("127.0.0.1", "127.0.0.1"),
        ("'5'", "5"),
    ],
)
def test_scalars_have_no_traps(scalar: str, value: Any) -> None:
    read_value = read(f"a: {scalar}").value["a"]
    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize(
    ("scalar", "env", "value"),
    [
        ("${{PORT}}", {"PORT": "81"}, 81),
        ('"${{ PORT }}"', {"PORT": "81"}, 81),
        ("${{PORT:=9080}}", {}, 9080),
        ("${{ PORT := 9080 }}", {}, 9080),
        ("${{PORT:=9080}}", {"PORT": "81"}, 81),
        ("${{ON:=true}}", {}, True),
        ("http://${{HOST}}:${{PORT}}/", {"HOST": "h", "PORT": "1"}, "http://h:1/"),
        ("${{EMPTY}}", {"EMPTY": ""}, ""),
        ("$request ${x} ${{1x", {}, "$request ${x} ${{1x"),
    ],
)
def test_variables_are_substituted_as_apisix_does(
    scalar: str, env: dict[str, str], value: Any
) -> None:
    assert read(f"a: {scalar}", **env).value["a"] == value


def test_variables_are_substituted_in_keys() -> None:
    assert read("${{NAME}}: 1", NAME="x").value == {"x": 1}


def test_an_unset_variable_is_an_error_with_its_line() -> None:
    said = "f.yaml:2: b: environment variable NOPE is not set and has no default"
    assert message("a: 1\nb: ${{NOPE}}\n") == said


def test_text_mode_substitutes_before_parsing() -> None:
    env = {"LIST": "[1, 2]", "WORD": "7"}
    document = read_text("a: ${{LIST}}\nb: '${{WORD}}'\n", "f", variables="text", env=env)
    assert document.value == {"a": [1, 2], "b": "7"}


def test_an_empty_file_has_no_value() -> None:
    assert read("# nothing\n").value is None


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read_file(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml: not UTF-8 \(byte 3\)"):
        read_file(tmp_path / "latin.yaml")


def many(item: str) -> str:
    """Lines that mean 9 ** 12 times the item."""
    lines = [f"a0: &a0 {item}"]
    for i in range(1, 13):
        nine = ",".join([f"*a{i - 1}"] * 9)
        lines.append(f"a{i}: &a{i} " + (f"{{<<: [{nine}]}}" if ":" in item else f"[{nine}]"))
    return "\n".join(lines)


@pytest.mark.parametrize("item", ["[x]", "{a: b}"])
def test_aliases_cannot_fill_the_memory(item: str) -> None:
    assert "aliases repeat more than 500000 values" in message(many(item))


def test_aliases_and_merges_are_read() -> None:
    text = "a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, y: 2}\n"
    value = {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}], "c": {"x": 1, "y": 2}}
    assert read_text(text, "f.yaml").value == value


@pytest.mark.parametrize(
    "text", ["!!binary aGk=", "!!timestamp 2020-01-01", "!!timestamp x", "!!bool x", "!!int ''"]
)
def test_a_value_that_no_configuration_has(text: str) -> None:
    assert message(f"a: {text}").startswith("f.yaml:1: a: unusable value: ")
