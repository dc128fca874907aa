"""A real RTSP camera: GStreamer's server in a process of its own, that can be killed.

Run by itself, with the system's Python, this file is that server:
`rtsp_server.py PORT tcp|udp|both`.
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-ugly"
)
USER, PASSWORD = "admin", "s3cr3t"
WIDTH, HEIGHT, FPS = 160, 120, 30
_SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's bindings of GStreamer belong to Debian's Python
_NOT_INSTALLED = 77
_ELEMENTS = ("videotestsrc", "x264enc", "rtph264pay")
_PIPELINE = (
    f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={WIDTH},height={HEIGHT},"
    f"framerate={FPS}/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! "
    "rtph264pay name=pay0 config-interval=-1 )"
)


class RtspServer:
    """A camera that sends H.264 over one transport or both, and wants a password.

    Skips the test where Debian's packages for it are not installed.
    """

    def __init__(self, transport: str = "tcp", port: int = 0) -> None:
        import pytest  # the system's Python, which runs this file too, has none

        command = [_SYSTEM_PYTHON, str(Path(__file__).resolve()), str(port), transport]
        if not Path(_SYSTEM_PYTHON).exists():
            pytest.skip(f"the RTSP server needs Debian's {PACKAGES}")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        if not said and self._process.wait() == _NOT_INSTALLED:
            self._process.stdout.close()
            pytest.skip(f"the RTSP server needs Debian's {PACKAGES}")
        self.port = int(said[1])
        self.url = f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/live"

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def freeze(self) -> None:
        """Let it say nothing more, its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _serve(port: str, transport: str) -> None:
    try:
        gi: Any = importlib.import_module("gi")
        for name in ("Gst", "GstRtsp", "GstRtspServer"):
            gi.require_version(name, "1.0")
    except (ImportError, ValueError):
        sys.exit(_NOT_INSTALLED)
    glib, gst, rtsp, servers = (
        importlib.import_module(f"gi.repository.{name}")
        for name in ("GLib", "Gst", "GstRtsp", "GstRtspServer")
    )
    gst.init(None)
    if not all(gst.ElementFactory.find(name) for name in _ELEMENTS):
        sys.exit(_NOT_INSTALLED)
    role = "viewer"
    auth = servers.RTSPAuth()
    token = servers.RTSPToken()
    token.set_string(servers.RTSP_TOKEN_MEDIA_FACTORY_ROLE, role)
    auth.add_basic(servers.RTSPAuth.make_basic(USER, PASSWORD), token)
    factory = servers.RTSPMediaFactory()
    factory.set_launch(_PIPELINE)
    factory.set_shared(True)
    lower = rtsp.RTSPLowerTrans
    factory.set_protocols(
        {"tcp": lower.TCP, "udp": lower.UDP, "both": lower.TCP | lower.UDP}[transport]
    )
    permissions = servers.RTSPPermissions()
    permissions.add_permission_for_role(role, servers.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role(role, servers.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
    server = servers.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.set_auth(auth)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    print("listening", server.get_bound_port(), flush=True)  # noqa: T201 - the answer
    glib.MainLoop().run()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
