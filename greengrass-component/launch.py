"""What a nucleus starts to install the component: finds a Python that fits, and goes on in it.

Any Python 3 must be able to read this file, so that an old one can say that it is too old.
"""

import json
import os
import shutil
import sys
import zipfile

ARTIFACT = os.path.dirname(os.path.abspath(__file__))


def main():
    """Go on in a fitting Python, this one or another; say so in one line where there is none."""
    with zipfile.ZipFile(ARTIFACT) as archive:
        about = json.loads(archive.read("component.json").decode("utf-8"))
    fitting = about["pythons"]
    own = "%d.%d" % sys.version_info[:2]
    if own in fitting:
        import install

        return install.main(ARTIFACT, sys.argv[1])
    for version in fitting:
        python = shutil.which("python" + version)
        if python:
            os.execv(python, [python, ARTIFACT] + sys.argv[1:])
    if about["platforms"]:
        remedy = "build the component with --python %s" % own
        if own not in about["served"]:
            remedy = "install Python %s, with its venv package" % " or ".join(fitting)
        problem = (
            "edgetally: the artifact's wheels are for Python %s and this device's is %s; %s"
            % (
                " and ".join(fitting),
                own,
                remedy,
            )
        )
    else:
        problem = (
            "edgetally: this device's Python is %s and the component needs %s to %s; install one "
            "of them, with its venv package" % (own, fitting[0], fitting[-1])
        )
    sys.stderr.write(problem + "\n")
    return 1


sys.exit(main())
