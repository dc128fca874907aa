"""`Following`: what a tracker remembers of the objects it follows, as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, cast

import numpy as np

from edgetally.counting.motion import Motions
from edgetally.counting.track import Sighting, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from edgetally.counting.association import Boxes
    from edgetally.counting.track import Box
    from edgetally.detections import Detections

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_PATH_LENGTH = 32
_MEMORY = 10.0  # seconds of looking after which a vote for a class weighs 37 %
_LONGEST_FADING = 1.0  # seconds: a silent camera is no reason to forget
_CLEARLY = 1.5  # votes for another class against those for the present one
_AT_LEAST = 0.5  # votes more
# As `_make` does, without its check of the length: of what is made most often.
_sighting = cast("Callable[[Iterable[object]], Sighting]", partial(tuple.__new__, Sighting))
_track = cast("Callable[[Iterable[object]], Track]", partial(tuple.__new__, Track))


@dataclass(frozen=True, eq=False, slots=True)
class Sightings:
    """The detections of one frame: `boxes` are theirs; is_confident: [M], may begin tracks."""

    detections: Detections
    boxes: Boxes
    is_confident: NDArray[np.bool_]
    time: float


@dataclass(eq=False, slots=True)
class Following:
    """N objects that are followed; row for row. `ids` is 0 for one not yet believed.

    votes: [N, K], the scores of the detections by class, fading; is_seen: [N], in the latest frame.
    """

    motions: Motions = field(
        default_factory=lambda: Motions.start(np.zeros((0, 2)), np.zeros(0), 0.0)
    )
    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    sizes: Floats = field(default_factory=lambda: np.zeros(0))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    first_seen: Floats = field(default_factory=lambda: np.zeros(0))
    last_seen: Floats = field(default_factory=lambda: np.zeros(0))
    hits: Rows = field(default_factory=lambda: np.zeros(0, np.intp))
    confident_hits: Rows = field(default_factory=lambda: np.zeros(0, np.intp))
    ids: Rows = field(default_factory=lambda: np.zeros(0, np.intp))
    class_ids: Rows = field(default_factory=lambda: np.zeros(0, np.intp))
    votes: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    is_seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    paths: list[tuple[Sighting, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def likeness(self) -> Floats:
        """The share of each row's votes that each class has, [N, K]."""
        shares: Floats = self.votes / self.votes.sum(axis=1, keepdims=True)
        return shares

    def expected_corners(self) -> Floats:
        """Each box as large as it was last seen, at the motion's position, [N, 4]."""
        half = (self.boxes[:, 2:] - self.boxes[:, :2]) / 2
        position = self.motions.position
        return np.concatenate([position - half, position + half], axis=1)

    def pass_time(self, gap: float) -> None:
        """Move `gap` seconds ahead."""
        self.motions.pass_time(gap)
        self.votes *= np.exp(-min(gap, _LONGEST_FADING) / _MEMORY)

    def see(
        self, rows: Rows, found: Sightings, columns: Rows, turned: Floats, fastest: float
    ) -> None:
        """Take detections (`columns` of `found`) of objects that are followed (`rows`)."""
        boxes = found.boxes
        self.motions.see(rows, boxes.centres[columns], boxes.noise[columns], turned, fastest)
        self._note(rows, found, columns)

    def begin(self, found: Sightings, columns: Rows, fastest: float) -> Rows:
        """Follow what some detections show from now on; return its rows."""
        number = len(columns)
        rows = np.arange(len(self), len(self) + number)
        boxes = found.boxes
        self.motions.join(Motions.start(boxes.centres[columns], boxes.noise[columns], fastest))
        nothing, times = np.zeros(number, np.intp), np.full(number, found.time)
        self.boxes = np.concatenate([self.boxes, boxes.corners[columns]])
        self.sizes = np.concatenate([self.sizes, boxes.sizes[columns]])
        self.scores = np.concatenate([self.scores, np.zeros(number)])
        self.first_seen = np.concatenate([self.first_seen, times])
        self.last_seen = np.concatenate([self.last_seen, times])
        self.hits = np.concatenate([self.hits, nothing])
        self.confident_hits = np.concatenate([self.confident_hits, nothing])
        self.ids = np.concatenate([self.ids, nothing])
        self.class_ids = np.concatenate([self.class_ids, found.detections.class_ids[columns]])
        self.votes = np.concatenate([self.votes, np.zeros((number, self.votes.shape[1]))])
        self.is_seen = np.concatenate([self.is_seen, np.ones(number, np.bool_)])
        self.paths += [()] * number
        self._note(rows, found, columns)
        return rows

    def _note(self, rows: Rows, found: Sightings, columns: Rows) -> None:
        self.boxes[rows] = corners = found.boxes.corners[columns]
        self.sizes[rows] = found.boxes.sizes[columns]
        self.scores[rows] = scores = found.detections.scores[columns]
        self.last_seen[rows] = found.time
        self.is_seen[rows] = True
        self.hits[rows] += 1
        self.confident_hits[rows] += found.is_confident[columns]
        self._vote(rows, found.detections.class_ids[columns], scores)
        sightings = map(_sighting, zip(repeat(found.time), _tuples(corners)))
        for row, sighting in zip(rows.tolist(), sightings, strict=True):
            self.paths[row] = self.paths[row][1 - _PATH_LENGTH :] + (sighting,)  # noqa: RUF005 - faster

    def _vote(self, rows: Rows, class_ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Count the votes; a class changes only where another has clearly more."""
        self.votes[rows, class_ids] += np.maximum(scores, 1e-6)
        votes, own = self.votes[rows], self.votes[rows, self.class_ids[rows]]
        most = votes.max(axis=1)
        others = ((most >= _CLEARLY * own) & (most >= own + _AT_LEAST)).nonzero()[0]
        if len(others):
            self.class_ids[rows[others]] = votes[others].argmax(axis=1)

    def make_room_for(self, classes: int) -> None:
        """Let the votes have a column for each of so many classes."""
        missing = classes - self.votes.shape[1]
        if missing > 0:
            self.votes = np.pad(self.votes, ((0, 0), (0, missing)))

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all others."""
        if rows.all():
            return
        self.motions.keep(rows)
        for part in fields(self):
            values = getattr(self, part.name)
            if isinstance(values, np.ndarray):
                setattr(self, part.name, values[rows])
        self.paths = [
            path for path, is_kept in zip(self.paths, rows.tolist(), strict=True) if is_kept
        ]

    def snapshots(self) -> tuple[Track, ...]:
        """The believed objects as tracks, by id."""
        rows = np.argsort(self.ids, kind="stable")
        rows = rows[np.count_nonzero(self.ids == 0) :]
        paths = [self.paths[row] for row in rows.tolist()]
        places = [path[-1].box for path in paths]
        unseen = (~self.is_seen[rows]).nonzero()[0]
        if len(unseen):
            expected = _tuples(self.expected_corners()[rows[unseen]])
            for place, box in zip(unseen.tolist(), expected, strict=True):
                places[place] = cast("Box", box)
        columns = (
            self.ids[rows].tolist(),
            self.class_ids[rows].tolist(),
            places,
            self.scores[rows].tolist(),
            _tuples(self.motions.velocity[rows]),
            self.first_seen[rows].tolist(),
            self.last_seen[rows].tolist(),
            self.hits[rows].tolist(),
            self.confident_hits[rows].tolist(),
            self.is_seen[rows].tolist(),
            paths,
        )
        return tuple(map(_track, zip(*columns, strict=True)))


def _tuples(array: Floats) -> Iterator[tuple[float, ...]]:
    return zip(*array.T.tolist(), strict=True)
