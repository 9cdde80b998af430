"""The whole hum aligned with every song: subsequence dynamic time warping on the circle of pitch classes.

A hum may begin and end anywhere in a song, in any of ``KEYS`` transpositions, at a local tempo between half and double
(Sakoe and Chiba 1978, slope constraint P = 1), and as a whole at a quarter to four times that. Where a hum pauses, it
may leave some seconds of the song out; where it is long, it may go on anywhere, since people repeat what they know and
leave out what they do not. The local cost is minus the logarithm of a likelihood: near the song's pitch with a normal
error, anything otherwise. Songs are compared by the
E-value of their best place: among all keys, or among few where the hum keeps the song's own.

Where there are more than some songs, all are looked at in frames twice as long, a quarter of the work, and the best are
aligned again in fine ones; where there are many, ``DtwAtPlaces`` aligns it at the likely places alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from humfind.config import DtwConfig
from humfind.rankers.best_recording import Songs, ranking_of
from humfind.rankers.dtw import kernel
from humfind.rankers.dtw.kernel import FREE, KEYS, PITCHES, ROOM, UNREACHED
from humfind.rankers.dtw.pitch_sequence import (
    LEVELS,
    PitchSequence,
    ends_of,
    near,
    pitch_sequence_of,
    pitch_sequences_of,
)
from humfind.rankers.null_model import (
    BLOCK_S,
    NOWHERE,
    NullModel,
    Weights,
    alike_blocks,
    block_weights,
    log_evalues,
    null_sample,
)
from humfind.runtime.cores import cores
from humfind.types import Contour, Contours, Floats, InputError, Ints, Match, Query, Ranking

CHANCE = 2500  # blocks, of all recordings alike, that tell what chance does where others are aligned for being likely


@dataclass(frozen=True)
class Evidence:
    """A search's outcome, a row a recording. log_e: smaller is better. tempo, key: at which it was found. end: of its
    block, the frame after the last, counted from where its own line begins. start_s, end_s: the part of the recording
    that was aligned, as its own line."""

    log_e: NDArray[np.float64]
    tempo: NDArray[np.float64]
    key: Ints
    end: Ints
    start_s: Floats
    end_s: Floats
    frame_s: float

    @classmethod
    def nowhere(cls, recordings: int, frame_s: float) -> Evidence:
        """Where nothing was aligned."""
        key, end = np.zeros((2, recordings), np.int64)
        start_s, end_s = np.zeros((2, recordings), np.float32)
        return cls(np.full(recordings, NOWHERE), np.ones(recordings), key, end, start_s, end_s, frame_s)

    def of(self, rows: Ints) -> Evidence:
        """Of these recordings alone."""
        columns = {name: column[rows] for name, column in vars(self).items() if name != "frame_s"}
        return Evidence(**columns, frame_s=self.frame_s)


@dataclass(frozen=True)
class Stretches:
    """Parts of lines: (n,) the recording, the first frame, the one after the last."""

    recording: Ints
    first: Ints
    end: Ints


@dataclass(frozen=True)
class PitchSequences:
    """All recordings' lines laid end to end. line: its ``first`` and ``last`` are wider by a frame on either side, of
    each line. ends: (recordings + 1,). frame_s: of a frame. blocks: (recordings + 1,) where each one's blocks begin."""

    line: PitchSequence
    ends: Ints
    frame_s: float
    per_block: int
    blocks: Ints

    @classmethod
    def of(cls, contours: Contours, frame_s: float, config: DtwConfig) -> PitchSequences:
        line, ends = pitch_sequences_of(contours, frame_s, config.hold_s)
        wider = replace(line, first=near(line.first, ends), last=near(line.last, ends))
        per_block = max(1, round(BLOCK_S / frame_s))
        return cls(wider, ends, frame_s, per_block, ends_of(-(-np.diff(ends) // per_block)))

    @cached_property
    def alike(self) -> NDArray[np.float64]:
        """(blocks,) how many of its recording are like each."""
        levels = np.split(self.line.level, self.ends[1:-1])
        counts = [alike_blocks(level, np.ones_like(level), LEVELS, self.per_block) for level in levels]
        return np.concatenate(counts)

    def weights(self, rows: Ints) -> Weights:
        """Of the blocks of these recordings, which never fall."""
        counts = np.diff(self.blocks)[rows]
        block = np.arange(counts.sum()) + np.repeat(self.blocks[rows] - (np.cumsum(counts) - counts), counts)
        return block_weights(np.repeat(rows, counts), self.alike[block])

    def whole(self, rows: Ints) -> Stretches:
        """Whole recordings."""
        return Stretches(rows, self.ends[rows], self.ends[rows + 1])


@dataclass(frozen=True)
class Costs:
    """Of each block that a hum was aligned with, at one tempo: the smallest cost of a path that ends there and its
    transposition, in any key and in the song's own, (2, blocks). owner: (blocks,) the recording, which never falls.
    end: (blocks,) the frame after the last. places: (recordings,) how many a hum could have in each of all. songs:
    what was aligned."""

    best: NDArray[np.float64]
    key: Ints
    owner: Ints
    end: Ints
    places: NDArray[np.float64]
    songs: PitchSequences

    def of(self, rows: Ints) -> Costs:
        """Of these recordings alone."""
        among = np.isin(self.owner, rows)
        part = (self.best[:, among], self.key[:, among], self.owner[among], self.end[among])
        return Costs(*part, self.places, self.songs)

    def chances(self) -> list[NullModel]:
        """What whole recordings' blocks say of it, in any key and in the song's own."""
        weight = self.songs.weights(np.unique(self.owner))
        return [NullModel.of(best, weight) for best in self.best]


class Dtw:
    """Every song is aligned: exact, and quick enough for some thousands of songs. Ties fall to the smaller music_id.

    An answer's score is minus the logarithm of its E-value. Raises InputError where the songs have no contours.
    """

    def __init__(self, songs: Songs, config: DtwConfig | None = None, threads: int = 0) -> None:
        given = songs.contours if isinstance(songs.contours, Contours) else songs.contours[:]  # read once
        contours = given if isinstance(given, Contours) else Contours.of(given)
        if np.isnan(contours.frame_s).any():
            raise InputError("ranker dtw: this index has no contours; build it from f0")
        self.songs, self.contours, self.config = songs, contours, config or DtwConfig()
        self.threads = threads or cores()
        looks = (1, 2) if len(contours) > self.config.rescore_top else (1,)
        frames = {
            self._songs_frame_s(look * self.config.frame_s, tempo) for look in looks for tempo in self.config.tempos
        }
        self.lines = {frame_s: PitchSequences.of(contours, frame_s, self.config) for frame_s in sorted(frames)}

    def rank(self, query: Query, k: int) -> Ranking:
        evidence = self.evidence(query)
        return ranking_of(query.name, self.songs, evidence.log_e, k, lambda row: self.match(query, row, evidence))

    def chances(self, query: Query) -> list[list[NullModel]]:
        """What all recordings' blocks say of chance: at each tempo, in any key and in the song's own."""
        every = self._costs(query.melody, self.config.frame_s, np.arange(len(self.contours)))
        return [one.chances() for one in every]

    def against(self, query: Query, chances: list[list[NullModel]]) -> Evidence:
        """Of every recording, in fine frames, where it is told from elsewhere what chance does."""
        fine = self.config.frame_s
        return self._evidence(self._costs(query.melody, fine, np.arange(len(self.contours))), chances, fine)

    def evidence(self, query: Query, prior: NDArray[np.float64] | None = None) -> Evidence:
        """Of every recording. prior: (recordings,) added to the log E-values of the first look where it is decided
        which recordings are aligned again."""
        contour, fine, count = query.melody, self.config.frame_s, len(self.contours)
        every = np.arange(count)
        if count <= self.config.rescore_top:
            found = self._costs(contour, fine, every)
            return self._evidence(found, [one.chances() for one in found], fine)
        coarse = self._costs(contour, 2 * fine, every)
        first = self._evidence(coarse, [one.chances() for one in coarse], 2 * fine)
        likely = first.log_e if prior is None else first.log_e + prior
        best = np.sort(np.argsort(likely, kind="stable")[: self.config.rescore_top])
        sample = self._drawn(CHANCE)
        found = self._costs(contour, fine, np.union1d(best, sample))
        chances = [one.of(sample).chances() for one in found]
        second = self._evidence([one.of(best) for one in found], chances, fine)
        among = np.isin(every, best)
        merged = {
            name: np.where(among, column, getattr(first, name))
            for name, column in vars(second).items()
            if name != "frame_s"
        }
        return Evidence(**merged, frame_s=fine)

    def _costs(self, contour: Contour, frame_s: float, rows: Ints) -> list[Costs]:
        """The hum aligned with these recordings at each tempo."""
        found = []
        for tempo in self.config.tempos:
            hum, songs = self._pair(contour, tempo, frame_s)
            found.append(self._align(hum, songs, songs.whole(rows)))
        return found

    def _evidence(self, found: list[Costs], chances: list[list[NullModel]], frame_s: float) -> Evidence:
        """chances: at each tempo, in any key and in the song's own."""
        evidence = [self._log_e(*one) for one in zip(self.config.tempos, found, chances, strict=True)]
        log_e, key, end = (np.array(part) for part in zip(*evidence, strict=True))
        first = np.argmin(log_e, axis=0)
        every = np.arange(len(first))
        tempo = np.array(self.config.tempos)[first]
        from_s, to_s = np.zeros(len(every), np.float32), np.full(len(every), np.inf, np.float32)
        return Evidence(log_e[first, every], tempo, key[first, every], end[first, every], from_s, to_s, frame_s)

    def match(self, query: Query, recording: int, evidence: Evidence) -> Match:
        """Where in a recording the hum lies best."""
        nowhere = Match(0.0, query.length_s, 0.0, 1.0)
        contour = self.contours[recording]
        if contour is None or evidence.log_e[recording] >= NOWHERE:
            return nowhere
        hum, songs = self._pair(query.melody, float(evidence.tempo[recording]), evidence.frame_s)
        begin = songs.ends[recording]
        end = begin + evidence.end[recording]
        line, frame_s = songs.line, evidence.frame_s
        costs = local_costs(self.config.error_semitones, self.config.stray_share)
        key = int(evidence.key[recording])
        level = (hum.level + key * (LEVELS // KEYS)) % LEVELS
        moved = kernel.Hum(level.astype(np.int64), *self._resume(hum, songs.frame_s))
        jumps = (moved.resume == kernel.JUMP).any()
        longest = 2 * len(level) + moved.reach * int(
            (moved.resume == kernel.SKIP).sum()
        )  # of a path that does not jump
        first_row = begin if jumps else max(begin, end - songs.per_block - longest)
        rows = slice(first_row, songs.ends[recording + 1] if jumps else end)
        part = kernel.Frames(line.level[rows], line.first[rows], line.last[rows])
        block = max(0, end - songs.per_block - first_row)
        frame, jumped = kernel.trace(part, moved, costs, self._penalties, block)
        sung = int(np.flatnonzero(jumped)[-1]) if jumped.any() else 0  # from where on it is one part of the song
        time_s = line.time_s[rows]
        start_s, end_s = float(time_s[frame[sung]]), float(time_s[frame[-1]]) + frame_s
        within = slice(round(start_s / contour.frame_s), max(1, round(end_s / contour.frame_s)))
        semitones = _transposition(query.melody, contour.semitones[within], contour.voiced[within], key * 12 / KEYS)
        hum_start_s = float(hum.time_s[sung])
        hum_s = float(hum.time_s[-1]) - hum_start_s + frame_s
        path = np.stack([hum.time_s, time_s[frame]], axis=1)
        return Match(start_s, end_s, semitones, hum_s / max(end_s - start_s, frame_s), hum_start_s, path)

    @property
    def _penalties(self) -> kernel.Penalties:
        config = self.config
        costs = (config.off_start, config.off_end, config.faster, config.slower, config.skip, config.jump)
        return kernel.Penalties(*(np.float32(cost) for cost in costs))

    def _resume(self, hum: PitchSequence, songs_frame_s: float) -> tuple[Ints, int]:
        """(frames of the hum,): whether a path may skip or jump there; of how many
        frames of a song it may take the next, a power of two."""
        resume = np.full(len(hum.level), kernel.NEXT)
        starts = np.flatnonzero(hum.first)[1:]
        resume[starts] = kernel.SKIP
        since, last = (float(hum.time_s[row]) if len(hum.time_s) else 0.0 for row in (0, -1))
        for row in starts:
            at = float(hum.time_s[row])
            if min(at - since, last - at) >= self.config.piece_s:
                resume[row], since = kernel.JUMP, at
        return resume, 2 ** round(np.log2(max(1.0, self.config.skip_s / songs_frame_s)))

    def _pair(self, contour: Contour, tempo: float, frame_s: float) -> tuple[PitchSequence, PitchSequences]:
        """The hum's line and the songs', with longer frames for whichever is slower."""
        hum = pitch_sequence_of(contour, frame_s * max(1.0, tempo), self.config.hold_s)
        return hum, self.lines[self._songs_frame_s(frame_s, tempo)]

    @staticmethod
    def _songs_frame_s(frame_s: float, tempo: float) -> float:
        return frame_s * max(1.0, 1.0 / tempo)

    def _log_e(self, tempo: float, found: Costs, chances: list[NullModel]) -> tuple[NDArray[np.float64], Ints, Ints]:
        """Of each recording, NOWHERE where none of its blocks was aligned; the key and the end of its best block."""
        every = np.full(len(self.contours), NOWHERE)
        key, end = np.zeros((2, len(every)), np.int64)
        begins = np.diff(found.owner, prepend=-1) != 0
        rows, owner = found.owner[begins], np.cumsum(begins) - 1
        places = found.places[rows] if self.config.length_correction else np.ones(len(rows))
        share = (1 - self.config.own_key, self.config.own_key)  # of hums in any key, and in the song's own
        log_e, at = np.empty((2, len(rows))), np.zeros((2, len(rows)), np.int64)
        for row in range(2):
            found_e = log_evalues(found.best[row], owner, places, chances[row])
            log_e[row] = found_e - np.log(share[row]) if share[row] else np.inf
            at[row] = np.lexsort((found.best[row], owner))[begins]  # each recording's cheapest block
        kept = (log_e[1] < log_e[0]).astype(np.int64)
        block = at[kept, np.arange(len(rows))]
        key[rows], end[rows] = found.key[kept, block], found.end[block] - found.songs.ends[rows]
        every[rows] = np.where(log_e[0] < NOWHERE / 2, -np.logaddexp(-log_e[0], -log_e[1]), NOWHERE)
        return every + self.config.other_tempo * abs(np.log2(tempo)), key, end

    def _drawn(self, wanted: int) -> Ints:
        """The recordings whose blocks, so many at most, tell what chance does."""
        songs = self.lines[self.config.frame_s]
        blocks = int(np.sum(-(-np.diff(songs.ends) // songs.per_block)))
        return np.flatnonzero(null_sample(len(self.contours), blocks, wanted))

    def _align(self, hum: PitchSequence, songs: PitchSequences, chosen: Stretches) -> Costs:
        """In the 16-bit units that the longest path leaves room for, the hum's pitch to one of ``PITCHES``."""
        length = chosen.end - chosen.first
        blocks = ends_of(-(-length // songs.per_block))
        owner = np.repeat(chosen.recording, np.diff(blocks))
        begin = np.arange(blocks[-1]) - np.repeat(blocks[:-1], np.diff(blocks))
        end = np.repeat(chosen.first, np.diff(blocks)) + songs.per_block * (begin + 1)
        end = np.minimum(end, np.repeat(chosen.end, np.diff(blocks)))
        places = (np.diff(songs.ends) - len(hum.level) / 2) / songs.per_block
        best = np.full((2, len(owner)), UNREACHED, np.int16)
        key = np.zeros(best.shape, np.int64)
        if len(hum.level) == 0:
            return Costs(np.full(best.shape, np.inf), key, owner, end, places, songs)
        order = np.argsort(-length, kind="stable")  # dealt like cards: equal shares of work
        pitches = np.round(hum.level * (PITCHES / LEVELS)).astype(np.int64) % PITCHES
        sung = kernel.Hum(pitches, *self._resume(hum, songs.frame_s))
        costs = local_costs(self.config.error_semitones, self.config.stray_share)
        each = self._penalties
        dearest = len(hum.level) * (float(costs.max()) + max(each.faster, each.slower))
        unit = (dearest + self.config.off_start + self.config.off_end) / ROOM

        def whole(cost: Floats | np.float32) -> NDArray[np.int16]:
            return np.asarray(np.minimum(np.round(cost / unit), ROOM), np.int16)

        penalties = kernel.Penalties(*(np.int16(whole(cost)) for cost in each))
        frames = kernel.Frames(songs.line.level, songs.line.first, songs.line.last)
        stretches = kernel.Stretches(chosen.first, chosen.end, blocks, songs.per_block)

        def share(thread: int) -> None:
            rows = order[thread :: self.threads]
            kernel.align(frames, stretches, rows, sung, whole(costs), penalties, kernel.Best(best, key))

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(share, range(self.threads)))
        costs_a_frame = (best - float(FREE)) * (unit / len(hum.level))
        return Costs(np.where(best < UNREACHED, costs_a_frame, np.inf), key, owner, end, places, songs)


@lru_cache
def local_costs(error_semitones: float, stray_share: float) -> Floats:
    """What each distance on the circle of pitch classes costs: (LEVELS,) by level of difference."""
    level = np.arange(LEVELS)
    semitones = np.minimum(level, LEVELS - level) * (12 / LEVELS)
    near_pitch = np.exp(-0.5 * (semitones / error_semitones) ** 2)
    return (-np.log((1 - stray_share) * near_pitch + stray_share)).astype(np.float32)


def _transposition(hum: Contour, semitones: Floats, voiced: NDArray[np.bool_], key: float) -> float:
    """From the hum to the song, in semitones: the octave of ``key`` that brings their median pitches together."""
    if not voiced.any() or not hum.voiced.any():
        return key
    apart = float(np.median(semitones[voiced]) - np.median(hum.semitones[hum.voiced]))
    return key + 12.0 * round((apart - key) / 12.0)
