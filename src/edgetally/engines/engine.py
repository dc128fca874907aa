"""What an engine is: a loaded model that turns pictures into boxes and scores."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgetally.engines.workers import Workers

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

PATIENCE = 30.0
"""Seconds that closing an engine waits for what it computes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RawPredictions:
    """What the network says of every anchor, before any is dropped.

    boxes: float32 [N, A, 4], (xmin, ymin, xmax, ymax) in 0-1 of the frame.
    scores: float32 [N, A, C], a probability a class, background left out.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class Engine(Protocol):
    """A model loaded into a runtime. Its methods may be called from any thread.

    A batch is uint8 [N, S, S, 3], BGR as OpenCV gives it, S the model's input size.
    in_flight is how many keep it busy: more only wait in it and get older.
    """

    name: str
    precision: str
    in_flight: int

    def infer(self, batch: NDArray[np.uint8]) -> RawPredictions:
        """Run the network and wait for it. ValueError when the batch has another shape."""

    def submit(self, batch: NDArray[np.uint8]) -> Future[RawPredictions]:
        """Queue the batch and return at once; the caller bounds how many are in flight.

        The batch must not change until the future is done. Futures are started in the order of
        submission; where a runtime works on several at once they may end in another.
        """

    def close(self, patience: float = PATIENCE) -> None:
        """Finish what is queued and free the workers. The second call does nothing.

        What takes longer than `patience` seconds is left behind, with a warning.
        """


class WorkerEngine:
    """An engine whose pictures are run one by one, each on one of its worker threads.

    Runtimes release the interpreter's lock while they compute, so that a thread a request keeps
    them busy, and a failed request can only end as the exception of its own future.
    """

    name: str

    def __init__(self, precision: str, input_size: int, workers: int) -> None:
        self.precision = precision
        self._frame_shape = (input_size, input_size, 3)
        self.in_flight = max(workers, 2)  # one is prepared while another is computed
        self._workers = Workers(workers, self.name)
        self._is_closed = False

    def infer(self, batch: NDArray[np.uint8]) -> RawPredictions:
        """See `Engine.infer`."""
        return self.submit(batch).result()

    def submit(self, batch: NDArray[np.uint8]) -> Future[RawPredictions]:
        """See `Engine.submit`."""
        if batch.dtype != np.uint8 or batch.shape[1:] != self._frame_shape or not len(batch):
            expected = ", ".join(str(length) for length in self._frame_shape)
            raise ValueError(f"batch {batch.dtype} {batch.shape} must be uint8 [N, {expected}]")
        return self._workers.submit(self._predict_each, batch)

    def close(self, patience: float = PATIENCE) -> None:
        """See `Engine.close`."""
        is_closed, self._is_closed = self._is_closed, True
        if not is_closed and not self._workers.close(patience):
            _log.warning("engine %s still computes; it is left behind", self.name)

    def _predict_each(self, batch: NDArray[np.uint8]) -> RawPredictions:
        each = [self._predict(batch[row : row + 1]) for row in range(len(batch))]
        if len(each) == 1:
            return each[0]
        return RawPredictions(
            np.concatenate([one.boxes for one in each]),
            np.concatenate([one.scores for one in each]),
        )

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        """Run one picture, uint8 [1, S, S, 3], on a worker thread."""
        raise NotImplementedError
