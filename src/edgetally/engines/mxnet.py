"""The MXNet engine: the deployable checkpoint, run by the framework that trained it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.engines.decoding import decode_boxes
from edgetally.engines.engine import RawPredictions, WorkerEngine
from edgetally.errors import EdgetallyError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.engines.settings import EngineSettings

_OUTPUTS = ("cls_prob_output", "multibox_loc_pred_output", "multibox_anchors_output")
_PIXELS, _MEAN, _SCALE = "edgetally_pixels", "edgetally_mean", "edgetally_scale"
_log = logging.getLogger(__name__)


class MxnetEngine(WorkerEngine):
    """The network up to `MultiBoxDetection`, bound for one frame, on a GPU where MXNet has one.

    MXNet is not safe to call from several threads, so that one worker loads and runs it.
    """

    name = "mxnet"

    def __init__(self, bundle: ModelBundle, precision: str) -> None:
        super().__init__(precision, bundle.input_size, workers=1)
        self._nms = bundle.nms
        self._anchors: NDArray[np.float32] | None = None
        try:
            self._network = self._workers.submit(_bind, bundle).result()
        except BaseException:
            self.close()
            raise
        self._input = self._network.arg_dict[_PIXELS]

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        self._input[:] = frame
        scores, loc_pred, anchors = self._network.forward(is_train=False)
        if self._anchors is None:  # they only depend on the input's size
            self._anchors = anchors.asnumpy()[0]
        boxes = decode_boxes(
            loc_pred.asnumpy(),
            self._anchors,
            self._nms.variances.value,
            clip=self._nms.clip.value,
        )
        return RawPredictions(boxes, scores.asnumpy())


def load(
    bundle: ModelBundle,
    precision: str,
    settings: EngineSettings,  # noqa: ARG001 - MXNet heeds none, see there
) -> MxnetEngine:
    """Load the bundle's deployable checkpoint; precision is "fp32"."""
    return MxnetEngine(bundle, precision)


def _bind(bundle: ModelBundle) -> Any:
    mx = import_mxnet()
    internals = mx.sym.load(str(bundle.file("mxnet-symbol"))).get_internals()
    network = mx.sym.Group([internals[output] for output in _OUTPUTS])
    stored = mx.nd.load(str(bundle.file("mxnet-params")))
    missing = [
        name
        for kind, names in (
            ("arg", network.list_arguments()),
            ("aux", network.list_auxiliary_states()),
        )
        for name in names
        if name != "data" and f"{kind}:{name}" not in stored
    ]
    if missing:
        raise EdgetallyError(
            f"{bundle.file('mxnet-params')} lacks {missing[0]}; convert the model again"
        )
    network, constants = _reading_pixels(mx, network, bundle)
    values = {**stored, **constants}
    if _has_gpu(mx):
        try:
            return _bound(mx.gpu(0), network, values, bundle.input_size)
        except mx.base.MXNetError as error:
            reason = str(error).strip().splitlines()[-1]
            _log.warning("MXNet sees a GPU but can't use it: %s", reason)
    return _bound(mx.cpu(), network, values, bundle.input_size)


def _reading_pixels(mx: Any, network: Any, bundle: ModelBundle) -> tuple[Any, dict[str, Any]]:
    """Put the conversion from pixels in front, and the order of `RawPredictions.scores` behind.

    Returns the constants that it reads, too.
    """
    sym = mx.sym
    constants = {}
    # MXNet transposes bytes many times slower than floats.
    data = sym.transpose(sym.cast(sym.var(_PIXELS), dtype="float32"), axes=(0, 3, 1, 2))
    if bundle.colour_order == "RGB":
        data = sym.slice(data, begin=(None, None), end=(None, None), step=(1, -1))
    for name, operator, values, neutral in (
        (_MEAN, sym.broadcast_sub, bundle.mean, 0),
        (_SCALE, sym.broadcast_mul, bundle.scale, 1),
    ):
        if any(value != neutral for value in values):
            data = operator(data, sym.var(name, shape=(1, 3, 1, 1)))
            constants[f"arg:{name}"] = mx.nd.array(values).reshape((1, 3, 1, 1))
    probabilities, loc_pred, anchors = network(data=data)
    scores = sym.transpose(sym.slice_axis(probabilities, axis=1, begin=1, end=None), axes=(0, 2, 1))
    return sym.Group([scores, loc_pred, anchors]), constants


def _has_gpu(mx: Any) -> bool:
    try:
        return int(mx.context.num_gpus()) > 0
    except mx.base.MXNetError:  # built for CUDA, and there is no driver
        return False


def _bound(context: Any, network: Any, stored: Any, size: int) -> Any:
    executor = network.simple_bind(
        context, grad_req="null", type_dict={_PIXELS: np.uint8}, **{_PIXELS: (1, size, size, 3)}
    )
    executor.copy_params_from(
        *(
            {
                name.removeprefix(kind): array
                for name, array in stored.items()
                if name.startswith(kind)
            }
            for kind in ("arg:", "aux:")
        ),
        allow_extra_params=True,
    )
    return executor
