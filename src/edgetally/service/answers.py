"""`Answers`: the messages that answer requests, put into the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.messaging.messages import (
    FrameReference,
    InferenceError,
    InferenceResultMessage,
    InventoryResponseMessage,
    ModelReference,
    ModelResponseMessage,
    utc,
)
from edgetally.messaging.seen import inference_result_message
from edgetally.messaging.topics import Topics
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.ledger import Entry, Storage
    from edgetally.counting.ledger.values import MessageKind
    from edgetally.detections import Detections
    from edgetally.requests import RefusedRequestError
    from edgetally.service.model_in_use import LoadedModel


class Answers:
    """Puts answers into the outbox, for every transport. Any thread may call it.

    Times are seconds since the Unix epoch, given by the caller.
    """

    def __init__(self, config: Config, bundle: ModelBundle, storage: Storage) -> None:
        self._classes = bundle.classes
        self._model = ModelReference.of(bundle)
        self._storage = storage
        self._topics = Topics(config.publish.topic_prefix, config.publish.thing)

    def use(self, model: LoadedModel) -> None:
        """Tell from now on that this model is in use."""
        self._classes, self._model = model.names, model.reference

    def seen(
        self, request_id: str, frame: Frame, found: Detections, model: LoadedModel | None = None
    ) -> None:
        """Tell what a model found in a frame; its camera is empty where a picture was given."""
        height, width = frame.image.shape[:2]
        topic = self._topics.inference_response

        def record(entry: Entry) -> None:
            message = inference_result_message(
                found,
                request_id=request_id,
                classes=self._classes if model is None else model.names,
                frame=FrameReference(index=frame.index, width=width, height=height),
                time=frame.time,
                thing=self._topics.thing,
                camera=frame.camera or None,
                sequence=entry.next_sequence(topic),
                model=self._model if model is None else model.reference,
            )
            entry.enqueue(topic, message.to_json(), "inference_result")

        self._storage.write(record)

    def not_seen(self, refusal: RefusedRequestError, time: float) -> None:
        """Tell why a request for a look was refused."""
        topic = self._topics.inference_response

        def record(entry: Entry) -> None:
            message = InferenceResultMessage(
                time=utc(time),
                thing=self._topics.thing,
                sequence=entry.next_sequence(topic),
                model=self._model,
                request_id=refusal.request_id,
                camera=None,
                frame=None,
                detections=(),
                error=InferenceError(code=refusal.code, message=shortened(refusal, 1000)),
            )
            entry.enqueue(topic, message.to_json(), "inference_result")

        self._storage.write(record)

    def corrected(self, request_id: str, reason: str | None, time: float) -> None:
        """Tell whether a correction was made; reason: why not, None where it was."""
        topic = self._topics.inventory_response
        self._tell_outcome(
            InventoryResponseMessage, topic, "inventory_response", request_id, reason, time
        )

    def model_set(self, request_id: str, reason: str | None, time: float) -> None:
        """Tell whether a model is in use as asked; reason: why not, None where it is."""
        topic = self._topics.model_response
        self._tell_outcome(ModelResponseMessage, topic, "model_response", request_id, reason, time)

    def _tell_outcome(
        self,
        message_type: type[InventoryResponseMessage | ModelResponseMessage],
        topic: str,
        kind: MessageKind,
        request_id: str,
        reason: str | None,
        time: float,
    ) -> None:
        def record(entry: Entry) -> None:
            message = message_type(
                time=utc(time),
                thing=self._topics.thing,
                sequence=entry.next_sequence(topic),
                model=self._model,
                request_id=request_id,
                accepted=reason is None,
                reason=None if reason is None else shortened(reason, 1000),
            )
            entry.enqueue(topic, message.to_json(), kind)

        self._storage.write(record)
