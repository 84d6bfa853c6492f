"""apisix.core.config_yaml: taking over a document; reading and following the file is Python's."""

from typing import Any

import pytest

SETUP = """
    ngx.worker = { exiting = function() return false end, id = function() return 0 end }
    ngx.timer = { at = function() return 1 end }
    package.loaded["apisix.core.utils"] = { sleep = function() end }
    config = require "apisix.core.config_yaml"
    filtered = {}
    function things(opts)
        opts = opts or {}
        opts.automatic = true
        opts.filter = function(item) filtered[#filtered + 1] = item.key end
        return config.new("/things", opts)
    end
    function keys(object)
        local found = {}
        for i, item in ipairs(object.values) do
            found[i] = item.key .. "@" .. item.modifiedIndex
        end
        return table.concat(found, " ")
    end
"""


@pytest.fixture
def run(gateway_lua: Any) -> Any:
    """Run Lua code that has `config`, things(opts), keys(object) and `filtered`."""
    gateway_lua.execute(SETUP)
    return gateway_lua.execute


def test_items_are_named_by_id_user_name_or_place(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 7 }, { username = "u" }, { n = 1 } } }, 5)
        local object = things()
        return keys(object), object:get(7).value.id, object:get("u").value.id,
            object:get("arr_3").value.n, object.conf_version, table.concat(filtered, " ")
        """
    )
    assert tuple(found) == (
        "/things/7@5 /things/u@5 /things/arr_3@5",
        "7",
        "u",
        1,
        5,
        "/things/7 /things/u /things/arr_3",
    )


def test_an_object_follows_the_document(run: Any) -> None:
    found = run(
        """
        local object = things()
        local before = object.values
        config._update_config({ things = { { id = 1 } } }, 5)
        local first = keys(object)
        config._update_config({}, 6)
        return before, first, keys(object), object.conf_version
        """
    )
    assert tuple(found) == (None, "/things/1@5", "", 6)


def test_an_item_that_says_the_same_stays_the_same_object(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 1, n = 1 }, { id = 2, n = 1 } } }, 5)
        local object = things()
        local one, two = object:get(1), object:get(2)
        filtered = {}
        config._update_config({ things = { { id = 1, n = 1 }, { id = 2, n = 2 } } }, 6)
        return object:get(1) == one, object:get(2) == two, keys(object), table.concat(filtered)
        """
    )
    assert tuple(found) == (True, False, "/things/1@5 /things/2@6", "/things/2")


def test_a_list_that_says_the_same_keeps_its_version(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 1 } }, other = {} }, 5)
        local object = things()
        local values = object.values
        config._update_config({ things = { { id = 1 } }, other = { { id = 2 } } }, 6)
        return object.conf_version, object.values == values
        """
    )
    assert tuple(found) == (5, True)


def test_an_item_that_checks_refuse_is_left_out_with_a_line(run: Any, gateway_lua: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 1, bad = true }, "text", { id = 2 } } }, 5)
        return keys(things{ checker = function(value) return not value.bad, "it is bad" end })
        """
    )
    assert found == "/things/2@5"
    logged = [line for line in gateway_lua.globals().logged.values() if line.startswith("error")]
    assert len(logged) == 2
    assert "/things/1" in logged[0]
    assert "it is bad" in logged[0]
    assert "it should be an object" in logged[1]


def test_defaults_that_a_check_fills_in_are_no_change(run: Any) -> None:
    found = run(
        """
        local function checker(value) value.filled = true; return true end
        config._update_config({ things = { { id = 1 } } }, 5)
        local object = things{ checker = checker }
        local one = object:get(1)
        config._update_config({ things = { { id = 1 } } }, 6)
        return object:get(1) == one, one.value.filled
        """
    )
    assert tuple(found) == (True, True)


def test_of_two_items_with_one_id_the_later_counts(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 1, n = 1 }, { id = 2 }, { id = 1, n = 2 } } }, 5)
        local object = things()
        return keys(object), object:get(1).value.n, #filtered
        """
    )
    assert tuple(found) == ("/things/1@5 /things/2@5", 2, 2)


def test_a_single_item_is_the_value_of_its_key(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { "a", "b" } }, 5)
        local object = things{ single_item = true }
        return object.values[1].value[2], object:get("things") == object.values[1], filtered[1]
        """
    )
    assert tuple(found) == ("b", True, "/things")


def test_hooks_hear_of_additions_changes_and_removals(run: Any, gateway_lua: Any) -> None:
    run(
        """
        config._update_config({ things = { { id = 1 }, { id = 2 } } }, 5)
        things()
        config._update_config({ things = { { id = 1, n = 1 } } }, 6)
        """
    )
    told = [line.split() for line in gateway_lua.globals().told.values()]
    assert [(d, name, value == "nil") for d, name, value, _ in told] == [
        ("/things", "1", False),
        ("/things", "2", False),
        ("/things", "2", True),
        ("/things", "1", False),
    ]


def test_a_closed_object_stays_as_it_is(run: Any) -> None:
    found = run(
        """
        config._update_config({ things = { { id = 1 } } }, 5)
        local object = things()
        object:close()
        config._update_config({}, 6)
        return keys(object), config.fetch_created_obj("/things") == object
        """
    )
    assert tuple(found) == ("/things/1@5", True)


def test_init_reads_what_python_has(run: Any) -> None:
    found = run(
        """
        require("server.bridge").call.standalone_config = function()
            return '{"things": [{"id": "x"}]}', 1700000000123
        end
        assert(config.init())
        assert(config.init_worker())
        return keys(things())
        """
    )
    assert found == "/things/x@1700000000123"
