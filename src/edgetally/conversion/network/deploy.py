"""Cutting whatever artifact it is: by SageMaker's algorithm or by GluonCV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.conversion.artifact.archive import HYPERPARAMETERS_NAME
from edgetally.conversion.network.deployment import Deployment, deploy_sagemaker
from edgetally.conversion.network.gluoncv import deploy_gluoncv, is_gluoncv
from edgetally.conversion.network.settings import NmsOverrides
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.conversion.artifact.archive import TrainingArtifact

LARGEST_INPUT = 4096


def _ignore(_line: str) -> None:
    """Hear nothing."""


def deploy(
    artifact: TrainingArtifact,
    overrides: NmsOverrides | None = None,
    image_shape: int | None = None,
    note: Callable[[str], None] = _ignore,
) -> Deployment:
    """Cut an artifact, SageMaker's or GluonCV's, to what a device runs.

    image_shape: the side of the input, where the artifact does not say. note hears of each
    contradiction between command line, symbol and hyperparameters. InputError where the network
    is none that can be cut, or its parameters do not fit.
    """
    overrides = overrides or NmsOverrides()
    if is_gluoncv(artifact.graph):
        deployment = deploy_gluoncv(artifact, overrides, image_shape, note)
    else:
        deployment = deploy_sagemaker(artifact, overrides, note)
        trained = deployment.network_input.size
        if image_shape not in {None, trained}:
            raise InputError(
                f"--image-shape {image_shape}: {HYPERPARAMETERS_NAME} says {trained}, and the "
                "network only gives what was trained at that; leave the option away"
            )
    size = deployment.network_input.size
    if size > LARGEST_INPUT:
        raise InputError(
            f"{HYPERPARAMETERS_NAME}: image_shape is {size}, more than {LARGEST_INPUT}; "
            "train with smaller pictures"
        )
    return deployment
