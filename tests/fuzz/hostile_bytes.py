"""Damage to valid files, for the fuzzers: what a plain mutation of bytes seldom hits."""

from __future__ import annotations

import random
import struct

_SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63)


def damaged(content: bytes, seed: int, largest: int) -> bytes:
    """Cut, flip, repeat or overwrite parts of content with sizes that claim much."""
    chance = random.Random(seed)
    result = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(result) + 1)
        match chance.randrange(5):
            case 0:
                del result[at : at + chance.choice((1, 4, 8, 512, len(result)))]
            case 1 if at < len(result):
                result[at] ^= 1 << chance.randrange(8)
            case 2:
                block = bytes(result[at : at + chance.choice((4, 32, 512))])
                result[at:at] = block * chance.choice((1, 2, 50))
            case 3:
                at -= at % 4
                result[at : at + 8] = struct.pack("<Q", chance.choice(_SIZES))
            case _:
                at -= at % 4
                result[at : at + 4] = struct.pack("<I", chance.choice(_SIZES) & 0xFFFFFFFF)
    return bytes(result[:largest])
