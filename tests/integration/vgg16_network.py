"""The training graph of SageMaker's Object Detection algorithm on vgg-16, for tests.

Layer names, operators, attributes and heads are those of the SSD example of MXNet 1.x, which the
algorithm trains (Liu et al. 2016, arXiv:1512.02325): vgg-16 (arXiv:1409.1556) with fc6 and fc7 as
convolutions, fc6 dilated, and relu4_3 normalized.
"""

from __future__ import annotations

from typing import Any

from edgetally.demo.network import Scale, extra_scale, multibox_layers, scaled, training_heads
from edgetally.mxnet_compat import import_mxnet

GROUPS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
NORMALIZED_TO = 20
FEW = (1, 2, 0.5)
MANY = (1, 2, 0.5, 3, 1 / 3)
SMALL = (  # inputs below 448 pixels
    Scale(0, (0.1, 0.141), FEW),
    Scale(0, (0.2, 0.272), MANY),
    Scale(512, (0.37, 0.447), MANY),
    Scale(256, (0.54, 0.619), MANY),
    Scale(256, (0.71, 0.79), FEW, stride=1, pad=0),
    Scale(256, (0.88, 0.961), FEW, stride=1, pad=0),
)
LARGE = (
    Scale(0, (0.07, 0.1025), FEW),
    Scale(0, (0.15, 0.2121), MANY),
    Scale(512, (0.3, 0.3674), MANY),
    Scale(256, (0.45, 0.5196), MANY),
    Scale(256, (0.6, 0.6708), MANY),
    Scale(256, (0.75, 0.8216), FEW),
    Scale(256, (0.9, 0.9721), FEW, stride=1),
)
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}  # pixels


def scales_of(size: int) -> tuple[Scale, ...]:
    """The feature maps for an input of that side; other sides than 300 and 512 know no steps."""
    scales = LARGE if size >= 448 else SMALL
    if size not in STEPS:
        return scales
    return tuple(
        Scale(scale.filters, scale.sizes, scale.ratios, scale.stride, scale.pad, step / size)
        for scale, step in zip(scales, STEPS[size], strict=True)
    )


def training_symbol(
    num_classes: int,
    size: int,
    *,
    width: float = 1.0,
    nms_threshold: float = 0.45,
    nms_topk: int = 400,
    overlap_threshold: float = 0.5,
    force_suppress: bool = False,
) -> Any:
    """Build the graph, with `width` of its filters; heads and inputs are those of resnet-50's."""
    mx = import_mxnet()
    scales = scales_of(size)
    with mx.name.NameManager():
        relu4_3, relu7 = vgg16(mx, mx.sym.Variable("data"), width)
        features = [(relu4_3.name, normalized(mx, relu4_3, width)), (relu7.name, relu7)]
        for number, scale in enumerate(scales[2:], start=2):
            feature = extra_scale(mx, features[-1][1], number, scale, width)
            features.append((feature.name, feature))
        return training_heads(
            mx,
            *multibox_layers(mx, features, scales, num_classes),
            nms_threshold=nms_threshold,
            nms_topk=nms_topk,
            overlap_threshold=overlap_threshold,
            force_suppress=force_suppress,
        )


def vgg16(mx: Any, body: Any, width: float) -> tuple[Any, Any]:
    features = []
    for group, (filters, layers) in enumerate(GROUPS, start=1):
        for layer in range(1, layers + 1):
            name = f"{group}_{layer}"
            body = mx.sym.Convolution(
                data=body,
                kernel=(3, 3),
                pad=(1, 1),
                num_filter=scaled(filters, width),
                name=f"conv{name}",
            )
            body = mx.sym.Activation(data=body, act_type="relu", name=f"relu{name}")
        features.append(body)
        how: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2)}
        if group == 3:
            how["pooling_convention"] = "full"
        if group == 5:
            how = {"kernel": (3, 3), "stride": (1, 1), "pad": (1, 1)}
        body = mx.sym.Pooling(data=body, pool_type="max", name=f"pool{group}", **how)
    for number, how in (
        (6, {"kernel": (3, 3), "pad": (6, 6), "dilate": (6, 6)}),
        (7, {"kernel": (1, 1), "pad": (0, 0)}),
    ):
        body = mx.sym.Convolution(
            data=body, num_filter=scaled(1024, width), name=f"fc{number}", **how
        )
        body = mx.sym.Activation(data=body, act_type="relu", name=f"relu{number}")
    mx.sym.Flatten(data=body)  # the classifier that is cut off here owned the name flatten0
    return features[3], body


def normalized(mx: Any, feature: Any, width: float) -> Any:
    norm = mx.sym.L2Normalization(data=feature, mode="channel", name=f"{feature.name}_norm")
    scale = mx.sym.Variable(
        f"{feature.name}_scale",
        shape=(1, scaled(512, width), 1, 1),
        init=mx.init.Constant(NORMALIZED_TO),
        attr={"__wd_mult__": "0.1"},
    )
    return mx.sym.broadcast_mul(lhs=scale, rhs=norm)
