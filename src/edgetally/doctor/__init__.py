"""What a device lacks to run edgetally, found before it is missed."""

from edgetally.doctor.examination import examine
from edgetally.doctor.finding import Finding

__all__ = ["Finding", "examine"]
