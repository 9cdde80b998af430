"""HumTrans (Liu et al. 2023): ten singers hum short melodies, each beside the MIDI file of what was meant.

    train_valid_test_keys.json                {"TRAIN": [key, ...], "VALID": ..., "TEST": ...}
    wav_data_sync_with_midi/<key>.wav         44.1 kHz; a key is F01_0003_0001_1_D: singer, melody (two numbers), take
    midi_data/<key>.mid                       the melody, in time with the hum

The two folders are what its all_wav.zip and all_midi.zip unpack to, and may lie anywhere below FOLDER. Names as read by
public programs on the corpus (repository shansongliu/HumTrans). The melody of a song is that of its first key.
"""

from __future__ import annotations

from pathlib import Path

from humfind.data.importers.corpus import Corpus, Part, require
from humfind.data.notes import NoMelodyError, midi_rows, pitch_sequence_of
from humfind.runtime.files import read_json
from humfind.types import InputError

KEYS = "train_valid_test_keys.json"
PARTS = ("TRAIN", "VALID", "TEST")


def read(folder: Path, part: str = "TEST") -> Corpus:
    """The hums of one part of the corpus, and the melodies that they are of. Raises InputError."""
    require(folder, f"**/{KEYS}", "**/*.wav", "**/*.mid", corpus="HumTrans")
    list_file = next(iter(sorted(folder.glob(f"**/{KEYS}"))))
    try:
        keys = read_json(list_file)[part.upper()]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a key is no text")
    except (ValueError, KeyError, TypeError) as error:
        mend = f"copy it again, and choose one of {', '.join(PARTS)}"
        raise InputError(f"{list_file}: no list of keys under {part.upper()} ({error}); {mend}") from error
    audio = {file.stem: file for file in sorted(folder.glob("**/*.wav")) if file.is_file()}
    scores = {file.stem: file for file in sorted(folder.glob("**/*.mid"))}
    songs, hums, skipped = dict[str, Part](), [], []
    for key in sorted(set(keys)):
        fields = key.split("_")
        if len(fields) < 4:
            skipped.append((key, "not a key of singer, melody (two numbers) and take"))
            continue
        melody = "_".join(fields[1:3])
        if key not in audio:
            skipped.append((f"{key}.wav", "no such file"))
            continue
        if melody not in songs:
            try:
                songs[melody] = Part(melody, melody, hz=pitch_sequence_of(midi_rows(scores[key])))
            except (NoMelodyError, KeyError) as error:
                skipped.append((f"{key}.mid", f"{error}" if isinstance(error, NoMelodyError) else "no such file"))
        hums.append(Part(f"{key}.wav", melody, audio[key]))
    return Corpus(tuple(hums), tuple(songs[name] for name in sorted(songs)), tuple(skipped)).known(folder)
