"""Durations and sizes, as nginx writes them."""

import pytest

from pygw.config.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("500ms", 0.5),
        ("1m", 60),
        ("1h30m", 5400),
        ("1h 30m 5", 5405),
        ("1d", 86400),
        ("1w", 604800),
        ("1M", 2592000),
        ("1y", 31536000),
        ("30", 30),
        (30, 30),
        (0.25, 0.25),
        ("0", 0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5x", "-5s", "1s2h", "1s1s", "1.5s", "5 5", -1])
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10m", 10 << 20), ("64k", 65536), ("64K", 65536), ("1g", 1 << 30), ("512", 512), (7, 7)],
)
def test_a_size_is_read_in_bytes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "10mb", "-1", "1.5m", "1 m", -1])
def test_what_is_no_size_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)
