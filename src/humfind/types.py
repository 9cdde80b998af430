"""The seven hand-overs between a recording and a ranking.

    Recording -> F0 -> Contour -> Windows -> Embeddings -> Hits -> Ranking

Each is frozen and checks itself when it is made, so that inner code trusts its input.

Conventions
-----------
- Pitch in Hz has one mark for "no pitch": ``hz == 0``. Pitch in semitones is on the MIDI scale
  (69 is 440 Hz) and is finite everywhere; ``voiced`` tells which frames were really sung.
- ``tempo_ratio`` is hum seconds a song second: 1.25 means that the hum takes 1.25 times as long.
- A song is named by its ``music_id``, a string in ``normal_form``; inside arrays it is a row number of ``music_ids``.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class InputError(ValueError):
    """Something that the user can mend; the message says what, where and how (exit status 2)."""


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """ "; did you mean X?" for a mistyped one of ``known``, else nothing."""
    close = get_close_matches(str(value), list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def normal_form(text: str) -> str:
    """The one spelling of a song's id and of a recording's key: accented letters composed (Unicode's NFC), no spaces or
    line ends around. Whatever is joined by name is compared in this form: file systems decompose accents, and
    spreadsheets leave spaces."""
    return unicodedata.normalize("NFC", text).strip()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_floats(name: str, values: np.ndarray, ndim: int) -> None:
    _require(values.dtype == np.float32, f"{name} is {values.dtype}, expected float32")
    _require(values.ndim == ndim, f"{name} has {values.ndim} dimensions, expected {ndim}")
    _require(bool(np.isfinite(values).all()), f"{name} holds NaN or infinity")


def _require_columns(owner: str, length: int, **columns: np.ndarray) -> None:
    for name, column in columns.items():
        _require(column.shape == (length,), f"{owner}.{name} has shape {column.shape}, not {(length,)}")


@dataclass(frozen=True)
class Recording:
    """Mono audio. samples: (n,) float32, nominally within [-1, 1]; rate_hz: samples a second."""

    samples: Floats
    rate_hz: int

    def __post_init__(self) -> None:
        _require_floats("samples", self.samples, 1)
        _require(self.rate_hz > 0, f"rate_hz is {self.rate_hz}")

    @property
    def length_s(self) -> float:
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class F0:
    """Fundamental frequency. hz, confidence: (n,) float32; frame i is centred at ``i * hop_s``.

    hz 0 denotes no pitch; confidence lies in [0, 1]. A frame is voiced when ``hz > 0`` and
    ``confidence >= threshold``, the threshold being the tracker's.
    """

    hz: Floats
    confidence: Floats
    hop_s: float
    threshold: float = 0.5

    def __post_init__(self) -> None:
        _require_floats("hz", self.hz, 1)
        _require_floats("confidence", self.confidence, 1)
        _require_columns("F0", len(self.hz), confidence=self.confidence)
        _require(self.hop_s > 0, f"hop_s is {self.hop_s}")
        _require(bool((self.hz >= 0).all()), "hz holds negative values; 0 denotes no pitch")
        inside = (self.confidence >= 0) & (self.confidence <= 1)
        _require(bool(inside.all()), "confidence leaves [0, 1]")

    @property
    def voiced(self) -> Bools:
        return (self.hz > 0) & (self.confidence >= self.threshold)

    @property
    def length_s(self) -> float:
        return len(self.hz) * self.hop_s

    @property
    def voiced_s(self) -> float:
        return float(self.voiced.sum()) * self.hop_s


@dataclass(frozen=True)
class Contour:
    """A melody line. semitones: (n,) float32, MIDI scale, gaps filled; voiced: (n,) bool, sung here."""

    semitones: Floats
    voiced: Bools
    frame_s: float

    def __post_init__(self) -> None:
        _require_floats("semitones", self.semitones, 1)
        _require_columns("Contour", len(self.semitones), voiced=self.voiced)
        _require(self.voiced.dtype == np.bool_, f"voiced is {self.voiced.dtype}, expected bool")
        _require(self.frame_s > 0, f"frame_s is {self.frame_s}")

    @property
    def length_s(self) -> float:
        return len(self.semitones) * self.frame_s

    def between(self, start_s: float, end_s: float) -> Contour:
        """The part from one second to another, as far as there is one."""
        first, end = frames_between(start_s, end_s, self.frame_s, len(self.semitones))
        return Contour(self.semitones[first:end], self.voiced[first:end], self.frame_s)


def frames_between(start_s: Any, end_s: Any, frame_s: Any, frames: Any) -> Ints:
    """Of so many frames, that of one second and that of another, in their range. Numbers or arrays of them."""
    return np.array([np.round(np.clip(second / frame_s, 0, frames)) for second in (start_s, end_s)]).astype(np.int64)


@dataclass(frozen=True)
class Contours(Sequence[Contour | None]):
    """Several melody lines laid end to end. semitones, voiced: (frames,). begin: (lines + 1,) where each one's begin.
    frame_s: (lines,), NaN where there is no line. They are trusted to be of contours, which are checked."""

    semitones: Floats
    voiced: Bools
    begin: Ints
    frame_s: NDArray[np.float64]

    @classmethod
    def of(cls, lines: Sequence[Contour | None]) -> Contours:
        there = [line for line in lines if line is not None]
        return cls(
            np.concatenate([np.empty(0, np.float32), *(line.semitones for line in there)]),
            np.concatenate([np.empty(0, np.bool_), *(line.voiced for line in there)]),
            np.cumsum([0, *(0 if line is None else len(line.semitones) for line in lines)]),
            np.array([np.nan if line is None else line.frame_s for line in lines], np.float64),
        )

    def __len__(self) -> int:
        return len(self.frame_s)

    @overload
    def __getitem__(self, row: int) -> Contour | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Contour | None]: ...
    def __getitem__(self, row: int | slice) -> Contour | Sequence[Contour | None] | None:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        row = range(len(self))[row]  # IndexError
        frames, frame_s = slice(self.begin[row], self.begin[row + 1]), float(self.frame_s[row])
        return None if math.isnan(frame_s) else Contour(self.semitones[frames], self.voiced[frames], frame_s)


@dataclass(frozen=True)
class Windows:
    """Pieces of one recording, ready for an encoder, that know where they came from.

    values: (n, channels, length_frames) float32. start_s, length_s: where in the recording, in its
    own seconds. tempo_ratio: recording seconds a window second. key: the pitch that was subtracted
    (MIDI semitones; 0 where nothing was).
    """

    values: Floats
    start_s: Floats
    length_s: Floats
    tempo_ratio: Floats
    key: Floats

    def __post_init__(self) -> None:
        _require_floats("values", self.values, 3)
        _require(len(self.values) > 0, "a recording has at least one window")
        for name in ("start_s", "length_s", "tempo_ratio", "key"):
            _require_floats(name, getattr(self, name), 1)
            _require_columns("Windows", len(self.values), **{name: getattr(self, name)})
        _require(bool((self.tempo_ratio > 0).all()), "tempo_ratio must be positive")

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Embeddings:
    """One vector a window. vectors: (n, dim) float32."""

    vectors: Floats

    def __post_init__(self) -> None:
        _require_floats("vectors", self.vectors, 2)

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Query:
    """A hum, on its way to a ranking. name: base name of its file. length_s: of the recording. contour: None where the
    model reads something else than f0."""

    name: str
    windows: Windows
    embeddings: Embeddings
    length_s: float
    contour: Contour | None = None

    def __post_init__(self) -> None:
        _require(
            len(self.windows) == len(self.embeddings),
            f"{self.name}: {len(self.windows)} windows but {len(self.embeddings)} embeddings",
        )

    @property
    def melody(self) -> Contour:
        """The contour. Raises InputError where there is none."""
        if self.contour is None:
            mend = "choose nearest or vote"
            raise InputError(f"{self.name}: this ranker aligns contours, and the model reads no f0; {mend}")
        return self.contour


@dataclass(frozen=True)
class Hits:
    """Song windows near a query's windows, one row a pair, sorted by (query window, distance).

    query_window, song, song_window: (m,) int64; song is a row of music_ids, song_window a row of the
    index. distance: (m,) float32, Euclidean. start_s, length_s, key: (m,) float32, of the song window.
    music_ids: every song of the index, found or not.
    """

    query_window: Ints
    song: Ints
    song_window: Ints
    distance: Floats
    start_s: Floats
    length_s: Floats
    key: Floats
    music_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        m = len(self.query_window)
        for name in ("query_window", "song", "song_window"):
            column = getattr(self, name)
            _require(column.dtype == np.int64, f"{name} is {column.dtype}, expected int64")
            _require_columns("Hits", m, **{name: column})
        for name in ("distance", "start_s", "length_s", "key"):
            _require_floats(name, getattr(self, name), 1)
            _require_columns("Hits", m, **{name: getattr(self, name)})
        known = (self.song >= 0) & (self.song < len(self.music_ids))
        _require(bool(known.all()), "a hit names a song that the index does not have")

    def __len__(self) -> int:
        return len(self.query_window)


@dataclass(frozen=True)
class Match:
    """Where in the song the hum was found, and how it was sung.

    start_s, end_s: seconds of the song. semitones: add to the hum to reach the song's pitch.
    tempo_ratio: hum seconds a song second. hum_start_s: second of the hum from which on it lies there: what comes
    before is silence, or another part of the song. path: (n, 2) float32, second of the hum and of the song at each step
    of the alignment, where there is one.
    """

    start_s: float
    end_s: float
    semitones: float
    tempo_ratio: float
    hum_start_s: float = 0.0
    path: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32), compare=False, repr=False)

    def later(self, seconds: float) -> Match:
        """So many seconds later in the song."""
        path = self.path + np.array([0.0, seconds], np.float32)
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds, path=path)


@dataclass(frozen=True)
class Answer:
    """One ranked song. score: larger is better, comparable within one ranking only.

    probability: that this is the hummed song, in [0, 1]; None where the ranker is not calibrated.
    """

    music_id: str
    score: float
    probability: float | None = None
    match: Match | None = None


SURE, LIKELIER_HERE = 0.8, 0.5  # probabilities from which a song is found, and from which it is in the index at all


@dataclass(frozen=True)
class Ranking:
    """The answers to one query, best first: distinct songs, scores not increasing.

    here: the probability that the hummed song is in the index at all; None where the ranker is not calibrated.
    """

    query: str
    answers: tuple[Answer, ...]
    here: float | None = None

    def __post_init__(self) -> None:
        ids = self.music_ids
        _require(len(set(ids)) == len(ids), f"{self.query}: a song is ranked twice")
        scores = [answer.score for answer in self.answers]
        _require(all(a >= b for a, b in pairwise(scores)), f"{self.query}: scores are not sorted")

    @property
    def music_ids(self) -> tuple[str, ...]:
        return tuple(answer.music_id for answer in self.answers)

    @property
    def verdict(self) -> str | None:
        """``found``: the first song is it. ``one of these``: the song is likelier in the index than not. ``not here``.
        None where the ranker is not calibrated."""
        if self.here is None:
            return None
        if self.here < LIKELIER_HERE:
            return "not here"
        first = self.answers[0].probability if self.answers else None
        return "found" if first is not None and first >= SURE else "one of these"
