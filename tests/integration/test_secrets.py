"""Passwords in sources, in all the ways people write them, at every door they may leave by."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import yaml
from network_camera import WAIT

from edgetally.capture import Camera, SourceSettings, open_source, plan_source, redact
from edgetally.config import CameraConfig, load_config, parse_config
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

SECRET = "S3CRET"  # noqa: S105 - none
HOST = "127.0.0.1:9"

# Where nobody answers: a source, and how it is shown.
CAMERAS = [
    ("rtsp://admin:S3CRET@127.0.0.1:9/x", "rtsp://***@127.0.0.1:9/…"),
    (" rtsp://admin:S3CRET@127.0.0.1:9/x ", "rtsp://***@127.0.0.1:9/…"),
    ("RTSP://S3CRET@127.0.0.1:9", "RTSP://***@127.0.0.1:9"),
    ("rtsp://127.0.0.1:9/user=admin&password=S3CRET&channel=1&stream=0.sdp", "rtsp://{}/…"),
    ("rtsp://127.0.0.1:9/user=admin_password=S3CRET_channel=1_stream=0.sdp", "rtsp://{}/…"),
    ("rtsp://127.0.0.1:9/x rtsp_user=admin rtsp_pass=S3CRET", "rtsp://{}/…"),
    ("rtsp://admin:S3CRET%40127.0.0.1:9/x", "rtsp://***/…"),
    ("rtsp://admin:S3/CRET@127.0.0.1:9/S3CRET", "rtsp://***/…"),
    ("http://127.0.0.1:9/snapshot.cgi;token=S3CRET", "http://{}/…"),
    ("http://127.0.0.1:9/video#token=S3CRET", "http://{}/…"),
    ("http://127.0.0.1:9/video&user=admin&pwd=S3CRET", "http://{}/…"),
    ("http://127.0.0.1:9/a?user=admin&pwd=S3CRET", "http://{}/…"),
    ("http://127.0.0.1:9/a?pwd=b@S3CRET", "http://***/…"),
    ("http://127.0.0.1:9/S3CRET/video.mjpg", "http://{}/…"),
    ("http://127.0.0.1:9\n/S3CRET", "http://***/…"),
    ("rtmp://127.0.0.1:9/live/S3CRET", "rtmp://{}/…"),
]
PIPELINES = [
    "rtspsrc location=rtsp://127.0.0.1:9/x user-id=admin user-pw=S3CRET ! decodebin ! appsink",
    "rtspsrc location=rtsp://127.0.0.1:9/x user-id=admin user-pw=S3CRET !decodebin !appsink",
    "rtspsrc location=rtsp://127.0.0.1:9/x user-id=admin user-pw=S3CRET!decodebin!appsink",
    "rtspsrc location=rtsp://127.0.0.1:9/x user-id=admin user-pw=S3CRET\n! decodebin\n!appsink",
    "rtspsrc location=rtsp://127.0.0.1:9/x user-id=admin user-pw=S3CRET",
    "rtspsrc location=rtsp://admin:S3CRET@127.0.0.1:9/S3CRET ! decodebin ! appsink",
    "videotestsrc!identity name=S3CRET !nosuch",
]
REFUSED = [
    ("http:127.0.0.1/?pw=S3CRET", "http:…: a URL needs ://"),
    ("http//127.0.0.1/?pw=S3CRET", "http//…: a URL needs ://"),
    ("http:/127.0.0.1/S3CRET", "http:…: a URL needs ://"),
    ("rtsp:/admin:S3CRET@127.0.0.1/x", "rtsp:…: a URL needs ://"),
    ("rtsp//admin:S3CRET@127.0.0.1", "rtsp//…: a URL needs ://"),
    ("admin:S3CRET@127.0.0.1/S3CRET", "***@127.0.0.1/…: a URL needs ://"),
    ("127.0.0.1:554/user=admin&password=S3CRET", "127.0.0.1:554/…: a URL needs ://"),
    ("rtps://admin:S3CRET@127.0.0.1/S3CRET", "rtps://***@127.0.0.1/…: no video comes by"),
    ("see rtsp://admin:S3CRET@127.0.0.1/S3CRET", "…rtsp://***@127.0.0.1/…: no video comes by"),
    ("rtsp://admin:S3CRET@/S3CRET", "rtsp://***@/… names no host"),
]
ALL = [
    *(source for source, _ in CAMERAS),
    *PIPELINES,
    *(source for source, _ in REFUSED),
]
has_gstreamer = shutil.which("gst-launch-1.0") is not None
needs_gstreamer = pytest.mark.skipif(not has_gstreamer, reason="needs Debian's gstreamer1.0-tools")


@pytest.mark.parametrize(("source", "shown"), CAMERAS)
def test_of_a_url_no_more_is_shown_than_scheme_host_and_port(source: str, shown: str) -> None:
    assert redact(source) == shown.format(HOST)


@pytest.mark.parametrize("source", PIPELINES)
def test_of_a_pipeline_the_first_element_is_shown(source: str) -> None:
    assert redact(source) in {"pipeline rtspsrc ! ***", "pipeline videotestsrc ! ***"}


@pytest.mark.parametrize("watch", [False, True])
@pytest.mark.parametrize(("source", "says"), REFUSED)
def test_what_is_no_source_is_refused_without_its_password(
    source: str, says: str, watch: bool
) -> None:
    with pytest.raises(InputError) as caught:
        plan_source(source, SourceSettings(watch=watch))
    assert str(caught.value).startswith(says)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("source", ALL)
def test_a_source_in_the_wrong_place_of_a_configuration_is_not_quoted(
    source: str, tmp_path: Path
) -> None:
    camera = {"name": "dock", "source": source}
    wrong: list[object] = [
        {**camera, "name": source + "/#"},
        {**camera, "fps": source},
        {**camera, "buffer": source},
        {**camera, source: 1},
        {**camera, "lines": [source]},
        {**camera, "source": {"url": source}},
        {**camera, "source": source + "\0"},
        source,
    ]
    texts = [f"{key}: 1\n" * 2 for key in (json.dumps(source), "x")]
    texts += [f"a: {source}\n b: {source}", f"a: [{source}", f"!{source} : *{source}", f"*{source}"]
    for content in wrong:
        with pytest.raises(InputError) as caught:
            parse_config({"model": {"path": "boxes"}, "cameras": [content]}, "edge.yaml")
        assert SECRET not in str(caught.value)
    for text in texts:
        (tmp_path / "edge.yaml").write_text(text)
        with pytest.raises(InputError) as caught:
            load_config(tmp_path / "edge.yaml")
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        *(source for source, _ in CAMERAS),
        *(pytest.param(source, marks=needs_gstreamer) for source in PIPELINES),
    ],
)
def test_a_camera_that_does_not_open_is_told_and_logged_without_its_password(
    source: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(source, SourceSettings(open_timeout=1, read_timeout=1))
    assert str(caught.value).startswith(redact(source))
    with caplog.at_level(logging.DEBUG):
        config = CameraConfig(name="dock", source=source, open_timeout=1, read_timeout=1)
        with Camera(config) as camera:
            deadline = time.monotonic() + WAIT
            while camera.state != "lost" and time.monotonic() < deadline:
                camera.take(0.05)
    assert "camera dock is lost, and tried again for ever: " in caplog.text
    for said in (str(caught.value), caplog.text, *capfd.readouterr()):
        assert SECRET not in said
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.fixture
def run_folder(bundle: ModelBundle, tmp_path: Path) -> Path:
    shutil.copytree(bundle.file("onnx").parent, tmp_path / "boxes")
    return tmp_path


def start(folder: Path, sources: list[str]) -> subprocess.Popen[str]:
    cameras = [
        {"name": f"c{number}", "source": source, "openTimeout": 1, "readTimeout": 1}
        for number, source in enumerate(sources)
    ]
    content = {
        "model": {"path": "boxes", "engine": "openvino"},
        "cameras": cameras,
        "publish": {"transports": [{"type": "jsonl", "path": "messages.jsonl"}]},
        "storage": {"path": "state"},
    }
    (folder / "edge.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from edgetally.cli import main; main()", "--debug", "run"]
    return subprocess.Popen(
        [*command, "--config", "edge.yaml"], cwd=folder, stderr=subprocess.PIPE, text=True
    )


def test_a_run_tells_of_lost_cameras_without_their_passwords(run_folder: Path) -> None:
    sources = [source for source, _ in CAMERAS] + PIPELINES * has_gstreamer
    messages = run_folder / "messages.jsonl"
    with start(run_folder, sources) as process:
        deadline = time.monotonic() + 3 * WAIT
        states: list[str] = []
        while set(states) != {"lost"} and time.monotonic() < deadline:
            time.sleep(0.2)
            entries = messages.read_text().splitlines() if messages.exists() else []
            told = [json.loads(entry) for entry in entries if entry.endswith("}")]
            health = [each["message"] for each in told if each["topic"].endswith("/health")]
            if health:
                states = [camera["state"] for camera in health[-1]["cameras"].values()]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=WAIT)
    assert states == ["lost"] * len(sources)
    assert said.count("is lost, and tried again for ever") >= len(sources)
    assert SECRET not in said
    assert SECRET not in messages.read_text()


@pytest.mark.parametrize("source", [source for source, _ in REFUSED[::4]])
def test_a_run_that_is_refused_does_not_tell_the_password(run_folder: Path, source: str) -> None:
    with start(run_folder, [source]) as process:
        _, said = process.communicate(timeout=3 * WAIT)
    assert process.returncode == 2
    assert "edgetally: camera c0: " in said
    assert SECRET not in said
