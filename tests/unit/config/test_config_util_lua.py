"""apisix.core.config_util."""

from typing import Any

import pytest


@pytest.fixture
def util(lua: Any) -> Any:
    return lua.eval('require "apisix.core.config_util"')


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        ("0", 0),
        ("1s", 1),
        ("60s", 60),
        ("1s100ms", 1.1),
        ("10s1ms", 10.001),
        ("60m", 3600),
        ("60m110ms", 3600.11),
        ("1h110", 3710),
        ("1h  30m", 5400),
        (" 1h ", 3600),
        ("500ms", 0.5),
        ("1y1M1w1d1h1m1s1ms", 34822861.001),
        (7, 7),
        (0.25, 0.25),
    ],
)
def test_a_time_with_units_becomes_seconds(util: Any, text: Any, seconds: float) -> None:
    assert util.parse_time_unit(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", "invalid data: -"),
        ("", "invalid data: "),
        (None, "invalid data: nil"),
        (True, "invalid data: true"),
        ("s", "invalid data: s"),
        ("1x", "invalid data: x"),
        ("1.5s", "invalid data: ."),
        ("1m1h", "unexpected unit: h"),
        ("1s1", "specific unit conflicts with the default unit second"),
        ("1ms1", "specific unit conflicts with the default unit second"),
    ],
)
def test_what_is_no_time_is_refused(util: Any, text: Any, message: str) -> None:
    assert tuple(util.parse_time_unit(text)) == (None, message)


def test_a_resource_path_is_split_at_its_hash(util: Any) -> None:
    assert tuple(util.parse_path("/routes/1#plugins")) == ("/routes/1", "plugins")
    assert tuple(util.parse_path("/routes/1")) == ("/routes/1", "")
    assert tuple(util.parse_path("a#b#c")) == ("a", "b")


def test_iterating_skips_the_holes(lua: Any) -> None:
    found = lua.execute(
        """
        local seen = {}
        local values = { false, { id = "a" }, false, false, { id = "b" }, false }
        for i, item in require("apisix.core.config_util").iterate_values(values) do
            seen[#seen + 1] = i .. item.id
        end
        return table.concat(seen, ",")
        """
    )
    assert found == "2a,5b"


def test_clean_handlers_run_once_in_order_unless_cancelled(lua: Any) -> None:
    found = lua.execute(
        """
        local util = require "apisix.core.config_util"
        local item, ran = { id = 1 }, {}
        local function handler(name)
            return function(given)
                ran[#ran + 1] = name .. (given == item and "" or "?")
            end
        end
        util.add_clean_handler(item, handler("a"))
        local b = util.add_clean_handler(item, handler("b"))
        local c = util.add_clean_handler(item, handler("c"))
        util.add_clean_handler(item, handler("d"))
        util.cancel_clean_handler(item, b)
        util.cancel_clean_handler(item, c, true)
        util.cancel_clean_handler(item, 99)
        util.fire_all_clean_handlers(item)
        util.fire_all_clean_handlers(item)
        util.fire_all_clean_handlers(nil)
        return table.concat(ran)
        """
    )
    assert found == "cad"
