"""The training graph of SageMaker's Object Detection algorithm (SSD on resnet-50), in MXNet.

Layer names, operators, attributes and heads follow the `model_algo_1-symbol.json` that a
training job leaves: pre-activation ResNet (He et al. 2016, arXiv:1603.05027) up to `_plus15`,
features from `_plus12` and `_plus15`, four more convolutional scales, SSD heads (Liu et al.
2016, arXiv:1512.02325). `width` scales every number of filters of the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = (3, 4, 6, 3)
_STAGE_FILTERS = (256, 512, 1024, 2048)
_BATCH_NORM = {"eps": 2e-5, "momentum": 0.9}
_VARIANCES = (0.1, 0.1, 0.2, 0.2)


@dataclass(frozen=True)
class Scale:
    """One feature map of the SSD: the filters, stride and padding that make it, and its anchors.

    filters 0 takes a feature map of the body; step -1 is one cell of the map.
    """

    filters: int
    sizes: tuple[float, float]
    ratios: tuple[float, ...]
    stride: int = 2
    pad: int = 1
    step: float = -1.0


_SMALLEST_1X1 = 128
_FEW = (1, 2, 0.5)
_MANY = (1, 2, 0.5, 3, 0.333333333333)
_SCALES = (
    Scale(0, (0.1, 0.141421), _FEW),
    Scale(0, (0.2, 0.272029), _MANY),
    Scale(512, (0.37, 0.44699), _MANY),
    Scale(256, (0.54, 0.619193), _MANY),
    Scale(256, (0.71, 0.790443), _FEW),
    Scale(128, (0.88, 0.961249), _FEW),
)


def training_symbol(
    num_classes: int,
    *,
    width: float = 1.0,
    nms_threshold: float = 0.45,
    nms_topk: int = 400,
    overlap_threshold: float = 0.5,
    force_suppress: bool = False,
) -> Any:
    """Build the graph with its heads `cls_prob`, `loc_loss`, `cls_label` and `det_out`.

    Inputs: `data` float32 [N, 3, S, S], RGB 0-255; `label` float32 [N, M, 5 or more], rows
    (class, xmin, ymin, xmax, ymax, …) padded with -1.
    """
    mx = import_mxnet()
    with mx.name.NameManager():  # names are numbered from zero, whatever was built before
        data = mx.sym.Variable("data")
        features = list(_resnet(mx, data, width))
        for number, scale in enumerate(_SCALES[2:], start=2):
            features.append(extra_scale(mx, features[-1], number, scale, width))
        named = [(feature.name, feature) for feature in features]
        return training_heads(
            mx,
            *multibox_layers(mx, named, _SCALES, num_classes),
            nms_threshold=nms_threshold,
            nms_topk=nms_topk,
            overlap_threshold=overlap_threshold,
            force_suppress=force_suppress,
        )


def scaled(filters: int, width: float) -> int:
    """Return that share of a number of filters, in eights."""
    return max(8, round(filters * width / 8) * 8)


def _written(values: tuple[float, ...]) -> str:
    return f"({','.join(str(value) for value in values)})"


def _conv(mx: Any, data: Any, name: str, filters: int, kernel: int, stride: int, pad: int) -> Any:
    return mx.sym.Convolution(
        data=data,
        num_filter=filters,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(pad, pad),
        no_bias=True,
        workspace=256,
        name=name,
    )


def _resnet(mx: Any, data: Any, width: float) -> tuple[Any, Any]:
    body = mx.sym.identity(data=data, name="id")
    body = mx.sym.BatchNorm(data=body, fix_gamma=True, name="bn_data", **_BATCH_NORM)
    body = _conv(mx, body, "conv0", scaled(64, width), 7, 2, 3)
    body = mx.sym.BatchNorm(data=body, fix_gamma=False, name="bn0", **_BATCH_NORM)
    body = mx.sym.Activation(data=body, act_type="relu", name="relu0")
    body = mx.sym.Pooling(
        data=body, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="pooling0"
    )
    sums = []
    for stage, (units, filters) in enumerate(zip(_UNITS, _STAGE_FILTERS, strict=True), start=1):
        for unit in range(1, units + 1):
            stride = 2 if unit == 1 and stage > 1 else 1
            body = _unit(
                mx,
                body,
                f"stage{stage}_unit{unit}",
                scaled(filters, width),
                stride,
                project=unit == 1,
            )
            sums.append(body)
    mx.sym.Flatten(data=body)  # the classifier that is cut off here owned the name flatten0
    return sums[12], sums[15]


def _unit(mx: Any, data: Any, name: str, filters: int, stride: int, *, project: bool) -> Any:
    def activated(source: Any, number: int) -> Any:
        norm = mx.sym.BatchNorm(
            data=source, fix_gamma=False, name=f"{name}_bn{number}", **_BATCH_NORM
        )
        return mx.sym.Activation(data=norm, act_type="relu", name=f"{name}_relu{number}")

    narrow = filters // 4
    first = activated(data, 1)
    body = _conv(mx, first, f"{name}_conv1", narrow, 1, 1, 0)
    body = _conv(mx, activated(body, 2), f"{name}_conv2", narrow, 3, stride, 1)
    body = _conv(mx, activated(body, 3), f"{name}_conv3", filters, 1, 1, 0)
    if not project:
        return body + data
    shortcut = mx.sym.Convolution(
        data=first,
        num_filter=filters,
        kernel=(1, 1),
        stride=(stride, stride),
        no_bias=True,
        workspace=256,
        name=f"{name}_sc",
    )
    return body + shortcut


def _with_bias(
    mx: Any, data: Any, name: str, filters: int, kernel: int, stride: int, pad: int
) -> Any:
    bias = mx.sym.Variable(f"{name}_bias", init=mx.init.Constant(0.0), attr={"__lr_mult__": "2.0"})
    return mx.sym.Convolution(
        data=data,
        bias=bias,
        num_filter=filters,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(pad, pad),
        name=name,
    )


def extra_scale(mx: Any, data: Any, number: int, scale: Scale, width: float) -> Any:
    """Append the two convolutions that make feature map `number` from the one before."""
    name = f"multi_feat_{number}_conv"
    narrow = scaled(max(scale.filters // 2, _SMALLEST_1X1), width)
    body = _with_bias(mx, data, f"{name}_1x1_conv", narrow, 1, 1, 0)
    body = mx.sym.Activation(data=body, act_type="relu", name=f"{name}_1x1_relu")
    wide = scaled(scale.filters, width)
    body = _with_bias(mx, body, f"{name}_3x3_conv", wide, 3, scale.stride, scale.pad)
    return mx.sym.Activation(data=body, act_type="relu", name=f"{name}_3x3_relu")


def multibox_layers(
    mx: Any, features: Sequence[tuple[str, Any]], scales: Sequence[Scale], num_classes: int
) -> tuple[Any, Any, Any]:
    """Put SSD heads on feature maps, given with the name that their heads begin with.

    Returns `multibox_loc_pred` [N, A * 4], `multibox_cls_pred` [N, C + 1, A] and
    `multibox_anchors` [1, A, 4].
    """
    locs: list[Any] = []
    classes: list[Any] = []
    anchors: list[Any] = []
    for (name, feature), scale in zip(features, scales, strict=True):
        per_cell = len(scale.sizes) - 1 + len(scale.ratios)
        for kind, outputs, channels in (
            ("loc_pred", locs, per_cell * 4),
            ("cls_pred", classes, per_cell * (num_classes + 1)),
        ):
            head = _with_bias(mx, feature, f"{name}_{kind}_conv", channels, 3, 1, 1)
            head = mx.sym.transpose(head, axes=(0, 2, 3, 1))
            outputs.append(mx.sym.Flatten(data=head))
        prior = mx.sym.contrib.MultiBoxPrior(
            feature,
            sizes=_written(scale.sizes),
            ratios=_written(scale.ratios),
            clip=False,
            steps=(scale.step, scale.step),
            name=f"{name}_anchors",
        )
        anchors.append(mx.sym.Flatten(data=prior))
    loc_pred = mx.sym.Concat(*locs, dim=1, name="multibox_loc_pred")
    joined = mx.sym.Concat(*classes, dim=1)
    shaped = mx.sym.Reshape(data=joined, shape=(0, -1, num_classes + 1))
    cls_pred = mx.sym.transpose(shaped, axes=(0, 2, 1), name="multibox_cls_pred")
    all_anchors = mx.sym.Reshape(
        data=mx.sym.Concat(*anchors, dim=1), shape=(0, -1, 4), name="multibox_anchors"
    )
    return loc_pred, cls_pred, all_anchors


def training_heads(
    mx: Any,
    loc_pred: Any,
    cls_pred: Any,
    anchors: Any,
    *,
    nms_threshold: float,
    nms_topk: int,
    overlap_threshold: float,
    force_suppress: bool,
) -> Any:
    """Join what training watches: `cls_prob`, `loc_loss`, `cls_label` and `det_out`."""
    label = mx.sym.Variable("label")
    target = mx.sym.contrib.MultiBoxTarget(
        anchors,
        label,
        cls_pred,
        overlap_threshold=overlap_threshold,
        ignore_label=-1,
        negative_mining_ratio=3,
        minimum_negative_samples=0,
        negative_mining_thresh=0.5,
        variances=_VARIANCES,
        name="multibox_target",
    )
    cls_prob = mx.sym.SoftmaxOutput(
        data=cls_pred,
        label=target[2],
        ignore_label=-1,
        use_ignore=True,
        grad_scale=1.0,
        multi_output=True,
        normalization="valid",
        name="cls_prob",
    )
    loc_error = mx.sym.smooth_l1(
        data=target[1] * (loc_pred - target[0]), scalar=1.0, name="loc_loss_"
    )
    loc_loss = mx.sym.MakeLoss(loc_error, grad_scale=1.0, normalization="valid", name="loc_loss")
    cls_label = mx.sym.MakeLoss(data=target[2], grad_scale=0, name="cls_label")
    detection = mx.sym.contrib.MultiBoxDetection(
        cls_prob,
        loc_pred,
        anchors,
        nms_threshold=nms_threshold,
        force_suppress=force_suppress,
        variances=_VARIANCES,
        nms_topk=nms_topk,
        name="detection",
    )
    det_out = mx.sym.MakeLoss(data=detection, grad_scale=0, name="det_out")
    return mx.sym.Group([cls_prob, loc_loss, cls_label, det_out])
