"""What an artifact holds before it is converted, read from its graph and parameters alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.network.deploy import deploy
from edgetally.conversion.report.facts import (
    Section,
    count_text,
    hyperparameters_section,
    operators_table,
    size_text,
    table,
)
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetally.conversion.artifact.archive import TrainingArtifact
    from edgetally.conversion.artifact.symbol import Graph

_ANCHORS = "_contrib_MultiBoxPrior"
_DETECTION = "_contrib_MultiBoxDetection"
_SUPPRESSION = "_contrib_box_nms"
_DECODING = "_contrib_box_decode"
_PROBABILITIES = frozenset({"SoftmaxOutput", "softmax", "SoftmaxActivation"})
_GIVEN_INPUTS = frozenset({"data", "label"})
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Parameters:
    """How many arrays and numbers, their bytes, and how many arrays have each type."""

    arrays: int
    numbers: int
    bytes: int
    types: dict[str, int]


@dataclass(frozen=True)
class ArtifactSummary:
    """The facts of an artifact; None where it doesn't tell.

    nms: (setting, value as written, "symbol" or "hyperparameters"). heads: (node, operator).
    problems say why it can't be converted. convertible is None where nothing speaks against it
    but the operators could not be checked, for which onnx must be installed.
    """

    name: str
    architecture: str
    classes: int | None
    image_shape: int | None
    nms: tuple[tuple[str, str, str], ...]
    heads: tuple[tuple[str, str], ...]
    operators: dict[str, int]
    parameters: Parameters
    hyperparameters: dict[str, str]
    problems: tuple[str, ...]
    convertible: bool | None


def summarize(artifact: TrainingArtifact) -> ArtifactSummary:
    """Read the facts off an artifact; no shape is worked out and nothing is run."""
    graph, settings = artifact.graph, artifact.hyperparameters
    arrays = artifact.params.values()
    supported = _supported_operators()
    problems = _problems(artifact, supported)
    return ArtifactSummary(
        name=artifact.name,
        architecture=settings.get("base_network", artifact.name),
        classes=_whole(settings.get("num_classes")) or _classes(graph),
        image_shape=_whole(settings.get("image_shape")),
        nms=_nms(artifact),
        heads=tuple((graph.nodes[i].name, graph.nodes[i].op) for i, _, _ in graph.heads),
        operators=dict(Counter(node.op for node in graph.nodes if node.op != "null")),
        parameters=Parameters(
            arrays=len(arrays),
            numbers=sum(array.size for array in arrays),
            bytes=sum(array.nbytes for array in arrays),
            types=dict(Counter(str(array.dtype) for array in arrays)),
        ),
        hyperparameters=dict(settings),
        problems=problems,
        convertible=False if problems else (True if supported else None),
    )


def artifact_sections(summary: ArtifactSummary) -> tuple[Section, ...]:
    """Tell of an artifact in words and tables."""
    verdicts = {
        True: "Nothing speaks against converting it.",
        False: "It can't be converted:",
        None: "Not checked whether each operator is supported, which needs "
        "pip install 'edgetally[convert]'.",
    }
    parameters, size = summary.parameters, summary.image_shape
    types = ", ".join(f"{name} ({count})" for name, count in parameters.types.items())
    numbers = f"{count_text(parameters.numbers)} in {parameters.arrays} arrays"
    rows = [
        ("Files", f"{summary.name}-*"),
        ("Architecture", summary.architecture),
        ("Classes", str(summary.classes or "not told")),
        ("Input", f"{size} x {size} pixels" if size else "not told"),
        ("Parameters", f"{numbers}, {size_text(parameters.bytes)}"),
        ("Types of arrays", types or "none"),
    ]
    return (
        Section(
            "Artifact",
            f"Not converted yet. {verdicts[summary.convertible]}",
            remarks=summary.problems,
            tables=(table("Identity and input", ("", ""), rows),),
        ),
        Section(
            "Suppression",
            "" if summary.nms else "Neither the symbol nor the hyperparameters set anything.",
            tables=(
                (table("Settings that were found", ("Setting", "Value", "Found in"), summary.nms),)
                if summary.nms
                else ()
            ),
        ),
        Section("Heads", tables=(table("Outputs", ("Node", "Operator"), summary.heads),)),
        Section("Operators", tables=(operators_table(summary.operators),)),
        hyperparameters_section(summary.hyperparameters),
    )


def _nms(artifact: TrainingArtifact) -> tuple[tuple[str, str, str], ...]:
    nodes = [node for node in artifact.graph.nodes if node.op in {_DETECTION, _SUPPRESSION}]
    written = [(key, value, "symbol") for node in nodes for key, value in node.attrs.items()]
    job = [
        (key, value, "hyperparameters")
        for key, value in artifact.hyperparameters.items()
        if key.startswith("nms_")
    ]
    return tuple(sorted(written) + sorted(job))


def _classes(graph: Graph) -> int | None:
    """Read the number of classes off the reshape before the probabilities, (…, C + 1)."""
    for node in graph.nodes:
        if node.op not in _PROBABILITIES:
            continue
        while node.inputs:
            node = graph.nodes[node.inputs[0][0]]  # noqa: PLW2901 - walking up
            if node.op == "Reshape":
                last = _whole(node.attrs.get("shape", "").strip("()[] ").rpartition(",")[2])
                return last - 1 if last and last > 1 else None
    return None


def _whole(text: str | None) -> int | None:
    """Return a positive whole number; None for anything else."""
    try:
        value = int(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def _supported_operators() -> frozenset[str] | None:
    try:
        from edgetally.conversion.onnx_model import operators as onnx_operators  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return frozenset(onnx_operators.OPERATORS)


def _problems(artifact: TrainingArtifact, supported: frozenset[str] | None) -> tuple[str, ...]:
    graph = artifact.graph
    if not {_ANCHORS, _DETECTION, _SUPPRESSION} & {node.op for node in graph.nodes}:
        return ("It is no SSD detector: the network has neither anchors nor suppression.",)
    needed = [graph.nodes[index] for index in _network(graph)]
    problems = []
    if supported:
        strange: dict[str, list[str]] = {}
        for node in needed:
            if node.op not in {*supported, *_PROBABILITIES, "null"}:
                strange.setdefault(node.op, []).append(node.name)
        problems += [
            f"The operator {op} is not supported (nodes {_some(names)})."
            for op, names in strange.items()
        ]
    held = {name.partition(":")[2] for name in artifact.params}
    inputs = [node.name for node in needed if node.op == "null"]
    missing = [name for name in inputs if name not in held and name not in _GIVEN_INPUTS]
    if missing:
        problems.append(f"Parameters are missing: {_some(missing)}.")
    broken = [
        name.partition(":")[2]
        for name, array in artifact.params.items()
        if not np.isfinite(array).all()
    ]
    if broken:
        problems.append(f"Parameters are not finite: {_some(broken)}.")
    if supported and not problems:
        problems += _refusals(artifact)
    return tuple(problems)


def _refusals(artifact: TrainingArtifact) -> list[str]:
    """Cut and export the network as a conversion would, and tell what it would refuse."""
    from edgetally.conversion.onnx_model.export import export_onnx  # noqa: PLC0415 - owns onnx

    try:
        deployment = deploy(artifact)
        export_onnx(deployment, deployment.network_input.size)
    except InputError as error:
        return [str(error)]
    return []


def _network(graph: Graph) -> list[int]:
    """Return the nodes up to class scores and locations; training and suppression lie beyond."""
    ends: set[int] = set()
    for index, node in enumerate(graph.nodes):
        sources = [source for source, _, _ in node.inputs]
        if node.op in _PROBABILITIES:
            # SoftmaxOutput's second input is the label, which comes from the training heads.
            ends |= {*sources[:1]}
        elif node.op == _DETECTION:
            ends |= {*sources[1:2]}
        elif node.op == _DECODING:
            ends |= {*sources[:1]}
        elif node.name == "multibox_loc_pred":
            ends.add(index)
    return graph.ancestors(ends)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _NAMED_AT_MOST
    return ", ".join(listed[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
