"""The service: cameras, detector, counting and messaging wired into one running whole."""

from edgetally.service.service import Observer, Service

__all__ = ["Observer", "Service"]
