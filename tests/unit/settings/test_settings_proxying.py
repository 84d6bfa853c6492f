"""config.yaml's zones of caches and timeouts of mirrors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pygw.config.settings import ConfigError, Settings, load


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return load(file, env={})


def zones(*entries: str) -> str:
    return "apisix: {proxy_cache: {zones: [" + ", ".join(entries) + "]}}"


DISK = "{name: d, memory_size: 1m, disk_size: 2m, disk_path: cache, cache_levels: '1:2'}"


def test_zones_on_disk_and_in_memory(tmp_path: Path) -> None:
    found = settings(tmp_path, zones(DISK, "{name: m, memory_size: 3m}"))
    assert dict(found.http.proxy_cache_path) == {
        "d": {
            "path": str(tmp_path / "cache"),
            "levels": "1:2",
            "max_size": 2 << 20,
            "inactive": 86400.0,
        }
    }
    assert found.shared_dicts["m"] == 3 << 20
    assert "d" not in found.shared_dicts


def test_the_defaults_are_apisixs(tmp_path: Path) -> None:
    found = settings(tmp_path, "")
    assert found.http.proxy_cache_path["disk_cache_one"]["path"] == "/tmp/disk_cache_one"
    assert found.http.proxy_cache_valid == 10
    assert found.shared_dicts["memory_cache"] == 50 << 20
    assert found.http.mirror_connect_timeout == found.http.mirror_read_timeout == 60


def test_timeouts_of_mirrors(tmp_path: Path) -> None:
    text = "plugin_attr: {proxy-mirror: {timeout: {connect: 500ms, read: 2m}}}"
    http = settings(tmp_path, text).http
    times = (http.mirror_connect_timeout, http.mirror_read_timeout, http.mirror_send_timeout)
    assert times == (0.5, 120, 60)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (zones("{name: d}"), "memory_size"),
        (zones("{name: d, memory_size: 1k}"), "from 12k to 4g"),
        (zones(DISK.replace("1:2", "3")), 'up to three numbers such as "1:2"'),
        ("plugin_attr: {proxy-mirror: {timeout: {read: x}}}", 'not a duration such as "60s"'),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    assert message in str(caught.value)
