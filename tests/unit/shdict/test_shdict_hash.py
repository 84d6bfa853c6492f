"""The hash of keys is HalfSipHash-1-3, by a second implementation of it."""

import random
from typing import Any

MASK = 0xFFFFFFFF


def rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & MASK


def half_sip_round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & MASK
    v[1] = rotated(v[1], 5) ^ v[0]
    v[0] = rotated(v[0], 16)
    v[2] = (v[2] + v[3]) & MASK
    v[3] = rotated(v[3], 8) ^ v[2]
    v[0] = (v[0] + v[3]) & MASK
    v[3] = rotated(v[3], 7) ^ v[0]
    v[2] = (v[2] + v[1]) & MASK
    v[1] = rotated(v[1], 13) ^ v[2]
    v[2] = rotated(v[2], 16)


def half_sip_hash(text: bytes, k0: int, k1: int) -> int:
    v = [k0, k1, 0x6C796765 ^ k0, 0x74656462 ^ k1]
    padded = text + bytes(3 - len(text) % 4) + bytes([len(text) & 0xFF])
    for at in range(0, len(padded), 4):
        word = int.from_bytes(padded[at : at + 4], "little")
        v[3] ^= word
        half_sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        half_sip_round(v)
    return v[1] ^ v[3]


def signed(value: int) -> int:
    return value - (value >> 31 << 32)


def test_keys_of_any_length_and_bytes(lua: Any) -> None:
    ours = lua.execute('return require "ngx.shdict.hash"')
    chance = random.Random(5)
    for length in [*range(70), 255, 256, 1000, 65535]:
        text = chance.randbytes(length)
        k0, k1 = chance.getrandbits(32), chance.getrandbits(32)
        made = ours(text.decode("latin-1"), signed(k0), signed(k1))
        assert made & MASK == half_sip_hash(text, k0, k1), length


def test_two_dictionaries_hash_differently(lua: Any) -> None:
    """Who makes keys collide in one gateway has learned nothing about another."""
    lua.execute("""
        local declare = require("ngx.shdict").declare
        hash_of = require("ngx.shdict.hashes").hash_of
        a, b = declare("a", 12288), declare("b", 12288)
    """)
    assert lua.eval('hash_of(a[1], "key") == hash_of(a[1], "key")')
    assert not lua.eval('hash_of(a[1], "key") == hash_of(b[1], "key")')


def test_more_keys_than_are_remembered(lua: Any) -> None:
    lua.execute("""
        d = require("ngx.shdict").declare("dogs", 4 * 1024 * 1024)
        for i = 1, 20000 do d:incr("n" .. i % 9000, 1, 0) end
    """)
    assert lua.eval('d:get("n8999")') == 2
    assert lua.eval("d[1].hashes.count") <= 8192
