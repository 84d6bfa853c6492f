"""The module prometheus: what is counted, how it is shown, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

Run = Callable[[str], Any]


class Metrics:
    """A Prometheus object `p` in Lua, and what it shows."""

    def __init__(self, lua: Any) -> None:
        self.run: Run = lua.execute
        self.run("""
            dict = require("ngx.shdict").declare("metrics", 1024 * 1024)
            logged = {}
            ngx.log = function(_, ...) logged[#logged + 1] = table.concat({ ... }) end
            ngx.timer.every = function(interval, fn) tick = fn period = interval return true end
            phases = require "server.phases"
            phases.global = "init_worker"
            prometheus = require "prometheus"
            p = prometheus.init("metrics", "x_")
        """)

    def text(self) -> str:
        shown: str = self.run("return table.concat(p:metric_data())")
        return shown.encode("latin-1").decode()

    def samples(self, skip: str = "nginx_metric_errors_total") -> dict[str, float]:
        """Every sample as 'name{a=1}' -> value, without the number of errors."""
        found, text = {}, self.text()
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                if f"TYPE {name} counter" not in text and family.type == "counter":
                    name = name.removesuffix("_total")  # of which the parser is fond
                if skip not in name:
                    shown = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
                    found[f"{name}{{{shown}}}" if shown else name] = value
        return found

    @property
    def logged(self) -> list[str]:
        return list(self.run("return logged").values())


@pytest.fixture
def metrics(lua: Any, clock: Any) -> Metrics:
    return Metrics(lua)


def test_a_counter(metrics: Metrics) -> None:
    metrics.run("""
        local c = p:counter("hits_total", "How many.", { "host", "code" })
        c:inc(1, { "a", 200 }) c:inc(2.5, { "a", 200 }) c:inc(nil, { "b", "404" })
    """)
    assert metrics.samples() == {
        "x_hits_total{code=200,host=a}": 3.5,
        "x_hits_total{code=404,host=b}": 1,
    }
    assert "# HELP x_hits_total How many.\n# TYPE x_hits_total counter\n" in metrics.text()
    assert 'x_hits_total{host="a",code="200"} 3.5\n' in metrics.text(), "labels keep their order"


def test_a_counter_reaches_the_others_at_intervals(metrics: Metrics) -> None:
    metrics.run('c = p:counter("c") c:inc()')
    assert metrics.run('return dict:get("c")') is None
    assert metrics.run("return period") == 1
    metrics.run("tick()")
    assert metrics.run('return dict:get("c")') == 1
    metrics.run("tick()")
    assert metrics.run('return dict:get("c")') == 1


def test_a_gauge(metrics: Metrics) -> None:
    metrics.run("""
        local g = p:gauge("level", "Help", { "of" })
        g:set(5, { "a" }) g:inc(2, { "a" }) g:dec(3, { "a" }) g:inc(-1, { "b" })
    """)
    assert metrics.samples() == {"x_level{of=a}": 4, "x_level{of=b}": -1}


def test_a_histogram(metrics: Metrics) -> None:
    metrics.run("""
        local h = p:histogram("time", "Help", { "of" }, { 0.5, 10, 200 })
        for _, value in ipairs { 0.5, 0.6, 10, 11, 1000 } do h:observe(value, { "a" }) end
    """)
    assert metrics.samples() == {
        "x_time_bucket{le=0.5,of=a}": 1,
        "x_time_bucket{le=10,of=a}": 3,
        "x_time_bucket{le=200,of=a}": 4,
        "x_time_bucket{le=+Inf,of=a}": 5,
        "x_time_count{of=a}": 5,
        "x_time_sum{of=a}": 1022.1,
    }


def test_a_histogram_without_labels_and_with_the_default_buckets(metrics: Metrics) -> None:
    metrics.run('p:histogram("time", "Help"):observe(0.3)')
    samples = metrics.samples()
    assert samples["x_time_bucket{le=0.2}"] == 0
    assert samples["x_time_bucket{le=0.3}"] == 1
    assert samples["x_time_bucket{le=10}"] == 1
    assert len(samples) == 22


def test_several_processes_count_together(metrics: Metrics) -> None:
    metrics.run("""
        other = prometheus.init("metrics", "x_")
        for _, each in ipairs { p, other } do
            each:counter("c", "Help", { "l" }):inc(2, { "v" })
            each:histogram("h", "Help", { "l" }, { 1 }):observe(1, { "v" })
            each:sync()
        end
    """)
    samples = metrics.samples()
    assert samples["x_c{l=v}"] == 4
    assert samples["x_h_bucket{l=v,le=1}"] == 2
    assert metrics.text().count("x_c{") == 1


def test_a_metric_that_only_another_process_knows(metrics: Metrics) -> None:
    metrics.run("""
        other = prometheus.init("metrics", "x_")
        other:histogram("h", "Of another.", nil, { 1, 2 }):observe(2)
        other:sync()
    """)
    assert metrics.samples()["x_h_bucket{le=2}"] == 1
    assert "# HELP x_h Of another.\n# TYPE x_h histogram\n" in metrics.text()


def test_label_values_are_escaped(metrics: Metrics) -> None:
    metrics.run(r"""
        local c = p:counter("c", "Help", { "l" })
        c:inc(1, { 'a"b\\c\nd' })
        c:inc(1, { "gr\195\188n" })
        c:inc(1, { "cut\255here" })
        c:inc(1, { "cut too\226\130" })
        c:inc(1, { true })
    """)
    values = set(metrics.samples())
    assert values == {
        'x_c{l=a"b\\c\nd}',
        "x_c{l=grün}",
        "x_c{l=cut}",
        "x_c{l=cut too}",
        "x_c{l=true}",
    }


def test_series_expire(metrics: Metrics, clock: Any) -> None:
    metrics.run("""
        c = p:counter("c", "Help", { "l" }, 10)
        g = p:gauge("g", "Help", nil, 10)
        h = p:histogram("h", "Help", nil, { 1, 2 }, 10)
        h:observe(1)
        c:inc(1, { "a" }) c:inc(1, { "b" }) g:set(1) p:sync()
    """)
    clock.advance(6)
    metrics.run('c:inc(1, { "a" }) h:observe(2) p:sync()')
    clock.advance(6)
    samples = metrics.samples()
    assert samples["x_c{l=a}"] == 2
    assert "x_c{l=b}" not in samples
    assert "x_g" not in samples
    assert (samples["x_h_bucket{le=1}"], samples["x_h_count"]) == (1, 2)
    metrics.run('c:inc(1, { "b" }) g:set(3)')
    samples = metrics.samples()
    assert (samples["x_c{l=b}"], samples["x_g"]) == (1, 3), "it comes again, from the beginning"


def test_del_removes_one_series(metrics: Metrics) -> None:
    metrics.run("""
        ngx.sleep = function() end
        c = p:counter("c", "Help", { "l" })
        c:inc(1, { "a" }) c:inc(1, { "b" })
        c:del({ "a" })
    """)
    assert metrics.samples() == {"x_c{l=b}": 1}
    metrics.run('c:inc(7, { "a" })')
    assert metrics.samples()["x_c{l=a}"] == 7


def test_reset_removes_all_series_of_a_metric(metrics: Metrics) -> None:
    metrics.run("""
        ngx.sleep = function(seconds) slept = seconds end
        c, d = p:counter("c", "Help", { "l" }), p:counter("c_d", "Help", { "l" })
        h = p:histogram("h", "Help", { "l" }, { 1 })
        for _, each in ipairs { "a", "b" } do
            c:inc(1, { each }) d:inc(1, { each }) h:observe(1, { each })
        end
        c:reset() h:reset()
    """)
    assert metrics.samples() == {"x_c_d{l=a}": 1, "x_c_d{l=b}": 1}
    assert metrics.run("return slept") == 1, "for what other processes have counted"
    metrics.run('h:observe(3, { "a" })')
    assert metrics.samples()["x_h_count{l=a}"] == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('p:counter("a b", "Help")', "Metric name 'a b' is invalid"),
        ('p:counter("__ngx_prom__a")', "Prefix '__ngx_prom__' is reserved for internal purposes"),
        ('p:counter("a", "", { "le" })', "Invalid label name 'le' in a"),
        ('p:counter("a", "", { "b-c" })', "Metric 'a' label name 'b-c' is invalid"),
        ('p:gauge("c") p:counter("c")', "Duplicate metric c"),
        ('p:counter("c_sum") p:histogram("c")', "Duplicate metric c"),
        ('p:histogram("c") p:gauge("c_bucket")', "Duplicate metric c_bucket"),
        (
            'p:counter("c"):inc(-1)',
            "Error while setting 'c' to '-1': 'Value should not be negative'",
        ),
        ('p:gauge("c"):set()', "No value passed for c"),
        ('p:histogram("c"):observe()', "No value passed for c"),
        (
            'p:counter("c", "", { "l", "m" }):inc(1, { "a" })',
            "incorrect label count for metric c, expected 2, got 1 (<a>)",
        ),
        (
            'p:counter("c"):inc(1, { 1 })',
            "incorrect label count for metric c, expected 0, got 1 (<1>)",
        ),
        (
            'p:counter("c", "", { "l" }):inc()',
            "incorrect label count for metric c, expected 1, got 0",
        ),
    ],
)
def test_mistakes_are_logged_and_counted(metrics: Metrics, code: str, message: str) -> None:
    metrics.run(code)
    assert any(message in line for line in metrics.logged), metrics.logged
    assert "x_nginx_metric_errors_total 1\n" in metrics.text()


def test_it_begins_in_init(metrics: Metrics) -> None:
    metrics.run("""
        phases.global = "init"
        local options = { prefix = "y_", error_metric_name = "oops", sync_interval = 3 }
        p = prometheus.init("metrics", options)
        c = p:counter("c")
        c:inc()
    """)
    assert "counter not initialized!" in metrics.logged[-1]
    metrics.run('phases.global = "init_worker" p:init_worker(2) p:init_worker() c:inc()')
    assert metrics.run("return period") == 2
    assert "init_worker() has been called twice" in metrics.logged[-1]
    assert metrics.samples(skip="oops")["y_c"] == 1
    assert "y_oops 1\n" in metrics.text()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            'phases.global = "timer" prometheus.init("metrics")',
            "Prometheus.init can only be called",
        ),
        ('prometheus.init("nowhere")', "Dictionary 'nowhere' does not seem to exist"),
        ("prometheus.init()", "Dictionary 'prometheus_metrics' does not seem to exist"),
        ('phases.global = "timer" p:init_worker()', "Prometheus:init_worker can only be called in"),
    ],
)
def test_what_cannot_begin(metrics: Metrics, code: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        metrics.run(code)


def test_more_series_than_a_process_remembers(metrics: Metrics) -> None:
    metrics.run("""
        p = prometheus.init("metrics", { prefix = "x_", lookup_max_size = 3 })
        local c = p:counter("c", "Help", { "l" })
        for _ = 1, 2 do
            for i = 1, 5 do c:inc(1, { i }) end
        end
    """)
    assert set(metrics.samples().values()) == {2}
    assert len(metrics.samples()) == 5


def test_a_full_dictionary_is_told_of(metrics: Metrics) -> None:
    metrics.run("""
        require("ngx.shdict").declare("small", 32 * 1024)
        p = prometheus.init("small", "x_")
        local c = p:counter("c", "Help", { "l" })
        for i = 1, 1000 do c:inc(1, { ("long"):rep(20) .. i }) end
        p:sync()
    """)
    message = "Shared dictionary used for prometheus metrics is full."
    assert any(message in line for line in metrics.logged)


def test_collect_answers_a_request(
    app_server: Callable[..., Any],
) -> None:
    server = app_server("""
        local p
        return {
            init_worker = function()
                p = require("prometheus").init("prometheus-metrics", "x_")
                p:counter("c", "Help"):inc(3)
            end,
            content = function() p:collect() end,
        }
    """)
    answer = server.ask("/")
    assert answer.header("Content-Type") == "text/plain"
    assert "x_c 3\n" in answer.text
