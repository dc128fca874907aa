"""A camera's user and password, from a secret or a file: used, and told to nobody."""

from __future__ import annotations

import base64
import logging
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from mosquitto_broker import wait_until
from network_camera import network_camera

from edgetally.capture import Camera
from edgetally.capture.login import find_login
from edgetally.config import CameraConfig, parse_config
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:camera-x1"
USER, PASSWORD = "admin", "S3C:R/E@T? 100%"
JSON = '{"username": "admin", "password": "S3C:R/E@T? 100%"}'
PLAIN = f"{USER}:{PASSWORD}\n"
EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def credentials(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "credentials"
    path.write_text(content)
    path.chmod(mode)
    return path


def secret(text: str) -> Callable[[str], str]:
    return {ARN: text}.__getitem__


def no_secrets(arn: str) -> str:
    raise EdgetallyError(f"secret {arn}: this nucleus has no GetSecretValue")


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        (secret(JSON), None),
        (secret(PLAIN), None),
        (secret(JSON), "wrong:one"),
        (no_secrets, JSON),
        (None, PLAIN),
    ],
)
def test_a_camera_is_logged_in_from_its_secret_or_else_its_file(
    asked: Callable[[str], str] | None, file: str | None, tmp_path: Path
) -> None:
    path = credentials(tmp_path, file) if file else None
    with network_camera(login=EXPECTED) as url:
        config = CameraConfig(name="dock", source=url, secret_arn=ARN, credentials_file=path)
        with Camera(config, secret=asked) as camera:
            frame = camera.take(20)
    assert frame is not None


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (PLAIN, 0o640, "may be read by others; chmod 600"),
        (PLAIN, 0o604, "may be read by others; chmod 600"),
        ("S3C", 0o600, "expected {.*} or user:password"),
        ('{"user": "admin", "password": "S3C"}', 0o600, "expected {.*} or user:password"),
        ('["S3C"]', 0o600, "expected {.*} or user:password"),
        ("x:wrong S3C", 0o600, r"http://\*\*\*@127\.0\.0\.1"),
        (None, 0o600, "No such file"),
    ],
)
def test_what_is_no_login_is_told_without_it(
    content: str | None,
    mode: int,
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "credentials"
    if content is not None:
        credentials(tmp_path, content, mode)
    with network_camera(login=EXPECTED) as url, caplog.at_level(logging.DEBUG):
        config = CameraConfig(name="dock", source=url, credentials_file=path, open_timeout=2)
        with Camera(config) as camera:
            wait_until(lambda: camera.state == "lost", "it is not lost")
    assert "camera dock is lost, and tried again for ever" in caplog.text
    assert any(re.search(words, record.getMessage()) for record in caplog.records)
    for said in (caplog.text, *capfd.readouterr()):
        assert "S3C" not in said


def test_a_pipe_in_the_files_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "credentials", 0o600)
    config = CameraConfig(
        name="dock", source="rtsp://127.0.0.1:9/x", credentials_file=tmp_path / "credentials"
    )
    with pytest.raises(InputError, match="it is no ordinary file"):
        find_login(config, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = credentials(tmp_path, PLAIN)
    os.chown(path, 65534, 65534)
    config = CameraConfig(name="dock", source="rtsp://127.0.0.1:9/x", credentials_file=path)
    with pytest.raises(InputError, match=r"belongs to another user \(65534\)"):
        find_login(config, None)


def test_a_secret_that_nobody_has_names_the_file_as_the_other_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = CameraConfig(name="dock", source="rtsp://127.0.0.1:9/x", secret_arn=ARN)
    with Camera(config, secret=no_secrets) as camera:
        wait_until(lambda: camera.state == "lost", "it is not lost")
    assert "this nucleus has no GetSecretValue; or give credentialsFile" in caplog.text
    assert "rtsp://127.0.0.1:9/…" in caplog.text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("0", "are for a source that is a URL"),
        ("film.mp4", "are for a source that is a URL"),
        ("rtsp://me:S3C@127.0.0.1/x", "source has a login of its own"),
    ],
)
def test_a_login_is_for_a_url_without_one(source: str, words: str) -> None:
    content: dict[str, Any] = {
        "model": {"path": "boxes"},
        "cameras": [{"name": "dock", "source": source, "secretArn": ARN}],
    }
    with pytest.raises(InputError, match=words) as caught:
        parse_config(content, "test")
    assert "S3C" not in str(caught.value)
