"""What a picture's header claims its size to be."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.capture.picture_size import picture_size


def encoded(kind: str, width: int, height: int, *parameters: int) -> bytes:
    written, content = cv2.imencode(kind, np.zeros((height, width, 3), np.uint8), parameters)
    assert written
    return content.tobytes()


@pytest.mark.parametrize("kind", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("size", [(1, 1), (6, 4), (300, 17)])
def test_the_size_is_that_of_the_picture(kind: str, size: tuple[int, int]) -> None:
    assert picture_size(io.BytesIO(encoded(kind, *size))) == size


def test_a_lossy_webp_tells_its_size_too() -> None:
    content = encoded(".webp", 30, 20, cv2.IMWRITE_WEBP_QUALITY, 50)
    assert content[12:16] == b"VP8 "
    assert picture_size(io.BytesIO(content)) == (30, 20)


def test_an_extended_webp_and_a_big_endian_tiff_tell_their_size() -> None:
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + bytes([99, 0, 1, 49, 2, 0])
    assert picture_size(io.BytesIO(webp)) == (65_636, 562)
    tiff = bytes.fromhex(
        "4d4d002a00000008 0002 0100000300000001 00640000 0101000400000001 00000032"
    )
    assert picture_size(io.BytesIO(tiff)) == (100, 50)


@given(
    st.sampled_from([b"RIFF????WEBPVP8L", b"RIFF????WEBP", b"II*\0\x08\0\0\0", b"MM\0*", b"BM"]),
    st.binary(max_size=60),
)
def test_whatever_follows_a_known_beginning_is_a_size_or_none(start: bytes, rest: bytes) -> None:
    found = picture_size(io.BytesIO(start + rest))
    assert found is None or min(found) >= 0
