"""An int8 network that OpenVINO compiled wrongly, as 2026.4 does now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.engines.openvino import compiled_and_checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIGHT = np.array([0.1, 0.2, 0.9], np.float32)
WRONG = np.array([0.1, 1.0, 0.0], np.float32)


class Compiler:
    """Gives the answers it was told to: those of one stream, then of each later compilation."""

    def __init__(self, *answers: NDArray[np.float32]) -> None:
        self._answers = answers
        self.compilations: list[tuple[int | None, int | None]] = []

    def compiled(self, threads: int | None, streams: int | None) -> Any:
        self.compilations.append((threads, streams))
        return len(self.compilations) - 1

    def answers(self, compiled: Any, pictures: int) -> list[NDArray[np.float32]]:
        return [RIGHT] * (pictures - 1) + [self._answers[compiled]]


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_network_is_compiled_again_until_it_answers_as_in_one_stream(
    wrong: int, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = Compiler(RIGHT, *[WRONG] * wrong, RIGHT)

    assert compiled_and_checked(compiler, 4, 2) == wrong + 1

    assert compiler.compilations == [(4, 1), *[(4, 2)] * (wrong + 1)]
    assert not caplog.records


@pytest.mark.parametrize("wrong", [WRONG, np.full(3, np.nan, np.float32)], ids=["off", "nan"])
def test_a_network_that_stays_wrong_runs_in_one_stream_and_that_is_told(
    wrong: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    compiler = Compiler(RIGHT, wrong, wrong, wrong)

    assert compiled_and_checked(compiler, None, 2) == 0

    (record,) = caplog.records
    assert "taking one stream" in record.getMessage()
