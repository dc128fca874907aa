"""What a nucleus starts to install a model: unpacks its bundle, and has it put in place."""

import os
import subprocess
import sys
import tempfile
import zipfile

ARTIFACT = os.path.dirname(os.path.abspath(__file__))


def main():
    """Unpack beside where the bundle goes, where there is room, and leave nothing behind."""
    work = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=work) as folder:
        with zipfile.ZipFile(ARTIFACT) as archive:
            archive.extractall(folder)
        place = os.path.join(folder, "place_model.sh")
        return subprocess.call(["sh", place, os.path.join(folder, "bundle"), work])


try:
    sys.exit(main())
except OSError as error:
    sys.stderr.write(
        "edgetally: %s: %s; the model is not in place\n"
        % (error.filename or sys.argv[1], error.strerror or error)
    )
    sys.exit(1)
