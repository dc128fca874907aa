"""What both install steps begin with: one work folder, a whole artifact, and nobody else at work.

Any Python 3 must be able to read this file.
"""

import contextlib
import errno
import fcntl
import os
import sys
import time
from typing import Iterator, Sequence

ARTIFACT = os.path.dirname(os.path.abspath(__file__))
_PATIENCE = 60.0  # seconds; less than any nucleus gives an installation
_PAUSE = 0.2


class CannotInstallError(Exception):
    """Why nothing is installed, and what helps, in one line."""


def tell(line: str) -> None:
    """Write a line into the nucleus's log."""
    sys.stderr.write("edgetally: %s\n" % line)
    sys.stderr.flush()


def work_folder(arguments: Sequence[str]) -> str:
    """Return the folder that the artifact was started with: `sys.argv` has no other argument."""
    if len(arguments) != 2 or not arguments[1]:
        raise CannotInstallError(
            "give one folder, the component's work folder: python3 %s WORK_FOLDER"
            % os.path.basename(ARTIFACT)
        )
    return os.path.abspath(arguments[1])


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Say that the artifact is damaged where reading it, and nothing else, goes wrong within."""
    try:
        yield
    except OSError as error:
        # Damage leads zipfile to a place before the file, or into bz2, whose errors have no number.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged() from None
    except Exception:  # noqa: BLE001 - zipfile, zlib, lzma and json each have their own, and KeyError
        raise _damaged() from None


def _damaged() -> CannotInstallError:
    return CannotInstallError("the artifact %s is damaged; deploy it again" % ARTIFACT)


@contextlib.contextmanager
def alone_in(work: str) -> Iterator[None]:
    """Hold the work folder, so that installations into it follow each other.

    What is started meanwhile with `close_fds=False` holds it, too: nobody begins beside what an
    installation that was killed left running. The folder itself is locked, for a file of ours could
    be another user's, or removed. CannotInstallError where there is none, or another has it for
    long.
    """
    try:
        folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise CannotInstallError(
            "%s does not exist; give the component's work folder, or make it" % work
        ) from None
    try:
        os.set_inheritable(folder, True)
        _wait_for(folder, work)
        yield
    finally:
        os.close(folder)


def _wait_for(folder: int, work: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not _is_held(folder):
        if time.monotonic() > end:
            raise CannotInstallError(
                "another installation into %s still runs; wait for its end, or end it, and deploy "
                "again" % work
            )
        time.sleep(_PAUSE)


def _is_held(folder: int) -> bool:
    """Lock it where nobody else has; where the file system knows no locks, nobody ever has."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
