#!/usr/bin/env python3
"""Measure the tracker beside published ones, on degraded scenes with known tracks."""

import sys

from edgetally.benchmark.tracking.command import main

if __name__ == "__main__":
    sys.exit(main())
