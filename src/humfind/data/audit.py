"""Does a data set give its answers away? Three leaks are looked for, by melody and not by name alone.

    a song in train and validation, or one recording under two ids     figures look better than they are
    a song of the test splits that training has too                     the same
    a hum rendered from a song's own audio                              not a hum: same key, tempo and timing

Two recordings are one where their f0 agree for ``PROBE_S`` at some offset: within ``CLOSE_CENTS`` at a share of
``SAME`` of the frames. No singer keeps key, tempo and timing so; another encoding or cut of one recording does.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from humfind.config import ContourConfig, F0Config, TrainConfig
from humfind.data.zalo import KINDS, load_split
from humfind.f0.load import Skipped, load_f0, open_store
from humfind.melody import contour
from humfind.runtime.logs import check_counts, stage
from humfind.types import F0, Bools, Contour, Floats

log = logging.getLogger(__name__)
LINE = ContourConfig()  # of the first look: frames of 40 ms
PROBE_S = 4.0  # length of the pieces by which recordings are compared
PROBES = 3  # pieces a recording, from its start to its end
LEAST_VOICED = 0.5  # share of a probe that is sung, else it says too little
LEAST_SPREAD = 0.5  # semitones, standard deviation: one held tone is like any other
CANDIDATE = 0.7  # mean cosine of pitch on the circle of an octave: what is nearer gets the second look
REFINE_S = 0.06  # the second look tries offsets up to this far from the first's
CLOSE_CENTS, SAME = 25.0, 0.85  # two tunes of one phrase reached 0.76, recordings played twice 0.91 to 0.99
QUIET_BELOW = 500  # recordings: that few take seconds
BLOCK = 10_000_000  # pairs of windows compared at a time


@dataclass(frozen=True)
class Compared:
    """A recording of a data set. kind: song or hum. side: train, validation or the test split's name."""

    path: str
    kind: str
    side: str
    music_id: str | None
    f0: F0


@dataclass(frozen=True)
class Leak:
    """what: which of the leaks. a, b: the two places."""

    what: str
    a: str
    b: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.a} and {self.b}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Report:
    """leaks: as found. compared, silent: recordings that were looked at, and those with too little melody to."""

    leaks: tuple[Leak, ...]
    compared: int
    silent: int

    def __str__(self) -> str:
        found = [str(leak) for leak in self.leaks] or ["no leaks"]
        return "\n".join([*found, f"{self.compared} recordings compared, {self.silent} with too little melody to"])


def check(data: Path, store: Path | None = None, f0: F0Config | None = None) -> tuple[Report, Skipped]:
    """Every split that the data set or its store has, train split as training does by default."""
    cache = open_store(data, store, f0)
    recordings: list[Compared] = []
    skipped: Skipped = []
    both: list[Leak] = []
    for name in cache.splits(data):
        parts = load_split(data, name, cache)
        validation: Collection[str] = ()
        if name == "train":
            training, validation = parts.by_song(TrainConfig.validation_share, TrainConfig.seed)
            both += in_both(training, validation)
        for kind, items in zip(KINDS, (parts.songs, parts.hums), strict=True):
            f0s = load_f0(items, name, kind, cache, f0)
            skipped += f0s.skipped
            for item, line in f0s.f0:
                side = "validation" if item.music_id in set(validation) else name
                recordings.append(Compared(item.path, kind, side, item.music_id, line))
    with stage(log, "leak check"):
        report = find_leaks(recordings)
    return Report((*both, *report.leaks), report.compared, report.silent), skipped


def in_both(train_ids: Iterable[str], validation_ids: Iterable[str]) -> list[Leak]:
    """Songs that stand on both sides by their id."""
    shared = sorted(set(train_ids) & set(validation_ids))
    return [Leak("song in train and validation", f"train {i}", f"validation {i}") for i in shared]


def find_leaks(recordings: Sequence[Compared]) -> Report:
    """Pairs of recordings that are one, unless they may be: excerpts of one song on one side."""
    lines = [contour.from_f0(recording.f0, LINE) for recording in recordings]
    probes = [_probes(line) for line in lines]
    owner = np.repeat(np.arange(len(recordings)), [len(found) for found in probes])
    starts = np.array([start for found in probes for start in found], dtype=np.int64)
    length = round(PROBE_S / LINE.frame_s)
    melodic = [bool(found) for found in probes]
    counts = {"compared": sum(melodic), "with_too_little_melody": len(melodic) - sum(melodic)}
    check_counts(log, "leak check", len(recordings), "recordings", **counts)
    if not len(owner):
        return Report((), 0, len(recordings))
    circles = [_circle(line.semitones, line.voiced) for line in lines]
    pieces = np.stack([circles[o][:, s : s + length].ravel() for o, s in zip(owner, starts, strict=True)])
    found: dict[tuple[int, int], Leak] = {}
    bar = tqdm(lines, desc="comparing", unit="recording", disable=len(lines) < QUIET_BELOW)
    for row, line in enumerate(bar):
        if len(line.semitones) < length:
            continue
        for probe, place in _near(pieces, line):
            other = int(owner[probe])
            pair = (min(row, other), max(row, other))
            what = None if row == other or pair in found else kind_of(recordings[pair[0]], recordings[pair[1]])
            if what is None:
                continue
            offset_s = (place - int(starts[probe])) * LINE.frame_s  # of the other's start, in this recording
            start_s = float(starts[probe]) * LINE.frame_s
            share, at_s = same_share(recordings[other].f0, recordings[row].f0, offset_s, start_s)
            if share >= SAME:
                a, b = (recordings[i] for i in pair)
                reason = f"{share:.0%} of {PROBE_S:g} s within {CLOSE_CENTS:g} cents, {abs(at_s):.2f} s apart"
                found[pair] = Leak(what, _place(a), _place(b), reason)
    return Report(tuple(found[pair] for pair in sorted(found)), counts["compared"], counts["with_too_little_melody"])


def kind_of(a: Compared, b: Compared) -> str | None:
    """What it means that two recordings are one; None where it means nothing."""
    if a.kind != b.kind:
        return "hum rendered from a song's own audio"
    if a.side != b.side:
        return f"one {a.kind} in {' and '.join(sorted((a.side, b.side)))}"
    if a.music_id != b.music_id or None in (a.music_id, b.music_id):
        return f"one {a.kind} twice" if a.music_id is None else f"one {a.kind} under two ids"
    return None


def same_share(piece: F0, whole: F0, offset_s: float, start_s: float) -> tuple[float, float]:
    """How much of the ``PROBE_S`` from ``start_s`` of ``piece`` is ``whole``'s own, about ``offset_s`` later.

    Returns the share of the frames voiced in either that are within ``CLOSE_CENTS``, and at which offset.
    Octaves are not distinguished: trackers slip by them where there is accompaniment.
    """
    step = contour.SUBFRAME_S
    times_s = start_s + np.arange(round(PROBE_S / step)) * step
    a_pitch, a_voiced = _at(piece, times_s)
    best = 0.0, offset_s
    for shift_s in np.arange(-REFINE_S, REFINE_S + step / 4, step / 2):
        b_pitch, b_voiced = _at(whole, times_s + offset_s + shift_s)
        apart = np.abs((a_pitch - b_pitch + contour.OCTAVE / 2) % contour.OCTAVE - contour.OCTAVE / 2)
        close = a_voiced & b_voiced & (apart * 100 <= CLOSE_CENTS)
        best = max(best, (float(close.sum() / max(1, (a_voiced | b_voiced).sum())), offset_s + float(shift_s)))
    return best


def _probes(line: Contour) -> list[int]:
    """Where the pieces with enough melody start, in frames."""
    length = round(PROBE_S / LINE.frame_s)
    if len(line.semitones) < length:
        return []
    starts = np.unique(np.linspace(0, len(line.semitones) - length, 4 * PROBES).astype(int))
    good = []
    for start in starts:
        sung = line.voiced[start : start + length]
        pitch = line.semitones[start : start + length][sung]
        if sung.mean() >= LEAST_VOICED and pitch.std() >= LEAST_SPREAD:
            good.append(int(start))
    if not good:
        return []
    return [good[i] for i in np.unique(np.linspace(0, len(good) - 1, PROBES).astype(int))]


def _near(probes: Floats, line: Contour) -> Iterator[tuple[int, int]]:
    """(probe, frame) for every probe that is near the line somewhere, at its nearest frame."""
    length = probes.shape[1] // 2
    windows = np.lib.stride_tricks.sliding_window_view(_circle(line.semitones, line.voiced), length, axis=1)
    sung = np.lib.stride_tricks.sliding_window_view(line.voiced, length).sum(axis=1)
    best = np.full(len(probes), -1.0, np.float32)
    place = np.zeros(len(probes), np.int64)
    rows = max(1, BLOCK // len(probes))
    own = 1 / np.sqrt(np.maximum(1, np.einsum("nd,nd->n", probes, probes)))
    for start in range(0, len(sung), rows):
        block = np.concatenate([part[start : start + rows] for part in windows], axis=1)
        likeness = (block / np.sqrt(np.maximum(1, sung[start : start + rows, None]))).astype(np.float32) @ probes.T
        nearest = likeness.argmax(axis=0)
        found = likeness[nearest, np.arange(len(probes))] * own
        closer = found > best
        best[closer], place[closer] = found[closer], nearest[closer] + start
    for probe in np.flatnonzero(best >= CANDIDATE):
        yield int(probe), int(place[probe])


def _circle(semitones: Floats, voiced: Bools) -> Floats:
    """(2, n): pitch on a circle that an octave goes once around, 0 where nothing is sung."""
    angle = semitones * np.float32(2 * np.pi / contour.OCTAVE)
    return np.stack([np.cos(angle), np.sin(angle)]) * voiced


def _at(f0: F0, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch in semitones and voicing at the nearest frames; unvoiced outside."""
    frames = np.round(times_s / f0.hop_s).astype(np.int64)
    inside = (frames >= 0) & (frames < len(f0.hz))
    frames = np.clip(frames, 0, len(f0.hz) - 1)
    voiced = f0.voiced[frames] & inside
    return contour.hz_to_semitones(np.where(voiced, f0.hz[frames], contour.A4_HZ)), voiced


def _place(recording: Compared) -> str:
    return f"{recording.side} {recording.path}" + (f" of {recording.music_id}" if recording.music_id else "")
