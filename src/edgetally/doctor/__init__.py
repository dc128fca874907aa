"""What a device lacks to run edgetally, found before it is missed."""

from edgetally.doctor.configuration import Reading, of_deployment, of_file
from edgetally.doctor.examination import examine
from edgetally.doctor.finding import Finding

__all__ = ["Finding", "Reading", "examine", "of_deployment", "of_file"]
