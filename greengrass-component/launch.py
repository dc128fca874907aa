"""What a nucleus starts to install the component: finds a Python that fits, and goes on in it.

Any Python 3 must be able to read this file, so that an old one can say that it is too old.
"""

import json
import os
import shutil
import sys
import zipfile

import install_step
from install_step import ARTIFACT


def main():
    """Go on in a fitting Python, this one or another; say so in one line where there is none."""
    work = install_step.work_folder(sys.argv)
    about = _about()
    fitting = about["pythons"]
    own = "%d.%d" % sys.version_info[:2]
    if own in fitting:
        import install

        return install.main(ARTIFACT, work)
    for version in fitting:
        python = shutil.which("python" + version)
        if python:
            os.execv(python, [python, ARTIFACT, work])
    if about["platforms"]:
        remedy = "build the component with --python %s" % own
        if own not in about["served"]:
            remedy = "install Python %s, with its venv package" % " or ".join(fitting)
        problem = "the artifact's wheels are for Python %s and this device's is %s; %s" % (
            " and ".join(fitting),
            own,
            remedy,
        )
    else:
        problem = (
            "this device's Python is %s and the component needs %s to %s; install one of them, "
            "with its venv package" % (own, fitting[0], fitting[-1])
        )
    raise install_step.CannotInstallError(problem)


def _about():
    """Read what the artifact says of itself."""
    with install_step.reading(), zipfile.ZipFile(ARTIFACT) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                archive.read(name)  # checks it, which an import from a zip does not
        return json.loads(archive.read("component.json").decode("utf-8"))


try:
    sys.exit(main())
except install_step.CannotInstallError as problem:
    install_step.tell(str(problem))
    sys.exit(1)
