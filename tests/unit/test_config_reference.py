"""The committed reference of the configuration is that of the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import jsonschema
import yaml

from edgetally.config.reference import config_page, config_schema
from edgetally.counting.ledger import MessageKind

ROOT = Path(__file__).resolve().parents[2]
REMEDY = "run scripts/generate_docs.py and commit docs"


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = json.loads((ROOT / "docs/schemas/config.json").read_text(encoding="utf-8"))
    assert committed == config_schema(), REMEDY


def test_the_committed_page_is_that_of_the_code() -> None:
    committed = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert committed == config_page(), REMEDY


def test_the_page_says_what_is_dropped_first_and_names_every_kind() -> None:
    words: dict[MessageKind, str] = {
        "detections": "detections",
        "health": "health",
        "inference_result": "answers about inference",
        "inventory_response": "answers about corrections",
        "model_response": "answers about models",
        "inventory": "all totals but the newest",
        "zone_event": "zone events",
        "count_event": "count events",
        "stock": "the events of corrected stock",
    }
    ordered = [words[kind] for kind in get_args(MessageKind)]
    listed = f"{', '.join(ordered[:-1])}, and {ordered[-1]} last"
    assert f"first: {listed}." in config_page()


def test_the_demo_configuration_follows_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(config_schema())
    content = yaml.safe_load((ROOT / "models/boxes/demo.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(content, config_schema())
