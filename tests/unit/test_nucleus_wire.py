"""The stand-in nucleus's wire: frames, what is no frame, and the messages in them."""

from __future__ import annotations

import struct
import zlib

import pytest
from awscrt.eventstream import Header as ClientHeader  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from edgetally.nucleus.wire import (
    Frame,
    Header,
    HeaderType,
    MessageFlag,
    MessageType,
    Packet,
    WireError,
    decode,
    encode,
    read_packet,
)
from edgetally.nucleus.wire.frame import PRELUDE, length_of

_NUMBERS = {
    HeaderType.BYTE: 8,
    HeaderType.INT16: 16,
    HeaderType.INT32: 32,
    HeaderType.INT64: 64,
    HeaderType.TIMESTAMP: 64,
}
_NAMES = st.text(min_size=1, max_size=60)


def _numbers(kind: HeaderType) -> st.SearchStrategy[Header]:
    half = 1 << (_NUMBERS[kind] - 1)
    return st.builds(Header, _NAMES, st.just(kind), st.integers(-half, half - 1))


HEADERS = st.one_of(
    st.builds(Header, _NAMES, st.just(HeaderType.TRUE), st.just(True)),
    st.builds(Header, _NAMES, st.just(HeaderType.FALSE), st.just(False)),
    *(_numbers(kind) for kind in _NUMBERS),
    st.builds(Header, _NAMES, st.just(HeaderType.BYTES), st.binary(max_size=300)),
    st.builds(Header, _NAMES, st.just(HeaderType.STRING), st.text(max_size=300)),
    st.builds(Header, _NAMES, st.just(HeaderType.UUID), st.binary(min_size=16, max_size=16)),
)
FRAMES = st.builds(Frame, st.lists(HEADERS, max_size=6).map(tuple), st.binary(max_size=2000))
FRAME = encode(Frame((Header("operation", HeaderType.STRING, "a"),), b"payload"))


@given(FRAMES)
def test_a_frame_is_the_same_after_it_went_over_the_wire(frame: Frame) -> None:
    data = encode(frame)
    assert length_of(data[:PRELUDE]) == len(data)
    assert decode(data) == frame


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@given(st.integers(0, len(FRAME) - 1), st.integers(1, 255))
def test_a_frame_of_which_any_byte_is_damaged_is_refused(at: int, flip: int) -> None:
    damaged = bytearray(FRAME)
    damaged[at] ^= flip
    with pytest.raises(WireError):
        decode(bytes(damaged))


@given(st.binary(max_size=200))
def test_headers_that_are_none_are_refused_although_both_sums_are_right(headers: bytes) -> None:
    sizes = struct.pack(">II", 16 + len(headers), len(headers))
    data = sizes + struct.pack(">I", zlib.crc32(sizes)) + headers
    try:
        frame = decode(data + struct.pack(">I", zlib.crc32(data)))
    except WireError:
        return
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("length", range(len(FRAME)))
def test_a_frame_cut_short_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode(FRAME[:length])


@pytest.mark.parametrize(("total", "headers"), [(0, 0), (15, 0), (40, 25), ((24 << 20) + 1, 0)])
def test_lengths_that_can_not_be_are_refused_before_anything_is_read(
    total: int, headers: int
) -> None:
    sizes = struct.pack(">II", total, headers)
    with pytest.raises(WireError, match=f"a frame of {total} bytes, of which {headers} headers"):
        length_of(sizes + struct.pack(">I", zlib.crc32(sizes)))


@pytest.mark.parametrize(
    "header",
    [
        Header("", HeaderType.TRUE, value=True),
        Header("n" * 256, HeaderType.TRUE, value=True),
        Header("n", HeaderType.INT32, 1 << 31),
        Header("n", HeaderType.STRING, "x" * 32_768),
        Header("n", HeaderType.UUID, b"short"),
        Header("n", HeaderType.BYTES, 7),
    ],
)
def test_a_header_that_does_not_fit_the_format_is_not_written(header: Header) -> None:
    with pytest.raises(WireError):
        encode(Frame((header,)))


def test_a_frame_larger_than_the_format_allows_is_not_written() -> None:
    with pytest.raises(WireError, match="more than"):
        encode(Frame((), bytes(24 << 20)))


def test_header_types_have_the_numbers_that_the_client_uses() -> None:
    assert ClientHeader.from_int32("n", 1).type == HeaderType.INT32
    assert ClientHeader.from_string("n", "s").type == HeaderType.STRING
    assert ClientHeader.from_byte_buf("n", b"").type == HeaderType.BYTES


@given(
    st.builds(
        Packet,
        st.sampled_from(MessageType),
        st.integers(0, 1 << 30),
        st.integers(0, 3),
        st.text(max_size=80),
        st.text(max_size=80),
        st.binary(max_size=500),
    )
)
def test_a_message_is_the_same_after_it_went_over_the_wire(packet: Packet) -> None:
    assert read_packet(decode(packet.to_bytes())) == packet


def test_a_message_knows_whether_it_ends_its_stream() -> None:
    last = Packet(MessageType.APPLICATION_MESSAGE, 1, MessageFlag.TERMINATE_STREAM)
    assert last.ends_stream
    assert not Packet(MessageType.APPLICATION_MESSAGE, 1).ends_stream


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (Header(":message-type", HeaderType.INT32, 0),),
        (
            Header(":message-type", HeaderType.INT32, 99),
            Header(":message-flags", HeaderType.INT32, 0),
            Header(":stream-id", HeaderType.INT32, 0),
        ),
        (
            Header(":message-type", HeaderType.STRING, "0"),
            Header(":message-flags", HeaderType.INT32, 0),
            Header(":stream-id", HeaderType.INT32, 0),
        ),
    ],
)
def test_a_frame_that_is_no_message_is_refused(headers: tuple[Header, ...]) -> None:
    with pytest.raises(WireError):
        read_packet(Frame(headers))
