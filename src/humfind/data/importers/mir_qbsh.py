"""Roger Jang's MIR-QBSH: 4,431 sung or hummed queries of 48 songs, each from the song's beginning.

    waveFile/<year>/<person>/<song>.wav    8 kHz, 8 bit, mono; year2003/person00001/00014.wav
    waveFile/<year>/<person>/<song>.pv     hand-labelled pitch, a line every 32 ms: semitones (MIDI), 0 silent
    midiFile/<song>.mid                    the melodies, 00001 to 00048

Counts and the beginning: MIREX, Query by Singing/Humming (music-ir.org/mirex/wiki/2010:Query_by_Singing/Humming). The
folders' names are those that public programs on the corpus read; the frame of the .pv files (256 samples at 8 kHz) is
what its author's page says and was not verified here against the files themselves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from humfind.data.importers.corpus import Corpus, Part, require
from humfind.data.notes import HOP_S, NoMelodyError, midi_rows, pitch_sequence_of
from humfind.runtime.files import LARGEST_TEXT, require_file
from humfind.types import Floats

PV_HOP_S = 256 / 8000


def read(folder: Path, labelled: bool = False) -> Corpus:
    """labelled: the hums' pitch from the .pv files, so that no tracker is needed. Raises InputError."""
    require(folder, "waveFile/*/*/*.wav", "midiFile/*.mid", corpus="MIR-QBSH")
    songs, hums, skipped = [], [], []
    for file in sorted(folder.glob("midiFile/*.mid")):
        try:
            songs.append(Part(file.stem, file.stem, hz=pitch_sequence_of(midi_rows(file))))
        except NoMelodyError as error:
            skipped.append((f"midiFile/{file.name}", str(error)))
    for file in sorted(folder.glob("waveFile/*/*/*.wav")):
        name = f"{file.parent.parent.name}_{file.parent.name}_{file.stem}.wav"
        try:
            hz = pitch_vector(file.with_suffix(".pv")) if labelled else None
        except (OSError, ValueError) as error:
            skipped.append((name, f"no labelled pitch ({str(error).splitlines()[0]})"))
            continue
        hums.append(Part(name, file.stem, None if labelled else file, hz))
    return Corpus(tuple(hums), tuple(songs), tuple(skipped)).known(folder)


def pitch_vector(file: Path) -> Floats:
    """A .pv file -> Hz every ``HOP_S``."""
    require_file(file, LARGEST_TEXT)
    semitones = np.atleast_1d(np.loadtxt(file, dtype=np.float64))
    if semitones.ndim != 1 or not np.isfinite(semitones).all() or semitones.max() > 128:
        raise ValueError(f"{file.name}: not a column of semitones")
    rows = (np.arange(round(len(semitones) * PV_HOP_S / HOP_S)) * HOP_S / PV_HOP_S).astype(np.int64)
    hz = np.where(semitones > 0, 440.0 * 2.0 ** ((semitones - 69.0) / 12.0), 0.0)
    return hz[np.minimum(rows, len(hz) - 1)].astype(np.float32)
