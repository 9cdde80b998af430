"""Melodies, songs and hums: known notes in, measured pitch and time out."""

import time
from dataclasses import replace

import numpy as np
import pytest

from humfind.config import F0Config, HummerConfig, SongConfig
from humfind.f0 import make_tracker
from humfind.synth import hum, likeness, song, voice
from humfind.synth.melody import Melody, Notes, from_lengths, sung_tempo, timed
from humfind.types import Recording

SCALE = from_lengths(np.array([60, 62, 64, 65, 67, 69, 71, 72]), np.ones(8))
# A person without faults: every deviation at zero.
ACCURATE = HummerConfig(
    tempo_ratio=(1.0, 1.0), tempo_drift=0, timing=(0, 0), wrong=(0, 0), merged=(0, 0), skipped=(0, 0),
    intonation_cents=(0, 0), drift_cents_per_s=0, interval_scale=0, glide_s=(0.02, 0.02), scoop_cents=0,
    vibrato_cents=(0, 0), jitter_cents=0, breath_every_s=(600, 601), da_share=0, snr_db=(60, 60),
)  # fmt: skip


def tune(seed: int, length: int = 60) -> Melody:
    rng = np.random.default_rng(seed)
    scale = np.array([57, 59, 60, 62, 64, 65, 67, 69, 71, 72])
    return from_lengths(rng.choice(scale, length), rng.choice([0.5, 0.5, 1.0], length))


def semitones(hz: np.ndarray) -> np.ndarray:
    return 69 + 12 * np.log2(hz / 440)


def test_rests_leave_gaps_and_notes_keep_their_places() -> None:
    melody = from_lengths([60, 0, 62], [1, 0.5, 2])
    assert melody.start_q.tolist() == [0, 1.5]
    assert timed(melody, 120).end_s.tolist() == [0.5, 1.75]


def test_an_interlude_is_not_waited_for() -> None:
    notes = timed(from_lengths([60, 62, 0, 64], [1, 1, 6, 1]), 60)
    hurried = notes.without_waits(0.5)
    assert hurried.start_s.tolist() == [0, 1, 2.5]
    assert hurried.end_s.tolist() == [1, 2, 3.5]


def test_transposing_moves_the_key_signature() -> None:
    assert SCALE.tonic == 0
    assert SCALE.transposed(2).fifths == 2  # C major up a tone is D major: two sharps
    assert SCALE.transposed(2).tonic == 2
    assert SCALE.transposed(-1).fifths == 5  # B major


def test_fast_tunes_are_slowed_to_what_people_sing() -> None:
    fast = replace(SCALE, tempo=600.0)  # 10 notes a second
    assert sung_tempo(fast, (1.7, 3.2)) == pytest.approx(60 * 3.2)
    assert sung_tempo(replace(SCALE, tempo=120.0), (1.7, 3.2)) == 120


def test_the_chords_of_plain_triads_are_found() -> None:
    bars = from_lengths([60, 64, 67, 64, 65, 69, 72, 69, 67, 71, 74, 71], np.ones(12))
    assert song.harmonise(bars) == [(0, "major"), (5, "major"), (7, "major")]


def test_a_song_lasts_as_asked_and_repeats_its_tune() -> None:
    config = SongConfig(intro_bars=(0, 0))
    arranged = song.arrange(SCALE, np.random.default_rng(1), config, 15.0)
    assert arranged.lead.midi[0] == arranged.lead.midi[8]
    sound = song.render(arranged, np.random.default_rng(2), config)
    assert len(sound) == 15 * config.rate_hz
    assert 0.5 < np.abs(sound).max() <= 1.0
    again = song.render(arranged, np.random.default_rng(2), config)
    np.testing.assert_array_equal(sound, again)


def test_an_excerpt_is_counted_from_its_own_start() -> None:
    arranged = song.arrange(SCALE, np.random.default_rng(1), SongConfig(intro_bars=(0, 0)), 20.0)
    piece = arranged.between(5.0, 15.0)
    inside = arranged.lead.start_s[(arranged.lead.start_s >= 5) & (arranged.lead.start_s < 15)]
    np.testing.assert_allclose(piece.lead.start_s, inside - 5, atol=1e-5)
    assert all(0 <= t.start_s < t.end_s <= 10.0 for t in piece.instruments + piece.backing)


def test_a_lead_is_played_note_by_note_or_sung_from_its_first_note_on() -> None:
    played = song.arrange(tune(3), np.random.default_rng(1), SongConfig(sung_share=0.0), 30.0)
    assert not played.sung
    assert [note.start_s for note in played.instruments] == pytest.approx(played.lead.start_s.tolist())
    moved = np.array([note.pitch for note in played.instruments]) - played.lead.midi
    assert set(moved.tolist()) <= {0.0, 12.0}
    config = SongConfig(sung_share=1.0, intro_bars=(2, 2), accompaniment_db=(-60.0, -60.0), reverb=(0.0, 0.0))
    sung = song.arrange(tune(3), np.random.default_rng(1), config, 30.0)
    assert sung.sung
    assert sung.instruments == ()
    sound = song.render(sung, np.random.default_rng(2), config)
    first = round(float(sung.lead.start_s[0]) * config.rate_hz)
    assert first > config.rate_hz
    before, after = (
        np.sqrt(np.mean(part**2)) for part in (sound[: first - 800], sound[first : first + config.rate_hz])
    )
    assert after > 20 * before
    found = make_tracker(F0Config(tracker="swiftf0", threads=1))(Recording(sound, config.rate_hz))
    middle = (sung.lead.start_s + sung.lead.end_s) / 2
    at = np.minimum((middle / found.hop_s).astype(int), len(found.hz) - 1)
    heard = found.voiced[at]
    assert heard.mean() > 0.8
    assert np.median(np.abs(semitones(found.hz[at][heard]) - sung.lead.midi[heard])) < 0.7, "in the song's key"


def test_an_accurate_hum_is_the_melody_in_another_key() -> None:
    notes = timed(SCALE, 60.0)
    sung = hum.perform(notes, np.random.default_rng(0), ACCURATE)
    middles = sung.hz[(np.arange(8) * 100 + 50)]
    np.testing.assert_allclose(semitones(middles) - SCALE.midi, sung.key, atol=0.01)
    assert len(sung.hz) == 800
    assert ACCURATE.centre_midi[0] <= np.median(semitones(middles)) <= ACCURATE.centre_midi[1]


def test_tempo_ratio_is_hum_seconds_a_song_second() -> None:
    slow = hum.perform(timed(SCALE, 60), np.random.default_rng(0), replace(ACCURATE, tempo_ratio=(1.4, 1.4)))
    assert slow.length_s == pytest.approx(8 * 1.4, abs=0.02)


def test_faults_come_as_often_as_asked() -> None:
    many = timed(tune(0, 400), 120)
    skipping = replace(ACCURATE, skipped=(0.25, 0.25))
    merging = replace(ACCURATE, merged=(0.25, 0.25))
    wrong = replace(ACCURATE, wrong=(0.25, 0.25))
    for config in (skipping, merging):
        kept = len(hum.perform(many, np.random.default_rng(3), config).notes)
        assert 270 <= kept <= 330
    sung = hum.perform(many, np.random.default_rng(3), wrong)
    off = np.abs(sung.notes.midi - sung.key - many.midi) > 0.5
    assert 0.18 < off.mean() < 0.32


def test_a_skipped_note_leaves_silence_and_a_merged_one_does_not() -> None:
    notes = timed(tune(1, 100), 60)
    skipped = hum.perform(notes, np.random.default_rng(3), replace(ACCURATE, skipped=(0.2, 0.2)))
    merged = hum.perform(notes, np.random.default_rng(3), replace(ACCURATE, merged=(0.2, 0.2)))
    assert (merged.hz > 0).all()
    assert 0.1 < (skipped.hz == 0).mean() < 0.3


def test_breath_and_consonants_interrupt_the_voice() -> None:
    notes = timed(SCALE, 60)
    breathing = hum.perform(
        notes, np.random.default_rng(0), replace(ACCURATE, breath_every_s=(1, 1), breath_s=(0.3, 0.3))
    )
    assert 0.1 < (breathing.hz == 0).mean() < 0.4
    da = hum.perform(notes, np.random.default_rng(0), replace(ACCURATE, da_share=1, da_gap_s=(0.05, 0.05)))
    borders = np.diff(np.concatenate([[0], da.hz > 0])) > 0
    assert borders.sum() == 8  # one start of voice a note


def test_the_same_seed_hums_the_same_and_another_does_not() -> None:
    notes, config = timed(tune(2), 120), HummerConfig()
    first, same, other = (hum.perform(notes, np.random.default_rng(seed), config) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.hz, same.hz)
    assert len(first.hz) != len(other.hz) or (first.hz != other.hz).any()


def test_performing_is_quick_enough_for_training() -> None:
    notes, config, rng = timed(tune(2, 30), 120), HummerConfig(), np.random.default_rng(0)
    hum.perform(notes, rng, config)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        hum.perform(notes, rng, config)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.005


def test_nothing_to_sing_is_an_error() -> None:
    empty = np.zeros(0, np.float32)
    nothing = Notes(empty, empty, empty)
    with pytest.raises(ValueError, match="no notes"):
        hum.perform(nothing, np.random.default_rng(0), HummerConfig())


@pytest.mark.parametrize("da", [0.0, 1.0])
def test_the_voice_sounds_at_the_pitch_that_was_performed(da: float) -> None:
    config = replace(ACCURATE, da_share=da, snr_db=(30, 30))
    sung = hum.perform(timed(SCALE, 60), np.random.default_rng(4), config)
    sound = voice.render(sung, np.random.default_rng(5), config)
    assert len(sound) == len(sung.hz) * 160
    cents = []
    for frame in np.arange(8) * 100 + 50:
        piece = sound[frame * 160 - 1024 : frame * 160 + 1024] * np.hanning(2048)
        spectrum = np.abs(np.fft.rfft(piece, 1 << 16))
        tried = sung.hz[frame] * 2 ** (np.arange(-300, 301, 2) / 1200)
        partials = np.outer(tried, np.arange(1, 9)) * (1 << 16) / 16000
        cents.append(2 * int(np.argmax(spectrum[np.round(partials).astype(int)].sum(axis=1))) - 300)
    assert np.abs(cents).max() < 15


def test_a_transposed_copy_with_two_changed_notes_is_the_same_tune() -> None:
    printed = tune(7)
    other = printed.midi.copy()
    other[[20, 41]] += 2
    reprint = replace(printed, midi=(other + 5).astype(np.float32))
    halved = replace(reprint, start_q=reprint.start_q / 2, length_q=reprint.length_q / 2)
    assert likeness.likeness(printed, reprint) == pytest.approx((60 - 4) / 60, abs=0.02)
    assert likeness.same([printed, tune(8), reprint, halved, tune(9)]).tolist() == [0, 1, 0, 0, 4]


def test_different_tunes_are_not_alike() -> None:
    found = [likeness.likeness(tune(a), tune(a + 100)) for a in range(10)]
    assert max(found) < likeness.SAME
    assert likeness.candidates([tune(1), tune(2)]) == []
