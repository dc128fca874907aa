"""What a nucleus starts to install a model: unpacks its bundle, and has it put in place.

Any Python 3 must be able to read this file.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

import install_step

_UNPACKED = ".unpacked-"


def main():
    """Put the model in place, or say in one line why it is not."""
    try:
        work = install_step.work_folder(sys.argv)
        with install_step.alone_in(work):
            return _unpack(work)
    except install_step.CannotInstallError as problem:
        install_step.tell("%s; the model is not in place" % problem)
    except OSError as error:
        install_step.tell(
            "%s: %s; the model is not in place"
            % (error.filename or sys.argv[1], error.strerror or error)
        )
    return 1


def _unpack(work):
    """Unpack beside where the bundle goes, where there is room, and leave nothing behind."""
    for name in os.listdir(work):
        if name.startswith(_UNPACKED):  # of an installation that was cut off
            shutil.rmtree(os.path.join(work, name), ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_UNPACKED, dir=work) as folder:
        with install_step.reading(), zipfile.ZipFile(install_step.ARTIFACT) as archive:
            archive.extractall(folder)
        place = os.path.join(folder, "place_model.sh")
        command = ["sh", place, os.path.join(folder, "bundle"), work]
        return subprocess.call(command, close_fds=False)


sys.exit(main())
