"""The range of keys that a prefix means."""

from hypothesis import given
from hypothesis import strategies as st

from pygw.config.store import prefix_end


def in_range(key: bytes, prefix: bytes) -> bool:
    """As a store selects: from the prefix on, up to its end, b"\\0" meaning no end."""
    end = prefix_end(prefix)
    return key >= prefix and (end == b"\0" or key < end)


keys = st.binary(max_size=4) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=4).map(bytes)


@given(prefix=keys, key=keys)
def test_a_key_is_in_the_range_if_and_only_if_it_begins_with_the_prefix(
    prefix: bytes, key: bytes
) -> None:
    assert in_range(key, prefix) == key.startswith(prefix)
    assert in_range(prefix + key, prefix)
