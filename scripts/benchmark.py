#!/usr/bin/env python3
"""Measure this device: our loop, the original sample's way, the bare engines."""

import sys

from edgetally.benchmark.command import main

if __name__ == "__main__":
    sys.exit(main())
