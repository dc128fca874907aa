#!/usr/bin/env python3
"""Write the JSON Schema of each message into docs/schemas, from the models in the code."""

import json
from pathlib import Path

from edgetally.messaging.schemas import json_schemas

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
