"""POP909 (Wang et al. 2020): 909 pop songs as MIDI; the track MELODY is the sung line.

    POP909/001/001.mid    tracks MELODY, BRIDGE, PIANO

Names as the corpus's repository has them (music-x-lab/POP909-Dataset, MIT licence).
"""

from __future__ import annotations

from pathlib import Path

from humfind.data.importers.corpus import Corpus, Part, require
from humfind.data.notes import NoMelodyError, midi_rows, pitch_sequence_of


def read(folder: Path) -> Corpus:
    """The songs' melodies; no hums. FOLDER: POP909, or what it lies in. Raises InputError."""
    require(folder, "**/[0-9][0-9][0-9]/[0-9][0-9][0-9].mid", corpus="POP909")
    songs, skipped = [], []
    for file in sorted(folder.glob("**/[0-9][0-9][0-9]/[0-9][0-9][0-9].mid")):
        if file.stem != file.parent.name:
            skipped.append((file.relative_to(folder).as_posix(), "another version of a song"))
            continue
        try:
            songs.append(Part(file.stem, file.stem, hz=pitch_sequence_of(midi_rows(file, "MELODY"))))
        except NoMelodyError as error:
            skipped.append((file.relative_to(folder).as_posix(), str(error)))
    return Corpus((), tuple(songs), tuple(skipped))
