"""The JSON Schema Test Suite, which is not in this repository.

To run it, give a checkout of github.com/json-schema-org/JSON-Schema-Test-Suite in
PYGW_JSON_SCHEMA_TEST_SUITE.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime

DIRECTORY = os.environ.get("PYGW_JSON_SCHEMA_TEST_SUITE")
SUITE = Path(DIRECTORY or "/nonexistent")
DRAFTS = ["draft4", "draft6", "draft7"]

# An empty table is an object as well as an array: (group, test).
EMPTY_TABLE = {
    ("contains keyword validation", "not array is valid"),
    ("minProperties validation", "ignores arrays"),
    ("required validation", "ignores arrays"),
    ("required properties whose names are Javascript object property names", "ignores arrays"),
    ("object type matches objects", "an array is not an object"),
    ("array type matches arrays", "an object is not an array"),
}
# They refer to the meta-schemas, which the suite does not hold.
META_SCHEMA = {"validate definition against metaschema", "remote ref, containing refs itself"}

RUN = r"""
local cjson, jsonschema = require "cjson", require "jsonschema"
return function(schema, data, remote)
    local validate = jsonschema.generate_validator(cjson.decode(schema), {
        external_resolver = function(uri)
            return cjson.decode(remote(uri))
        end,
    })
    return validate(cjson.decode(data))
end
"""


def cases() -> Iterator[Any]:
    for draft in DRAFTS:
        for file in sorted((SUITE / "tests" / draft).glob("*.json")):
            for group in json.loads(file.read_text()):
                for test in group["tests"]:
                    name = f"{draft}/{file.stem}/{group['description']}/{test['description']}"
                    yield pytest.param(group, test, id=name)


@pytest.fixture(scope="module")
def validate() -> Any:
    runtime = create_runtime()
    runtime.execute('require "ngx.api"')
    return runtime.execute(RUN)


def remote(uri: str) -> bytes:
    return (SUITE / "remotes" / uri.removeprefix("http://localhost:1234/")).read_bytes()


@pytest.mark.skipif(DIRECTORY is None, reason="PYGW_JSON_SCHEMA_TEST_SUITE is not set")
@pytest.mark.parametrize(("group", "test"), list(cases()))
def test_the_suite_agrees(validate: Any, group: dict[str, Any], test: dict[str, Any]) -> None:
    if group["description"] in META_SCHEMA:
        pytest.skip("the suite does not hold the meta-schemas")
    result = validate(
        json.dumps(group["schema"]).encode(), json.dumps(test["data"]).encode(), remote
    )
    valid = result is True
    if (group["description"], test["description"]) in EMPTY_TABLE:
        assert valid is not test["valid"], "an empty table can be told apart now: mend the list"
    else:
        assert valid is test["valid"], result
