"""A network camera: an HTTP server that sends JPEG images in a multipart stream."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

HEIGHT, WIDTH = 48, 64
WAIT = 20.0  # far longer than anything takes; ends a test that would hang
GREYS = range(20, 240, 7)  # far enough apart to survive the codec


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


class _JpegCamera(http.server.BaseHTTPRequestHandler):
    """Sends `frames` JPEG images in a multipart stream, as network cameras do.

    Those with a number in `broken` are no images. In the end it closes the connection or, where
    it has a `release`, hangs until that is set. login: the Authorization that it demands.
    """

    frames = 12
    broken: tuple[int, ...] = ()
    release: threading.Event | None = None
    login: str | None = None

    def do_GET(self) -> None:
        if self.login is not None and self.headers["Authorization"] != self.login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for number, shade in enumerate(GREYS[: self.frames]):
            jpeg = cv2.imencode(".jpg", grey(shade))[1].tobytes()
            if number in self.broken:
                jpeg = bytes(len(jpeg))
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return
        if self.release is not None:
            self.wfile.write(b"--next\r\n")  # the end of the last image
            self.release.wait(WAIT)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def network_camera(
    release: threading.Event | None = None, broken: tuple[int, ...] = (), login: str | None = None
) -> Iterator[str]:
    handler = type(
        "Handler", (_JpegCamera,), {"release": release, "broken": broken, "login": login}
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        own = "admin:secret@" if login is None else ""
        yield f"http://{own}127.0.0.1:{server.server_port}/video?pwd=secret"
    finally:
        if release is not None:
            release.set()
        server.shutdown()
        server.server_close()
        thread.join()
