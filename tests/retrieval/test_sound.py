"""The sound part of an index: what it reads, what it keeps, and what a kill costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from librosa.feature import melspectrogram
from tiny_world import LONGEST_S, f0_of, melody, put_audio

from humfind.encoders.sound import SoundEncoder
from humfind.index import Index
from humfind.index.sound import load_sound, tags_of
from humfind.retrieval import sound
from humfind.types import Embeddings, InputError

# a process that ends without a word once one recording is saved
KILLED = """
import os, sys
from pathlib import Path
from humfind.index import Index
from humfind.retrieval import sound

sound.SAVE_S, save = 0.0, Index.save
Index.save = lambda self, folder: (save(self, folder), os._exit(9))
sound.write_sound(Path(sys.argv[1]), Path(sys.argv[2]), "public_test")
"""


@pytest.fixture
def music(tmp_path) -> Path:
    for i, name in enumerate(("a/x", "b/x", "c")):
        put_audio(tmp_path / f"music/{name}.wav", f0_of(melody(i)[:500]))
    return tmp_path / "music"


def write(music: Path, out: Path) -> tuple[Index, dict[str, str]]:
    made, skipped = sound.write_sound(music, out, "public_test")
    return made, dict(skipped)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "sound").iterdir() if path.is_file()}


def counted(monkeypatch) -> list[int]:
    """How many segments each recording that is read has."""
    seen: list[int] = []
    plain = sound.heard

    def count(blocks: Iterator, encoder: SoundEncoder) -> Embeddings:
        found = plain(blocks, encoder)
        seen.append(len(found))
        return found

    monkeypatch.setattr(sound, "heard", count)
    return seen


@pytest.mark.parametrize("length", [1000, 47_872, 60_000, 72_000, 200_000])
def test_segments_are_the_frames_of_the_whole_recording(length):
    """However the samples come in, and as many segments as the rule says."""
    samples = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    found = list(sound.segments(iter(np.array_split(samples, 7))))
    power = melspectrogram(y=samples, sr=16_000, n_fft=512, hop_length=256, n_mels=96, pad_mode="constant")
    whole = np.log10(1 + 10_000 * power).T
    left = len(whole) % 187
    assert len(found) == max(1, len(whole) // 187 + (left >= 187 // 2))
    for n, (segment, mode) in enumerate(found):
        assert mode.shape == (2,)
        assert segment.shape == (187, 96)
        expected = whole[n * 187 : (n + 1) * 187]
        assert np.allclose(segment[: len(expected)], expected, atol=1e-5)
        assert np.array_equal(segment, np.resize(segment[: len(expected)], (187, 96)))  # repeated where it was short


def test_only_what_is_new_is_read(music, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", counted(monkeypatch)
    made, skipped = write(music, out)
    assert (made.music_ids, skipped, len(seen)) == (("a/x", "b/x", "c"), {}, 3)
    first = files_of(out)
    write(music, out)
    assert (len(seen), files_of(out)) == (3, first)
    put_audio(music / "d.wav", f0_of(melody(7)[:500]))
    (music / "c.wav").rename(music / "moved.wav")
    (music / "a/x.wav").unlink()
    made, _ = write(music, out)
    assert (made.music_ids, len(seen)) == (("b/x", "d", "moved"), 4)
    assert made.vectors[:].shape == (len(made.vectors), 402)
    assert all(song.length_s == pytest.approx(5, abs=1.5) for song in made.songs)


def test_a_killed_run_goes_on_where_it_was(music, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    write(music, whole)
    done = subprocess.run([sys.executable, "-c", KILLED, str(music), str(out)], timeout=LONGEST_S, check=False)
    assert done.returncode == 9
    assert len(load_sound(out).songs) == 1
    seen = counted(monkeypatch)
    write(music, out)
    assert len(seen) == 2
    assert files_of(out) == files_of(whole)


def test_a_bad_file_costs_no_other(music, tmp_path):
    (music / "broken.wav").write_bytes(b"RIFF" + b"\0" * 50)
    soundfile.write(music / "silent.wav", np.zeros(80_000), 16_000)
    (music / "tune.abc").write_text("X:1\nK:C\nCDEF|\n")
    made, skipped = write(music, tmp_path / "out")
    assert made.music_ids == ("a/x", "b/x", "c", "silent")
    assert "written music" in skipped["tune.abc"]
    assert len(skipped) == 2
    assert any("broken.wav" in path and "audio" in reason for path, reason in skipped.items())


def test_a_long_recording_is_heard_piece_by_piece(monkeypatch):
    """The same as all at once."""
    samples = np.random.default_rng(2).normal(0, 0.1, 16_000 * 20).astype(np.float32)
    encoder = SoundEncoder()
    whole = encoder.embed(list(sound.segments(iter([samples])))).vectors
    monkeypatch.setattr(sound, "TOGETHER", 4)
    assert np.array_equal(sound.heard(iter(np.array_split(samples, 5)), encoder).vectors, whole)


def test_tags_stand_with_each_song(music, tmp_path):
    made, _ = write(music, tmp_path / "out")
    tags = tags_of(tmp_path / "out")
    assert tags == {song.music_id: song.tags for song in made.songs}
    known = set(SoundEncoder().tags)
    assert all(0 < len(one) <= 3 and set(one) <= known for one in tags.values())
    assert tags_of(tmp_path / "nowhere") == {}


def test_song_odds_are_of_the_mean_probability(music, tmp_path):
    made, _ = write(music, tmp_path / "out")
    encoder = SoundEncoder()
    odds = sound.song_odds(made, encoder)
    segments = 1 / (1 + np.exp(-encoder.log_odds(made.vectors[:])))
    for row, music_id in enumerate(made.music_ids):
        mine = segments[[made.songs[one].music_id == music_id for one in made.recording]].mean(axis=0)
        assert np.allclose(1 / (1 + np.exp(-odds[row])), mine, atol=1e-5)


def test_the_folder_of_something_else_is_left_alone(music, tmp_path):
    other = tmp_path / "other"
    (other / "sound").mkdir(parents=True)
    (other / "sound" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        write(music, other)
    with pytest.raises(InputError, match=r"humfind index FOLDER --parts sound"):
        load_sound(tmp_path / "music")


def test_a_sound_part_can_come_first(music, tmp_path):
    from humfind.index import index_folder

    write(music, tmp_path / "out")
    assert index_folder(tmp_path / "out") == tmp_path / "out"  # melodies may still be added
