"""`Login`: a camera's user and password, kept apart from its configuration until it is opened."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from edgetally.errors import EdgetallyError, InputError
from edgetally.ordinary_file import open_ordinary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetally.config import CameraConfig

_FORM = 'expected {"username": …, "password": …} or user:password'
_LARGEST = 65_536  # bytes: a secret of AWS Secrets Manager has no more


@dataclass(frozen=True)
class Login:
    """Who may see a camera's pictures."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def put_into(self, url: str) -> str:
        """Return the URL with it, whatever signs it is made of."""
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}"


def find_login(config: CameraConfig, secret: Callable[[str], str] | None) -> Login:
    """Get a camera's login: its secret where there is one to be had, else from its file.

    secret: gives the text of a secret, or raises EdgetallyError; None: nobody has secrets.
    InputError, without anything of the secret, where neither works.
    """
    reason = ""
    if config.secret_arn is not None:
        try:
            return _login_of(
                (secret or _no_secrets)(config.secret_arn), f"secret {config.secret_arn}"
            )
        except EdgetallyError as error:
            if config.credentials_file is None:
                raise InputError(f"{error}; or give credentialsFile") from None
            reason = f" ({error})"
    if config.credentials_file is None:
        raise InputError("neither secretArn nor credentialsFile is given")
    try:
        return _login_in(config.credentials_file)
    except InputError as error:
        raise InputError(f"{error}{reason}") from None


def _login_in(path: Path) -> Login:
    try:
        with open_ordinary(path, _LARGEST) as file:
            _refuse_seen(os.fstat(file.fileno()), path)
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"credentials file {path}: {error.strerror}") from None
    return _login_of(content.decode(errors="replace"), f"credentials file {path}")


def _refuse_seen(status: os.stat_result, path: Path) -> None:
    user = os.geteuid()
    if status.st_uid not in (user, 0):
        raise InputError(
            f"credentials file {path} belongs to another user ({status.st_uid}); run as that one, "
            f"or chown {user} {path}"
        )
    if status.st_mode & 0o077:
        raise InputError(f"credentials file {path} may be read by others; chmod 600 {path}")


def _login_of(text: str, where: str) -> Login:
    """Read a login; nothing of the text is told."""
    try:
        content = json.loads(text)
    except ValueError:
        user, colon, rest = text.strip().partition(":")
        content = {"username": user, "password": rest} if colon else None
    if not isinstance(content, dict):
        raise InputError(f"{where}: {_FORM}")
    name, password = content.get("username"), content.get("password")
    if not (isinstance(name, str) and isinstance(password, str) and name and len(text) <= _LARGEST):
        raise InputError(f"{where}: {_FORM}")
    return Login(name, password)


def _no_secrets(arn: str) -> str:
    raise EdgetallyError(f"secret {arn}: no Greengrass nucleus started this process")
