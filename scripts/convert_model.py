#!/usr/bin/env python3
"""Turn a SageMaker training artifact into a model bundle: the same as `edgetally convert`."""

import sys

from edgetally.cli import main

if __name__ == "__main__":
    main(["convert", *sys.argv[1:]])
