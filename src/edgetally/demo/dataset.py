"""The rendered pictures that the demo model is trained on, kept on disk, and their batches."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.demo.scene.random_scenes import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.demo.scene.stage import Truth

_STORED = 360  # side of the stored squares: larger than the input, so that crops stay sharp
_SCENES_A_PART = 25
MAX_OBJECTS = 10


@dataclass(frozen=True, eq=False)
class Dataset:
    """JPEG pictures, squares of 360 pixels, and a label array [M, 5] of each.

    A row is (class, xmin, ymin, xmax, ymax) in 0-1, padded with -1.
    """

    pictures: list[NDArray[np.uint8]]
    labels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Decode one picture, uint8 [360, 360, 3] BGR."""
        return np.asarray(cv2.imdecode(self.pictures[index], cv2.IMREAD_COLOR), np.uint8)


def load_dataset(
    folder: Path,
    scenes: int,
    per_scene: int,
    progress: Callable[[int, int], None],
) -> Dataset:
    """Render what the folder does not hold yet (resumable), then load all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, scenes, _SCENES_A_PART)
    counts = [min(_SCENES_A_PART, scenes - start) for start in starts]
    parts = [
        folder / f"train-{per_scene}-{start:06}-{count}.npz"
        for start, count in zip(starts, counts, strict=True)
    ]
    missing = [job for job in zip(parts, starts, counts, strict=True) if not job[0].exists()]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(_render_part, part, start, count, per_scene)
            for part, start, count in missing
        ]
        for done, job in enumerate(jobs, start=1):
            job.result()
            progress(done, len(jobs))
    pictures: list[NDArray[np.uint8]] = []
    labels = []
    for part in parts:
        with np.load(part) as stored:
            ends = np.cumsum(stored["sizes"])
            pictures.extend(np.split(stored["bytes"], ends[:-1]))
            labels.append(stored["labels"])
    return Dataset(pictures, np.concatenate(labels))


def _render_part(path: Path, first: int, scenes: int, per_scene: int) -> None:
    cv2.setNumThreads(1)
    encoded, labels = [], []
    for picture, truth in samples("train", first, scenes, per_scene):
        square = cv2.resize(picture, (_STORED, _STORED), interpolation=cv2.INTER_AREA)
        encoded.append(cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 93])[1].ravel())
        labels.append(label_of(truth))
    aside = path.with_suffix(".tmp.npz")
    np.savez(
        aside,
        bytes=np.concatenate(encoded),
        sizes=np.array([len(item) for item in encoded]),
        labels=np.array(labels),
    )
    aside.replace(path)


def label_of(truth: Truth) -> NDArray[np.float32]:
    """The label array [M, 5] of a picture."""
    label = np.full((MAX_OBJECTS, 5), -1, np.float32)
    rows = min(len(truth.boxes), MAX_OBJECTS)
    label[:rows, 0] = truth.class_ids[:rows]
    label[:rows, 1:] = truth.boxes[:rows]
    return label


def network_input(picture: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize a BGR picture to float32 [3, size, size], RGB 0-255."""
    square = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(square[..., ::-1].transpose(2, 0, 1), np.float32)


def augmented(
    dataset: Dataset, index: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A picture float32 [3, size, size] and its label [M, 5], cropped, mirrored, relit."""
    picture, label = dataset.picture(index), dataset.labels[index].copy()
    if rng.random() < 0.7:
        picture, label = _cropped(picture, label, rng)
    rows = label[:, 0] >= 0
    for axis in (0, 1):
        if rng.random() < 0.5:
            picture = np.flip(picture, axis=1 - axis)
            low, high = 1 + axis, 3 + axis
            label[rows, low], label[rows, high] = 1 - label[rows, high], 1 - label[rows, low]
    tensor = network_input(np.ascontiguousarray(picture), size)
    tensor = tensor * rng.uniform(0.75, 1.3) + rng.uniform(-15, 15)
    tensor *= rng.uniform(0.94, 1.06, (3, 1, 1))
    return np.clip(tensor, 0, 255).astype(np.float32), label


def _cropped(
    picture: NDArray[np.uint8], label: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    side = rng.uniform(0.7, 1.0, 2)
    origin = rng.uniform(0, 1, 2) * (1 - side)
    boxes = (label[:, 1:].reshape(-1, 2, 2) - origin) / side
    cut = np.clip(boxes, 0, 1)
    visible = np.prod(cut[:, 1] - cut[:, 0], axis=1) / np.maximum(
        np.prod(boxes[:, 1] - boxes[:, 0], axis=1), 1e-9
    )
    kept = (label[:, 0] >= 0) & (visible > 0.2)
    result = np.full_like(label, -1)
    result[: kept.sum(), 0] = label[kept, 0]
    result[: kept.sum(), 1:] = cut[kept].reshape(-1, 4)
    low = np.round(origin * _STORED).astype(int)
    high = np.round((origin + side) * _STORED).astype(int)
    return picture[low[1] : high[1], low[0] : high[0]], result
