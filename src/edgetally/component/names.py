"""What the components and their files are called."""

COUNTER = "io.edgetally.Counter"
MODEL = "io.edgetally.Model"

NUCLEUS = "aws.greengrass.Nucleus"
"""The Java nucleus, which is a component itself; lite is aws.greengrass.NucleusLite."""

FILLED_IN = {"interpolateComponentConfiguration": True}
"""Lets the Java nucleus fill in `{iot:thingName}` in policies, which it does not by itself.

Source: AWS's page on the nucleus; the default is false.
"""

MODEL_LINK = f"../{MODEL}/current"
"""The bundle in use, from the counter's work folder: the same on each nucleus."""
