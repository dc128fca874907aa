"""A camera's stream over HTTP: an MPEG transport stream, each picture sent when it is due.

Run as a program (FILE FPS), so that its work is not counted with what is measured; it prints its
port and serves until its input ends.
"""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKET = 188  # ISO/IEC 13818-1, 2.4.3.2
_SYNC = 0x47
_UNIT_START = 0x40
_ADAPTATION_FIELD = 0x20
_VIDEO_START = b"\x00\x00\x01\xe0"
_BURST_SECONDS = 8.0  # FFmpeg wants as much before it opens a stream; cameras send it at once


@contextmanager
def paced_stream(path: Path, fps: float) -> Iterator[str]:
    """Serve a file to any number of cameras, over and over; yield its URL."""
    command = [sys.executable, "-m", __name__, str(path), str(fps)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        if server.stdin is None or server.stdout is None:
            raise EdgetallyError("the camera's server has no pipes")
        try:
            port = int(server.stdout.readline() or 0)
            if not port:
                raise EdgetallyError(f"{path} can't be served as a camera")
            yield f"http://127.0.0.1:{port}/stream.ts"
        finally:
            server.stdin.close()


def pictures_in(content: bytes) -> list[bytes]:
    """Cut a transport stream where a picture of its video begins; tables go with the one before.

    EdgetallyError where it is no transport stream with video.
    """
    packets = [content[at : at + _PACKET] for at in range(0, len(content), _PACKET)]
    if not packets or any(packet[0] != _SYNC for packet in packets):
        raise EdgetallyError("the stream is no MPEG transport stream")
    starts = [number for number, packet in enumerate(packets) if _begins_picture(packet)]
    if not starts:
        raise EdgetallyError("the stream holds no video")
    cuts = [0, *starts[1:], len(packets)]
    return [b"".join(packets[begin:end]) for begin, end in pairwise(cuts)]


def _begins_picture(packet: bytes) -> bool:
    """Whether its payload begins a PES packet of the first video stream (2.4.3.6)."""
    if not packet[1] & _UNIT_START:
        return False
    has_fields = packet[3] & _ADAPTATION_FIELD
    payload = 4 + (1 + packet[4] if has_fields else 0)
    return packet[payload : payload + 4] == _VIDEO_START


def _handler(pictures: list[bytes], fps: float) -> type[http.server.BaseHTTPRequestHandler]:
    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            start, sent = time.monotonic() - _BURST_SECONDS, 0
            try:
                while True:
                    self.wfile.write(pictures[sent % len(pictures)])
                    sent += 1
                    time.sleep(max(0.0, start + sent / fps - time.monotonic()))
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Camera


def _serve(path: Path, fps: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    handler = _handler(pictures_in(path.read_bytes()), fps)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), float(sys.argv[2]))
