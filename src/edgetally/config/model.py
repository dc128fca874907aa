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
    Precision,
    Section,
    UsablePath,
    reject_twins,
)
from edgetally.config.publish import PublishConfig


class ModelConfig(Section):
    """Which model runs, and how."""

    path: UsablePath = Field(description="Folder of the model bundle.")
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
    class_thresholds: dict[str, Fraction] = Field(
        default_factory=dict, description="Score thresholds of single classes, by class name."
    )


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
    cameras: Annotated[tuple[CameraConfig, ...], Field(min_length=1)]
    publish: PublishConfig = PublishConfig()
    requests: RequestsConfig = RequestsConfig()
    storage: StorageConfig = StorageConfig()

    @model_validator(mode="after")
    def _unique_names(self) -> Config:
        reject_twins("camera", [camera.name for camera in self.cameras])
        return self
