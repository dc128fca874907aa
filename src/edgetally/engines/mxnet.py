"""The MXNet engine: the deployable checkpoint, run by the framework that trained it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.engines.decoding import decode_boxes
from edgetally.engines.engine import RawPredictions, WorkerEngine, network_input
from edgetally.errors import EdgetallyError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

_OUTPUTS = ("cls_prob_output", "multibox_loc_pred_output", "multibox_anchors_output")


class MxnetEngine(WorkerEngine):
    """The network up to `MultiBoxDetection`, bound for one frame.

    MXNet is not safe to call from several threads, so that one worker loads and runs it.
    """

    name = "mxnet"

    def __init__(self, bundle: ModelBundle, precision: str) -> None:
        super().__init__(precision, bundle.input_size, workers=1)
        self._bundle = bundle
        try:
            self._network = self._workers.submit(_bind, bundle).result()
        except BaseException:
            self.close()
            raise

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        bundle = self._bundle
        data = network_input(frame, bundle.colour_order, bundle.mean, bundle.scale)
        outputs = self._network.forward(is_train=False, data=data)
        probabilities, loc_pred, anchors = (output.asnumpy() for output in outputs)
        boxes = decode_boxes(
            loc_pred,
            anchors[0],
            bundle.nms.variances.value,
            clip=bundle.nms.clip.value,
        )
        scores = np.ascontiguousarray(probabilities[:, 1:].transpose(0, 2, 1))
        return RawPredictions(boxes, scores)


def load(bundle: ModelBundle, precision: str) -> MxnetEngine:
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
    size = bundle.input_size
    executor = network.simple_bind(mx.cpu(), grad_req="null", data=(1, 3, size, size))
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
