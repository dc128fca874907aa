#!/usr/bin/env python3
"""Write into recipes/ what the code knows better: version, configuration and policies."""

from pathlib import Path

from edgetally.component.checkout import Checkout
from edgetally.component.names import COUNTER
from edgetally.component.recipe import counter_recipe, read_recipe, recipe_text

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write them."""
    folder = ROOT / "recipes"
    recipe = counter_recipe(read_recipe(folder, COUNTER), Checkout.at(ROOT).version)
    path = folder / f"{COUNTER}.json"
    path.write_text(recipe_text(recipe), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
