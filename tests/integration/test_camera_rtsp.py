"""A real RTSP server, over both transports, killed and frozen in the middle of the stream."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from network_camera import WAIT
from rtsp_server import HEIGHT, PASSWORD, WIDTH, RtspServer

from edgetally.capture import Camera, CameraState, SourceSettings, open_source
from edgetally.config import CameraConfig

if TYPE_CHECKING:
    from typing import Literal


def camera(url: str, **settings: Any) -> Camera:
    config = {"name": "dock", "source": url, "read_timeout": 0.5, **settings}
    return Camera(CameraConfig.model_validate(config), delay=lambda _: 0.05)


def becomes(live: Camera, state: CameraState) -> bool:
    deadline = time.monotonic() + WAIT
    while live.state != state and time.monotonic() < deadline:
        live.take(0.01)
    return live.state == state


def own_udp_sockets() -> int:
    table = Path("/proc/self/net/udp").read_text().splitlines()[1:]
    inodes = {f"socket:[{line.split()[9]}]" for line in table}
    files = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_socket()]
    return sum(os.readlink(file) in inodes for file in files)  # noqa: PTH115 - a socket is no path


def test_each_camera_has_its_own_transport() -> None:
    asked: tuple[Literal["tcp", "udp"], ...] = ("tcp", "udp", "tcp")
    sockets = []
    with RtspServer("both") as server:
        before = own_udp_sockets()
        for transport in asked:
            with open_source(server.url, SourceSettings(rtsp_transport=transport)) as source:
                image = source.read()
                assert image is not None
                assert image.shape == (HEIGHT, WIDTH, 3)
                sockets.append(own_udp_sockets() - before)
    assert sockets == [0, 2, 0]  # RTP and RTCP


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_was_killed_and_restarted_comes_back(
    transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        server = RtspServer(transport)
        with camera(server.url, rtsp_transport=transport) as live:
            frame = live.take(WAIT)
            assert frame is not None
            server.kill()
            assert becomes(live, "lost")
            with RtspServer(transport, server.port):
                assert becomes(live, "streaming")
                newer = live.take(WAIT)
                assert newer is not None
                assert newer.index > frame.index
                assert newer.media_time > frame.media_time
                assert live.counters.reconnects == 1
    assert PASSWORD not in caplog.text


def test_a_camera_that_freezes_is_stalled_then_lost() -> None:
    with RtspServer() as server, camera(server.url) as live:
        assert becomes(live, "streaming")
        server.freeze()
        began = time.monotonic()
        assert becomes(live, "stalled")
        assert becomes(live, "lost")
        assert time.monotonic() - began < 2


def test_a_wrong_password_is_told_without_it(caplog: pytest.LogCaptureFixture) -> None:
    with RtspServer() as server:
        url = server.url.replace(PASSWORD, "wr0ng")
        with camera(url) as live:
            assert becomes(live, "lost")
    assert "check the address, the password" in caplog.text
    assert "wr0ng" not in caplog.text


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        began = time.monotonic()
        with camera(url, open_timeout=0.3) as live:
            assert becomes(live, "lost")
        assert time.monotonic() - began < 3
