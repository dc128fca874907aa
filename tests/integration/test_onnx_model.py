"""`model.onnx` as other people's runtimes take it: standard, static, lean, of any batch size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, numpy_helper

from conftest import write_artifact
from edgetally.conversion import convert

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# What TensorRT's ONNX parser takes without restriction on our shapes (onnx-tensorrt,
# docs/operators.md), as far as a detector needs it.
TENSORRT_OPERATORS = {
    *("Conv", "BatchNormalization", "MaxPool", "AveragePool"),
    *("GlobalMaxPool", "GlobalAveragePool"),
    *("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Exp", "Sqrt", "Neg", "Abs", "Clip"),
    *("ReduceSum", "Flatten", "Reshape", "Transpose", "Concat", "Split", "Slice"),
}
# Inputs that TensorRT wants as constants, and ours are: the only whole numbers in the graph.
SHAPE_INPUTS = {"Reshape": {1}, "Split": {1}, "Slice": {1, 2, 3}, "ReduceSum": {1}}
FEW_NODES = {"resnet-50": 205, "vgg-16": 110}


@pytest.fixture(scope="module", params=["resnet-50", "vgg-16"])
def network(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def path(network: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(network)
    source = write_artifact(folder, network=network, norms_trained=True, spread=0.05)
    return convert(source, folder / "bundle", verify=False).file("onnx")


@pytest.fixture(scope="module")
def model(path: Path) -> onnx.ModelProto:
    return onnx.load(path)


def frames(count: int, size: int = 300) -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(0, 256, (count, 3, size, size)).astype(np.float32)


def run(content: bytes, data: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of the intermediate shapes, which are for one frame
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return list(session.run(["boxes", "scores"], {"data": data}))


def test_the_written_file_passes_the_full_check(path: Path) -> None:
    onnx.checker.check_model(str(path), full_check=True)


def test_only_operators_that_tensorrt_takes_are_used(model: onnx.ModelProto) -> None:
    assert {node.op_type for node in model.graph.node} <= TENSORRT_OPERATORS
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions


def test_whole_numbers_are_only_the_constants_that_shapes_come_from(
    model: onnx.ModelProto,
) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            is_shape = position in SHAPE_INPUTS.get(node.op_type, set())
            if is_shape:
                assert constants[name].data_type == TensorProto.INT64
            elif name in constants:
                assert constants[name].data_type == TensorProto.FLOAT
        if node.op_type in {"Conv", "BatchNormalization"}:
            assert all(name in constants for name in node.input[1:])


def test_every_tensor_has_one_name_and_a_static_shape(model: onnx.ModelProto) -> None:
    graph = model.graph
    made = [name for node in graph.node for name in node.output]
    constants = [tensor.name for tensor in graph.initializer]
    inputs = [value.name for value in graph.input]
    assert inputs == ["data"]
    assert len({*made, *constants, *inputs}) == len(made) + len(constants) + 1
    assert len({node.name for node in graph.node}) == len(graph.node)
    shapes = {}
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        assert tensor.elem_type == TensorProto.FLOAT
        shapes[value.name] = [side.dim_value for side in tensor.shape.dim]
    assert set(shapes) == set(made)
    assert all(shape and min(shape) > 0 for shape in shapes.values())


def test_the_stored_shapes_are_those_that_come_out(model: onnx.ModelProto) -> None:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    wanted = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in probe.graph.value_info
    }
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
    del probe.graph.value_info[:]
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(list(wanted), {"data": frames(1)})
    assert [array.shape for array in found] == list(wanted.values())


def test_every_constant_is_read_and_stored_once_as_raw_bytes(
    model: onnx.ModelProto, path: Path
) -> None:
    read = {name for node in model.graph.node for name in node.input}
    size = 0
    contents = []
    for tensor in model.graph.initializer:
        assert tensor.name in read
        width = 4 if tensor.data_type == TensorProto.FLOAT else 8
        assert len(tensor.raw_data) == width * math.prod(tensor.dims)
        size += len(tensor.raw_data)
        if len(tensor.raw_data) > 4096:
            contents.append(tensor.raw_data)
    assert len(set(contents)) == len(contents)
    assert path.stat().st_size < 1.1 * size + 100_000


def test_nothing_of_the_machine_or_the_day_is_written(model: onnx.ModelProto) -> None:
    assert (model.producer_name, model.producer_version, model.doc_string) == ("edgetally", "", "")
    assert model.ir_version == 8
    assert not model.metadata_props
    assert not model.graph.doc_string
    assert not any(node.doc_string for node in model.graph.node)


def test_a_convolution_has_taken_in_the_batch_norm_that_follows_it(
    model: onnx.ModelProto, network: str
) -> None:
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == (17 if network == "resnet-50" else 0)  # of 50: those before activations
    assert all(made_by.get(norm.input[0]) != "Conv" for norm in norms)
    assert len(model.graph.node) < FEW_NODES[network]


def test_onnxruntime_takes_another_batch_size_when_only_the_ends_are_changed(
    model: onnx.ModelProto,
) -> None:
    data = frames(4)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for end in (*changed.graph.input, *changed.graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = 4
    together = run(changed.SerializeToString(), data)
    alone = [run(model.SerializeToString(), frame[None]) for frame in data]
    for found, *wanted in zip(together, *alone, strict=True):
        np.testing.assert_allclose(found, np.concatenate(wanted), atol=1e-5)
    assert np.ptp(together[1], axis=0).max() > 1e-3  # the frames do differ


def test_openvino_takes_another_batch_size(path: Path, model: onnx.ModelProto) -> None:
    data = frames(4)
    core = openvino.Core()
    exact: Any = {"INFERENCE_PRECISION_HINT": "f32"}
    loaded = core.read_model(path)
    loaded.reshape({"data": [4, 3, 300, 300]})
    together = core.compile_model(loaded, "CPU", exact)(data)
    alone = [run(model.SerializeToString(), frame[None]) for frame in data]
    for found, *wanted in zip(together.values(), *alone, strict=True):
        np.testing.assert_allclose(found, np.concatenate(wanted), atol=1e-4)


def test_the_anchors_are_constants_on_the_boxes_way(model: onnx.ModelProto) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    anchors = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    centres = numpy_helper.to_array(constants["decode/centre"])
    assert centres.shape == (1, anchors, 2)
    assert centres.min() >= 0
    assert centres.max() <= 304 / 300  # the last of 38 cells of 8 pixels
