#!/usr/bin/env python3
"""Run four cameras for an hour, and write how much memory they take."""

import sys

from edgetally.benchmark.soak import main

if __name__ == "__main__":
    sys.exit(main())
