"""The sound part of an index: vectors of the segments of every recording, and the tags that fit it.

It lies in the index folder's ``sound``, an index like that of melodies, without contours, and may be added later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from humfind.audio.load import stream
from humfind.audio.mel import compressed_mel
from humfind.audio.spans import side_by_side, spans
from humfind.audio.tonality import mode_strengths
from humfind.data.zalo import load_split, read_titles
from humfind.encoders import musicnn
from humfind.encoders.sound import MODES, NAME, Segment, SoundEncoder
from humfind.f0.extract import file_sha256
from humfind.f0.load import Skipped
from humfind.index import Entry, Index, IndexInfo, Song, index_folder
from humfind.index.folder import WindowPlaces
from humfind.index.parts import ABOUT, SOUND
from humfind.retrieval.indexing import kind_of
from humfind.retrieval.music_folder import distinct_files, music_files, song_of
from humfind.runtime.cores import cores
from humfind.runtime.lock import writing
from humfind.types import Embeddings, Floats, InputError

TOGETHER = 32  # segments that are embedded at a time
SAVE_S = 60.0  # after so long, what was read is saved, and less often where saving takes long
SAVES_SHARE = 0.05  # of the time may go into it
MOST_TAGS, LEAST_CHANCE = 3, 0.1  # that a song is given


def write_sound(source: Path, out: Path, split: str) -> tuple[Index, Skipped]:
    """The sound part of a data set's split or of a folder of music, saved in ``out``/sound. Recordings that are there
    and have not changed are taken over, also from a run that was stopped. Raises InputError."""
    index_folder(out, source)
    files, skipped = recordings_of(source, split)
    encoder = SoundEncoder()
    folder = index_folder(out / SOUND)
    with writing(folder):
        known = _known(folder, encoder)
        made = {digest: known[digest] for _, _, digest in files if digest in known}
        left = [(file, digest) for _, file, digest in files if digest not in made]
        began, spent = time.monotonic(), 0.0
        for digest, found in _read(left, encoder):
            if isinstance(found, InputError):
                file = next(file for file, one in left if one == digest)
                skipped.append((str(file), str(found).removeprefix(f"{file}: ")))
                continue
            made[digest] = found
            now = time.monotonic()
            if now - began > SAVE_S + spent / SAVES_SHARE:
                _index(files, made, encoder).save(folder)
                began, spent = time.monotonic(), time.monotonic() - now
        index = _index(files, made, encoder)
        index.save(folder)
    return index, skipped


def song_odds(index: Index, encoder: SoundEncoder) -> Floats:
    """(songs, tags): the log odds of each tag for each of ``index.music_ids``, of the mean probability over all of
    its segments."""
    mean = np.clip(_mean_of_songs(index, _chances(index.vectors[:], encoder)), 1e-9, 1 - 1e-9)
    return np.log(mean / (1 - mean)).astype(np.float32)


def song_means(index: Index) -> Floats:
    """(songs, 402): the mean vector of all segments of each of ``index.music_ids``."""
    return _mean_of_songs(index, index.vectors[:]).astype(np.float32)


def _mean_of_songs(index: Index, rows: np.ndarray) -> np.ndarray:
    """rows: one a segment -> one a song, float64."""
    count = np.bincount(index.window_song, minlength=len(index.music_ids))
    total = np.zeros((len(count), rows.shape[1]))
    np.add.at(total, index.window_song, rows)
    mean: np.ndarray = total / count[:, None]
    return mean


def _chances(vectors: Floats, encoder: SoundEncoder) -> np.ndarray:
    """(segments, tags): how probable each tag is, float64."""
    chances: np.ndarray = 1 / (1 + np.exp(-encoder.log_odds(vectors).astype(np.float64)))
    return chances


def heard(blocks: Iterator[Floats], encoder: SoundEncoder) -> Embeddings:
    """A recording's samples at musicnn's rate, in blocks -> a vector a segment; an hour takes no more memory than a
    minute but for its vectors."""
    parts: list[Floats] = []
    waiting: list[Segment] = []
    for segment in segments(blocks):
        waiting.append(segment)
        if len(waiting) == TOGETHER:
            parts.append(encoder.embed(waiting).vectors)
            waiting = []
    if waiting:
        parts.append(encoder.embed(waiting).vectors)
    return Embeddings(np.concatenate(parts))


def segments(blocks: Iterator[Floats]) -> Iterator[Segment]:
    """A recording's samples at musicnn's rate, in blocks -> its segments. What is left at the end counts where it is
    half a segment, or all that there is; its mel frames are repeated until they fill one."""
    length = (musicnn.FRAMES - 1) * musicnn.HOP + musicnn.FFT
    for number, (span, frames) in enumerate(spans(blocks, musicnn.HOP, musicnn.FRAMES, musicnn.FFT // 2, length)):
        if number and frames < musicnn.FRAMES // 2:
            return
        mel = compressed_mel(span, musicnn.RATE_HZ, musicnn.FFT, musicnn.HOP, musicnn.BANDS)[:frames]
        filled = np.tile(mel, (-(-musicnn.FRAMES // len(mel)), 1))[: musicnn.FRAMES]
        yield Segment(filled, mode_strengths(span, musicnn.RATE_HZ))


def recordings_of(source: Path, split: str) -> tuple[list[tuple[Song, Path, str]], Skipped]:
    """(song, file, checksum) of every recording."""
    kind = kind_of(source, split)
    if kind == "store":
        raise InputError(f"{source}: an f0 store, which has no sound; give the recordings that it was made of")
    if kind == "dataset":
        loaded = load_split(source, split)
        items = [(item, item.audio) for item in loaded.songs if item.audio is not None]
        titles = read_titles(source)
        if not items:
            raise InputError(f"{source}: {split} has no recordings of songs, only f0; the sound part needs recordings")
        found = []
        skipped = list(loaded.strays)
        for item, audio in items:
            music_id = item.music_id or item.stem
            try:
                found.append((Song(music_id, titles.get(music_id, ""), source=item.path), audio, file_sha256(audio)))
            except OSError as error:
                skipped.append((item.path, f"cannot be read ({error.strerror})"))
        return found, skipped
    files = music_files(source)
    distinct, skipped = distinct_files(files, source)
    written = [(path.relative_to(source).as_posix(), "written music has no sound") for path in files.melodies]
    return [(song_of(name, file), file, digest) for name, file, digest in distinct], skipped + written


def _known(folder: Path, encoder: SoundEncoder) -> dict[str, Entry]:
    """By checksum, what the part that is there has of the same encoder."""
    if not (folder / ABOUT).exists():
        return {}
    try:
        index = Index.load(folder, encoder.checksum)
    except InputError:
        return {}  # built anew
    return {song.checksum: index.entry(row) for row, song in enumerate(index.songs) if song.checksum}


def _read(files: Sequence[tuple[Path, str]], encoder: SoundEncoder) -> Iterator[tuple[str, Entry | InputError]]:
    """(checksum, what the recording sounds like) of each, several at a time."""
    import torch

    def one(row: Floats) -> Entry | InputError:
        file, digest = files[int(row[0])]
        try:
            found = heard(stream(file, musicnn.RATE_HZ), encoder)
        except InputError as error:
            return error
        start_s = (np.arange(len(found)) * musicnn.SEGMENT_S).astype(np.float32)
        places = WindowPlaces(start_s, np.full(len(found), musicnn.SEGMENT_S, np.float32), np.zeros_like(start_s))
        return Entry(Song(digest, checksum=digest), None, places, found)

    rows = [(np.array([row]), row) for row in range(len(files))]
    before = torch.get_num_threads()
    try:  # one torch thread in each of ours, so that their number changes no bit
        done = side_by_side(rows, one, cores(), lambda: torch.set_num_threads(1))
        for found, row in tqdm(done, total=len(files), desc="listening", unit="recording", delay=2.0, leave=False):
            yield files[row][1], found
    finally:
        torch.set_num_threads(before)


def _index(files: Sequence[tuple[Song, Path, str]], made: Mapping[str, Entry], encoder: SoundEncoder) -> Index:
    """Of what has been read so far, in the order of the files."""
    entries = []
    for song, _, digest in files:
        if digest in made:
            entry = made[digest]
            length_s = float(entry.windows.start_s[-1] + entry.windows.length_s[-1])
            named = replace(song, checksum=digest, length_s=length_s, tags=_best(entry, encoder))
            entries.append(replace(entry, song=named))
    return Index.build(entries, IndexInfo(encoder.checksum, NAME))


def _best(entry: Entry, encoder: SoundEncoder) -> tuple[str, ...]:
    """The likeliest tags of a recording, the likeliest first; of major and minor one always is, which tells little."""
    chances = _chances(entry.embeddings.vectors, encoder).mean(axis=0)
    likely = [tag for tag in np.argsort(-chances, kind="stable").tolist() if chances[tag] >= LEAST_CHANCE]
    return tuple([encoder.tags[tag] for tag in likely if encoder.tags[tag] not in MODES][:MOST_TAGS])
