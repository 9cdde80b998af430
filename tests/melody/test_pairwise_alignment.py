"""A hum made from a song by known shifts is found where it was taken."""

import numpy as np
import pytest

from humfind.melody.contour import at_tempo
from humfind.melody.pairwise_alignment import align
from humfind.types import Contour


def melody(seed: int, notes: int, frame_s: float = 0.04) -> Contour:
    rng = np.random.default_rng(seed)
    pitch = 60 + np.cumsum(rng.integers(-4, 5, notes))
    line = np.repeat(pitch, rng.integers(5, 15, notes)).astype(np.float32)
    return Contour(line, np.ones(len(line), bool), frame_s)


def test_a_transposed_slower_piece_is_found_where_it_was_cut() -> None:
    song = melody(0, 60)
    piece = Contour(song.semitones[200:400] - 7, song.voiced[200:400], song.frame_s)
    hum = at_tempo(piece, 1 / 1.25)  # takes 1.25 times as long
    found = align(hum, song)
    assert found.match.start_s == pytest.approx(200 * 0.04, abs=0.25)
    assert found.match.semitones == pytest.approx(7, abs=0.1)
    assert found.match.tempo_ratio == pytest.approx(1.25, rel=0.06)
    assert found.error_semitones < 0.6


def test_another_melody_fits_worse() -> None:
    song, other = melody(0, 60), melody(1, 60)
    hum = Contour(song.semitones[200:400], song.voiced[200:400], song.frame_s)
    assert align(hum, song).error_semitones < 0.5 * align(hum, other).error_semitones


def test_a_hum_longer_than_its_song_still_aligns() -> None:
    song = melody(0, 20)
    hum = Contour(np.pad(song.semitones, (20, 20), mode="edge"), np.pad(song.voiced, 20), song.frame_s)
    found = align(hum, song)
    assert found.match.start_s == pytest.approx(-20 * 0.04, abs=0.25)
    assert found.error_semitones < 0.5


def test_frames_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.04 s and 0\.02 s"):
        align(melody(0, 5), melody(0, 5, frame_s=0.02))
