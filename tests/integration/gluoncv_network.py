"""Small SSDs built by GluonCV's own code, with random weights, exported as its users do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

mx = import_mxnet()
from gluoncv.model_zoo.ssd import SSD  # noqa: E402 - MXNet must be mended first
from gluoncv.model_zoo.ssd.vgg_atrous import VGGAtrousExtractor  # noqa: E402

SIZE = 128
_RATIOS = [1, 2, 0.5]


def _small_vgg(**_settings: object) -> Any:
    extras = [((16, 1, 1, 0), (16, 3, 2, 1)), ((16, 1, 1, 0), (16, 3, 2, 1))]
    return VGGAtrousExtractor([1, 1, 1, 1, 1], [8, 8, 16, 16, 16], extras)


# network, features, filters of further scales, sizes, steps
_BODIES: dict[str, tuple[Any, Any, list[int] | None, list[float], list[int]]] = {
    "vgg16_atrous": (None, _small_vgg, None, [12, 26, 50, 77, 108], [8, 16, 32, SIZE]),
    "resnet50_v1": (
        "resnet18_v1",
        ["stage3_activation1", "stage4_activation1"],
        [16],
        [12, 34, 70, 135],
        [16, 32, SIZE],
    ),
    "mobilenet1.0": (
        "mobilenet0.25",
        ["relu22_fwd", "relu26_fwd"],
        [16],
        [12, 34, 70, 135],
        [16, 32, SIZE],
    ),
}
BODIES = tuple(_BODIES)


def write_export(
    folder: Path,
    body: str,
    *,
    classes: int = 3,
    initialize: Callable[[Any], object] | None = None,
    **settings: Any,
) -> Path:
    """Export an SSD on a small form of `body`; returns the path of its symbol file."""
    network, features, filters, sizes, steps = _BODIES[body]
    net = SSD(
        network,
        SIZE,
        features,
        num_filters=filters,
        sizes=sizes,
        ratios=[_RATIOS] * len(steps),
        steps=steps,
        classes=[f"class {number}" for number in range(classes)],
        min_depth=16,
        anchor_alloc_size=32,
        **settings,
    )
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros((1, 3, SIZE, SIZE)))
    (initialize or calm)(net)
    net.export(str(folder / f"ssd_{SIZE}_{body}"), 0)
    return folder / f"ssd_{SIZE}_{body}-symbol.json"


def calm(net: Any) -> None:
    """Draw weights with which numbers neither grow nor vanish from layer to layer."""
    rng = np.random.default_rng(5)
    for name, parameter in net.collect_params().items():
        shape = parameter.shape
        if name.endswith(("scale",)) or "anchor" in name:
            continue
        if name.endswith(("gamma", "var")):
            values = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(("beta", "mean", "bias")):
            values = rng.normal(0, 0.1, shape)
        else:
            gain = 0.02 if "predictor" in name else 1.5  # scores stay between 0 and 1
            values = rng.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape)
        parameter.set_data(mx.nd.array(values))
