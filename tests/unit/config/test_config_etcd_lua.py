"""apisix.core.config_etcd and core.etcd without a store: shapes, applying, injected rounds."""

from typing import Any

import pytest

DIRECTORY = """
    local apply = require "apisix.core.config_etcd.apply"
    local upgrade = require("apisix.core.config_etcd").upgrade_version
    local function directory(opts)
        local self = {
            key = "/apisix/things", conf_version = 0, prev_index = 0, sync_times = 0,
            need_reload = true, upgrade_version = upgrade,
        }
        for name, value in pairs(opts or {}) do
            self[name] = value
        end
        return self
    end
    local function node(name, index, value)
        local key = "/apisix/things/" .. name
        return { key = key, value = value, modifiedIndex = index, createdIndex = 1 }
    end
"""


@pytest.fixture
def run(gateway_lua: Any) -> Any:
    """Run Lua code that has `apply`, directory(opts) and node(name, index, value)."""

    def execute(code: str) -> Any:
        return gateway_lua.execute(DIRECTORY + code)

    return execute


def test_the_index_may_go_down_with_a_full_reading(run: Any) -> None:
    assert tuple(
        run(
            """
            local self = directory{ prev_index = 100 }
            apply.full(self, { node("a", 3, {}) }, "7")
            return self.prev_index, self.need_reload
            """
        )
    ) == (7, False)


def test_events_only_raise_the_index(run: Any) -> None:
    assert (
        run(
            """
            local self = directory{ prev_index = 0 }
            apply.full(self, {}, "9")
            apply.events(self, { node("a", 5, {}) })
            return self.prev_index
            """
        )
        == 9
    )


def test_a_full_reading_keeps_the_previous_data_of_an_item_that_went_bad(run: Any) -> None:
    assert tuple(
        run(
            """
            local self = directory{ checker = function(value) return not value.bad, "bad" end }
            apply.full(self, { node("a", 2, { n = 1 }), node("b", 3, { n = 1 }) }, 3)
            local version = self.conf_version
            apply.full(self, { node("a", 5, { bad = true }), node("new", 6, { bad = true }) }, 6)
            version = self.conf_version - version
            return self.values[1].value.n, #self.values, self.values_hash.b, version
            """
        )
    ) == (1, 1, None, 1)


def test_a_single_item_that_is_gone_is_not_resurrected(run: Any) -> None:
    assert tuple(
        run(
            """
            local self = directory{ single_item = true }
            apply.full(self, { { key = self.key, value = { 1 }, modifiedIndex = 2 } }, 2)
            local before = #self.values
            apply.full(self, { { key = self.key, modifiedIndex = 3 } }, 3)
            return before, #self.values, self.conf_version
            """
        )
    ) == (1, 0, 2)


def test_filters_of_a_full_reading_see_all_items(run: Any) -> None:
    assert (
        run(
            """
            local self, seen = nil, {}
            self = directory{ filter = function() seen[#seen + 1] = #self.values end }
            apply.full(self, { node("a", 2, {}), node("b", 3, {}) }, 3)
            return table.concat(seen, ",")
            """
        )
        == "2,2"
    )


def test_deleting_what_is_unknown_still_reaches_the_filter(run: Any) -> None:
    assert tuple(
        run(
            """
            local filtered
            local self = directory{ filter = function(item) filtered = item.key end }
            apply.full(self, {}, 1)
            apply.events(self, { node("ghost", 2, nil) })
            return filtered, self.conf_version, #self.values
            """
        )
    ) == ("/apisix/things/ghost", 1, 0)


def test_hooks_hear_of_every_change_with_its_revision(run: Any, gateway_lua: Any) -> None:
    run(
        """
        local self = directory()
        apply.full(self, { node("a", 2, { n = 1 }), node("b", 3, { n = 1 }) }, 3)
        apply.events(self, { node("a", 4, { n = 2 }), node("b", 5, nil) })
        apply.full(self, {}, 9)
        """
    )
    told = [line.split() for line in gateway_lua.globals().told.values()]
    assert [(d, name, value == "nil", rev) for d, name, value, rev in told] == [
        ("/things", "a", False, "2"),
        ("/things", "b", False, "3"),
        ("/things", "a", False, "4"),
        ("/things", "b", True, "5"),
        ("/things", "a", True, "9"),
    ]


def test_clean_handlers_run_when_an_item_is_replaced_or_goes(run: Any) -> None:
    assert (
        run(
            """
            local util = require "apisix.core.config_util"
            local self, cleaned = directory(), {}
            apply.full(self, { node("a", 2, {}), node("b", 2, {}), node("c", 2, {}) }, 2)
            for _, item in ipairs(self.values) do
                util.add_clean_handler(item, function(it) cleaned[#cleaned + 1] = it.value.id end)
            end
            apply.events(self, { node("a", 3, {}), node("b", 4, nil) })
            apply.full(self, { node("a", 3, {}), node("c", 2, {}) }, 5)
            apply.full(self, {}, 6)
            return table.concat(cleaned)
            """
        )
        == "abc"
    )


def test_readings_take_the_shape_of_the_old_api(gateway_lua: Any) -> None:
    found = gateway_lua.execute(
        """
        local etcd = require "apisix.core.etcd"
        local res = etcd.get_format({ headers = {}, body = { header = { revision = 9 }, kvs = {
            { key = "/apisix/things/", value = "init_dir", create_revision = 1, mod_revision = 1 },
            { key = "/apisix/things/1", value = { n = 1 }, create_revision = 2, mod_revision = 3 },
        } } }, "/apisix/things/", true)
        local node = res.body.node
        return res.headers["X-Etcd-Index"], node.key, node.dir, #node.nodes,
            node.nodes[1].createdIndex, node.nodes[1].modifiedIndex, node.nodes[1].value.n
        """
    )
    assert tuple(found) == ("9", "/apisix/things", True, 1, 2, 3, 1)


def test_an_absent_key_is_a_404_with_the_revision(gateway_lua: Any) -> None:
    found = gateway_lua.execute(
        """
        local etcd = require "apisix.core.etcd"
        local function answer(kvs)
            return { headers = {}, body = { header = { revision = 9 }, kvs = kvs } }
        end
        local none = etcd.get_format(answer(nil), "/a")
        local other = etcd.get_format(answer({ { key = "/ab" } }), "/a")
        return none.status, none.body.message, none.headers["X-Etcd-Index"], other.status
        """
    )
    assert tuple(found) == (404, "Key not found", "9", 404)


def test_errors_in_an_answer_are_errors(gateway_lua: Any) -> None:
    found = gateway_lua.execute(
        """
        local etcd = require "apisix.core.etcd"
        local _, refused = etcd.get_format({ headers = {}, body = { error = "no" } }, "/a")
        local _, headless = etcd.get_format({ headers = {}, body = {} }, "/a")
        local _, compacted = etcd.watch_format({ result = { compact_revision = "5" } })
        return refused, headless, compacted
        """
    )
    assert tuple(found) == ("no", "etcd response missing header.revision", "compacted")


def test_a_reconnection_needs_no_error_before_it(gateway_lua: Any) -> None:
    """The injected round fails once, then works; nothing is waited for but the back-off."""
    gateway_lua.execute(
        """
        ngx.worker = { exiting = function() return false end, id = function() return 0 end }
        slept = {}
        package.loaded["apisix.core.utils"] = { sleep = function(s) slept[#slept + 1] = s end }
        ngx.timer = { at = function() armed = (armed or 0) + 1; return 1 end }
        local config = require "apisix.core.config_etcd"
        local calls = 0
        config.inject_sync_data(function()
            calls = calls + 1
            if calls == 1 then
                return nil, "has no healthy etcd endpoint available"
            end
            return true
        end)
        config.test_automatic_fetch(false, { running = true, resync_delay = 1 })
        """
    )
    logged = "\n".join(gateway_lua.globals().logged.values())
    assert "reconnected to etcd" in logged
    assert list(gateway_lua.globals().slept.values()) == [0.1]
    assert gateway_lua.globals().armed == 1


def test_config_chooses_the_provider_and_says_which(gateway_lua: Any) -> None:
    gateway_lua.execute(
        """
        ngx.worker = { exiting = function() return false end, id = function() return 0 end }
        ngx.timer = { at = function() return 1 end }
        package.loaded["apisix.core.utils"] = { sleep = function() end }
        """
    )
    assert gateway_lua.eval('require("apisix.core.config").type') == "etcd"
    assert gateway_lua.eval('require("apisix.core.config") == require("apisix.core.config_etcd")')
    gateway_lua.globals().conf_text = '{"deployment": {"config_provider": "yaml"}}'
    gateway_lua.execute(
        """
        package.loaded["apisix.core.config"] = nil
        require("apisix.core.config_local").clear_cache()
        """
    )
    assert gateway_lua.eval('require("apisix.core.config").type') == "yaml"


def test_the_local_configuration_is_read_once_unless_forced(gateway_lua: Any) -> None:
    found = gateway_lua.execute(
        """
        local config_local = require "apisix.core.config_local"
        local first = config_local.local_conf()
        conf_text = '{"changed": true}'
        local second, third = config_local.local_conf(), config_local.local_conf(true)
        conf_text = 'broken'
        local none, err = config_local.local_conf(true)
        return first == second, third.changed, none, err
        """
    )
    assert tuple(found)[:3] == (True, True, None)
    assert found[3].startswith("config.yaml: ")
