#!/usr/bin/env python3
"""Write what docs/ says of the code: the JSON Schemas and the configuration's reference."""

import json
from pathlib import Path

from edgetally.config.reference import config_page, config_schema
from edgetally.messaging.schemas import json_schemas

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Write them all."""
    for name, schema in (json_schemas() | {"config": config_schema()}).items():
        path = DOCS / "schemas" / f"{name}.json"
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        print(path)
    page = DOCS / "configuration.md"
    page.write_text(config_page(), encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
