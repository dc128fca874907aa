"""A stand-in for a Greengrass nucleus, for a developer's table and for tests.

It speaks the wire protocol of Greengrass IPC, so that the unmodified awsiotsdk connects to it,
runs components from their recipes, and can be told to fail in the ways a real one does.
"""

from edgetally.nucleus.cloud import Cloud, CloudMessage, MemoryCloud
from edgetally.nucleus.device.supervision import Patience
from edgetally.nucleus.kind import JAVA, KINDS, LITE, Kind
from edgetally.nucleus.nucleus import Nucleus
from edgetally.nucleus.operations.pubsub import LocalMessage

__all__ = [
    "JAVA",
    "KINDS",
    "LITE",
    "Cloud",
    "CloudMessage",
    "Kind",
    "LocalMessage",
    "MemoryCloud",
    "Nucleus",
    "Patience",
]
