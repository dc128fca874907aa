"""The motion gate on the demo clip: what is counted, with it and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.config import load_config, parse_config
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.service import Service

if TYPE_CHECKING:
    import pytest

MODELS = Path(__file__).resolve().parents[2] / "models" / "boxes"


def test_the_demo_is_counted_with_the_motion_gate_as_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody walks nearly all the time; what the gate leaves out must not be missed."""
    monkeypatch.chdir(tmp_path)
    convert(MODELS / "model.tar.gz", tmp_path / "bundle", classes=CLASSES, verify=False)
    demo = load_config(MODELS / "demo.yaml").model_dump(mode="json", by_alias=True)
    demo["model"]["path"] = str(tmp_path / "bundle")
    demo["cameras"][0] |= {
        "source": str(MODELS / "demo.mp4"),
        "motionGate": {"enabled": True, "maxIdle": 10},
    }
    service = Service(parse_config(demo, "test"))
    service.run()
    (loop,) = service.loops
    truth = json.loads((MODELS / "demo.json").read_text())["expected"]
    assert loop.update is not None
    assert truth == {
        name: service.totals["dock"]["door"][name] | {"inView": loop.update.in_view[name]}
        for name in CLASSES
    }
    health = loop.health()
    assert health.skipped_still > 10
    assert health.processed + health.skipped_still == 600
