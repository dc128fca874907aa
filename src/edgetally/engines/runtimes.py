"""Which runtimes are installed, and loading a bundle into one of them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, get_args

import numpy as np

from edgetally.config import EngineName, Precision
from edgetally.engines.device import computes_bf16
from edgetally.engines.settings import EngineSettings
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.bundle import ModelBundle
    from edgetally.engines.engine import Engine

_FASTEST_FIRST = ("openvino", "onnxruntime", "mxnet")
_ABLE = {"bf16": ("openvino",), "int8": ("openvino", "onnxruntime")}


def available_engines() -> tuple[str, ...]:
    """Name the runtimes that are installed, the one that "auto" takes first."""
    return tuple(name for name in _FASTEST_FIRST if importlib.util.find_spec(name))


def default_precision(engine: EngineName) -> Precision:
    """Tell what is best where nobody chose: bf16 if engine and processor compute it, else fp32."""
    return "bf16" if _choose(engine) in _ABLE["bf16"] and computes_bf16() else "fp32"


def create_engine(
    bundle: ModelBundle,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    settings: EngineSettings | None = None,
) -> Engine:
    """Load the bundle's model; precision "auto" is fp32. settings absent: the engine's own.

    Raises InputError when the runtime is not installed or can't do the precision, or the bundle
    has no int8 form, and EdgetallyError when the runtime can't load the model.
    """
    name = _choose(engine)
    *known, last = get_args(Precision)
    if precision not in {*known, last}:
        raise InputError(f"unknown precision {precision!r}; use {', '.join(known)} or {last}")
    if precision == "auto":
        precision = "fp32"
    able = _ABLE.get(precision, _FASTEST_FIRST)
    if name not in able:
        raise InputError(
            f"precision {precision} needs the engine {' or '.join(able)}, not {name}; use fp32, "
            f"or pip install 'edgetally[{able[0]}]' and engine {able[0]}"
        )
    if precision == "int8" and "onnx-int8" not in bundle.files:
        raise InputError(
            f"bundle {bundle.name} holds no int8 form for {name}; convert it with --calibration, "
            "or use fp32"
        )
    try:
        load: Callable[[ModelBundle, str, EngineSettings], Engine] = importlib.import_module(
            f"edgetally.engines.{name}"
        ).load
        loaded = load(bundle, precision, settings or EngineSettings())
        _run_alone(loaded, bundle)
    except EdgetallyError:
        raise
    except ImportError as error:
        raise EdgetallyError(
            f"engine {name} is installed but can't be imported ({error}); "
            f"install it again with pip install 'edgetally[{name}]'"
        ) from error
    except Exception as error:  # each runtime raises kinds of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        # A whole model may be too much for the processor: OpenVINO 2026.4 compiles no int8 for
        # an emulated Cortex-A72.
        remedy = f"{'' if precision == 'fp32' else 'use precision fp32, or '}convert it again"
        raise EdgetallyError(
            f"engine {name} can't load the model {bundle.name} at {precision} ({reason}); {remedy}"
        ) from error
    return loaded


def _run_alone(engine: Engine, bundle: ModelBundle) -> None:
    """Run one black picture: the model must fit the bundle.

    It also has to be the first, alone: OpenVINO 2026.4 can deadlock where its first two pictures
    run in two threads.
    """
    size = bundle.input_size
    predicted = engine.infer(np.zeros((1, size, size, 3), np.uint8))
    found = predicted.scores.shape[2]
    if found != len(bundle.classes):
        engine.close()
        raise InputError(
            f"the model tells {found} classes apart, the bundle {bundle.name} names "
            f"{len(bundle.classes)}; convert the model again"
        )


def _choose(engine: str) -> str:
    installed = available_engines()
    if engine == "auto":
        if installed:
            return installed[0]
        raise InputError(
            "no engine is installed; install one with pip install 'edgetally[openvino]'"
        )
    if engine not in _FASTEST_FIRST:
        raise InputError(f"unknown engine {engine!r}; use auto, {', '.join(_FASTEST_FIRST)}")
    if engine not in installed:
        raise InputError(
            f"engine {engine} is not installed; pip install 'edgetally[{engine}]', or use "
            f"{' or '.join(('auto', *installed))}"
        )
    return engine
