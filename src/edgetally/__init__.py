"""Count inventory with cameras, on the device, with the detector SageMaker trained."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgetally")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
