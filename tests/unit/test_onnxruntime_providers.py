"""Where ONNX Runtime computes, by what it offers and what then loads. No GPU is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime
import pytest

from edgetally.engines import create_engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

TENSORRT, CUDA, CPU = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "CPUExecutionProvider",
)


def provider_of(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, offered: list[str], loading: list[str]
) -> tuple[str, list[list[str]]]:
    """Load the bundle where ONNX Runtime offers some providers, of which some load."""
    real = onnxruntime.InferenceSession
    asked: list[list[str]] = []

    class Session:
        """ONNX Runtime's own, that says it computes where it was asked to."""

        def __init__(self, model: Any, options: Any, providers: list[str]) -> None:
            asked.append(providers)
            self._session = real(model, options, providers=[CPU])
            self._providers = [each for each in providers if each in loading] or [CPU]

        def get_providers(self) -> list[str]:
            return self._providers

        def run(self, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> Any:
            return self._session.run(names, inputs)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    engine: Any = create_engine(bundle, "onnxruntime")
    engine.close()
    return engine.provider, asked


@pytest.mark.parametrize(
    ("offered", "loading", "expected", "first_asked"),
    [
        ([CPU], [CPU], CPU, [CPU]),
        ([CPU, CUDA], [CUDA, CPU], CUDA, [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], [TENSORRT, CUDA, CPU], TENSORRT, [TENSORRT, CUDA, CPU]),
        (["AzureExecutionProvider", CPU], [CPU], CPU, [CPU]),
    ],
    ids=["cpu", "cuda", "tensorrt", "nothing of ours"],
)
def test_the_fastest_provider_that_is_offered_computes(
    bundle: ModelBundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    offered: list[str],
    loading: list[str],
    expected: str,
    first_asked: list[str],
) -> None:
    provider, asked = provider_of(bundle, monkeypatch, offered, loading)

    assert (provider, asked) == (expected, [first_asked])
    assert not caplog.records


def test_a_provider_that_does_not_load_gives_way_to_the_next(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, asked = provider_of(bundle, monkeypatch, [TENSORRT, CUDA, CPU], [CUDA, CPU])

    assert provider == CUDA
    assert asked == [[TENSORRT, CUDA, CPU], [CUDA, CPU]]


def test_without_a_gpu_that_works_the_cpu_computes_and_one_line_tells_so(
    bundle: ModelBundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """ONNX Runtime itself, built for the CPU, is told to use what it does not have."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])

    engine: Any = create_engine(bundle, "onnxruntime")
    engine.close()

    assert engine.provider == CPU
    (record,) = caplog.records
    assert TENSORRT in record.getMessage()
    assert CUDA in record.getMessage()
    assert not list(recwarn)
