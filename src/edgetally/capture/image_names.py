"""Which files are images, by their names, and the order in which people number them."""

from __future__ import annotations

import re

_IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def is_image_name(name: str) -> bool:
    """Tell whether a file is an image by its name, and not hidden."""
    return not name.startswith(".") and name.lower().endswith(_IMAGE_SUFFIXES)


def natural_order(path: str) -> list[tuple[int, str]]:
    """Return what paths are sorted by: 2 before 10."""
    parts = re.split(r"(\d+)", path.lower())
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]
