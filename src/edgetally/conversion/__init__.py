"""From a SageMaker training artifact to a `ModelBundle`. The device never imports this."""

from edgetally.conversion.pipeline import convert

__all__ = ["convert"]
