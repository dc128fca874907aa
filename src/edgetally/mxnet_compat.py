"""Import MXNet 1.9.1 under a numpy newer than it knows."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

import numpy as np

from edgetally.errors import InputError

# numpy 1.24 dropped these aliases of Python's own types; MXNet 1.9.1 reads them on import.
_DROPPED_ALIASES = {"bool": bool, "int": int, "float": float, "object": object, "str": str}


def import_mxnet() -> Any:
    """Return the `mxnet` module. InputError, with the remedy, where it can't be imported."""
    for name, builtin in _DROPPED_ALIASES.items():
        if name not in vars(np):
            setattr(np, name, builtin)
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # else each bind writes to stderr
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, of newer Pythons; -W error makes them errors
            return importlib.import_module("mxnet")
    except ImportError as error:
        raise InputError(
            f"MXNet can't be imported ({error}); install it with pip install 'edgetally[mxnet]' "
            "on Python 3.10 to 3.12"
        ) from None
    except OSError as error:
        raise InputError(
            f"MXNet can't be loaded ({error}); on Debian it needs the package libgomp1"
        ) from None
