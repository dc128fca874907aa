"""The configuration: one pydantic model, read from YAML or from Greengrass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from edgetally.config.camera import CameraConfig  # noqa: TC001 - pydantic reads it
from edgetally.config.fields import (
    EngineName,
    Fraction,
    NoSwitch,
    NullIsAbsent,
    Precision,
    Section,
    UsablePath,
    reject_twins,
)
from edgetally.config.publish import PublishConfig


class CanaryConfig(Section):
    """How a model that is to take another's place is tried beside it, on what cameras showed."""

    enabled: bool = Field(True, description="Whether it is; else it takes the place untried.")
    frames: Annotated[int, Field(ge=1, le=500), NoSwitch] = Field(
        20, description="Frames of each camera that both models look at: the latest, seconds apart."
    )
    wait: Annotated[float, Field(ge=0, le=86400), NoSwitch] = Field(
        30.0, description="Seconds to wait for so many frames, once there is one."
    )
    min_agreement: Fraction = Field(
        0.8,
        description="Share of the objects the model in use is sure of that the new one must find "
        "again, of the classes that both know: from each camera with five of them, and over all.",
    )
    max_more: Annotated[float, Field(gt=0), NoSwitch] = Field(
        5.0,
        description="How many times as many objects as the model in use the new one may find; or "
        "as there are frames, where that is more.",
    )
    max_slowdown: Annotated[float, Field(gt=0), NoSwitch] = Field(
        1.1, description="How many times as long as the model in use the new one may take."
    )


class ModelConfig(Section):
    """Which model runs, and how."""

    path: UsablePath = Field(
        description="Folder of the model bundle, or a link to it; another bundle there is taken "
        "while the cameras go on."
    )
    engine: EngineName = Field("auto", description="Runtime; auto takes the best one installed.")
    precision: Precision = Field(
        "auto",
        description="Arithmetic of the engine; auto is fp32, but where engine is auto, too: then "
        "what edgetally tune chose, else bf16 where OpenVINO and the processor compute it.",
    )
    tuning: UsablePath | None = Field(
        None,
        description="File that edgetally tune wrote, for auto; absent: its place of this user.",
    )
    score_threshold: Fraction = Field(
        0.5,
        description="Detections from this score on count; the tracker uses weaker ones only "
        "to keep hold of an object.",
    )
    class_thresholds: Annotated[dict[str, Fraction], NullIsAbsent] = Field(
        default_factory=dict, description="Score thresholds of single classes, by class name."
    )
    canary: CanaryConfig = CanaryConfig()


class RequestsConfig(Section):
    """What may be asked for by message: inference, and corrections of the stock."""

    enabled: bool = Field(True, description="Whether requests by message are heard.")
    folders: tuple[UsablePath, ...] = Field(
        (), description="Folders in which filePath of a request must lie."
    )
    max_rate: Annotated[float, Field(gt=0), NoSwitch] = Field(
        2.0, description="Requests of each kind a second, at most; more are refused."
    )


class StorageConfig(Section):
    """Where counts survive."""

    path: UsablePath = Field(Path("state"), description="Folder of the ledger.")


class Config(Section):
    """The whole configuration."""

    model: ModelConfig
    cameras: tuple[CameraConfig, ...]
    publish: PublishConfig = PublishConfig()
    requests: RequestsConfig = RequestsConfig()
    storage: StorageConfig = StorageConfig()

    @model_validator(mode="after")
    def _unique_names(self) -> Config:
        reject_twins("camera", [camera.name for camera in self.cameras])
        return self
