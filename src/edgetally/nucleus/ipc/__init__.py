"""The nucleus's end of the wire: connections, calls, streams."""

from edgetally.nucleus.ipc.call import Call, Handler, Stream
from edgetally.nucleus.ipc.failure import Failure
from edgetally.nucleus.ipc.server import Server

__all__ = ["Call", "Failure", "Handler", "Server", "Stream"]
