"""The user as whom components run."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A user of this machine. is_other: not the one that we are."""

    name: str
    uid: int
    gid: int
    home: str
    is_other: bool

    def own(self, folder: Path) -> None:
        """Give a folder, and what is in it, to the user, where that is someone else."""
        if not self.is_other:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def owner(name: str | None, root: Path) -> Owner:
    """Return a user; without a name, who we are.

    InputError where there is none of this name, we may not become it, or it can't reach `root`.
    """
    if name is None:
        try:
            us = pwd.getpwuid(os.getuid())
        except KeyError:
            return Owner(str(os.getuid()), os.getuid(), os.getgid(), "/", is_other=False)
        return Owner(us.pw_name, us.pw_uid, us.pw_gid, us.pw_dir, is_other=False)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise InputError(f"no user {name} on this machine") from None
    is_other = entry.pw_uid != os.getuid()
    if is_other and os.getuid() != 0:
        raise InputError(f"only root can run components as {name}; leave the user out")
    for folder in (root, *root.parents):
        status = folder.stat()
        if status.st_uid != entry.pw_uid and not status.st_mode & 0o001:
            raise InputError(f"{name} can't reach {root}: {folder} is closed to it")
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, is_other=is_other)
