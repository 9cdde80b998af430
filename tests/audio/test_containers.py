"""What phones and browsers record: read by the ffmpeg libraries, in blocks, and nothing else than sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from mutagen.mp4 import MP4

from humfind.audio import load as loading
from humfind.audio.load import load, promised_s, stream
from humfind.data.tags import Tags, read_tags
from humfind.data.walk import files_below
from humfind.types import InputError

KINDS = {"m4a": ("aac", 44_100), "aac": ("aac", 44_100), "mp4": ("aac", 48_000), "webm": ("libopus", 48_000),
         "mka": ("libopus", 48_000)}  # fmt: skip
CONTAINERS = {"m4a": "ipod", "aac": "adts", "mka": "matroska"}


def put(path: Path, length_s: float = 3.0, channels: int = 1, tags: dict[str, str] | None = None) -> None:
    """A tone of 330 Hz."""
    codec, rate_hz = KINDS[path.suffix[1:]]
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    samples = np.tile(0.3 * np.sin(2 * np.pi * 330 * t), (channels, 1)).astype(np.float32)
    with av.open(str(path), "w", format=CONTAINERS.get(path.suffix[1:], path.suffix[1:])) as container:
        container.metadata.update(tags or {})
        out = container.add_stream(codec, rate=rate_hz)
        out.layout = layout = "mono" if channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        size = out.codec_context.frame_size or 960
        resampler = av.AudioResampler(
            format=out.codec_context.format.name, layout=layout, rate=rate_hz, frame_size=size
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(out.encode(part))
        container.mux(out.encode(None))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tone_comes_back(kind: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    put(path, channels=channels)
    recording = load(path)
    assert recording.length_s == pytest.approx(3.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(recording.samples))
    assert spectrum.argmax() * recording.rate_hz / len(recording.samples) == pytest.approx(330, abs=1)


def test_blocks_give_the_bytes_of_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.m4a")
    whole = load(tmp_path / "a.m4a").samples
    monkeypatch.setattr(loading, "BLOCK_SAMPLES", 1000)
    assert np.concatenate(list(stream(tmp_path / "a.m4a", 44_100))).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk" * 1000,
        b"#EXTM3U\n#EXTINF:3,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"\0\0\0 ftypM4A ",
    ],
)
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.m4a: (cannot be read as audio|no audio frames)"):
        load(tmp_path / "a.m4a")


def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    put(tmp_path / "a.aac")
    content = (tmp_path / "a.aac").read_bytes()
    (tmp_path / "a.aac").write_bytes(content[: len(content) // 2])
    assert 1.0 < load(tmp_path / "a.aac").length_s < 2.5


def test_titles_come_from_tags(tmp_path: Path) -> None:
    put(tmp_path / "a.m4a")
    tags = MP4(tmp_path / "a.m4a")
    tags["\xa9nam"], tags["\xa9ART"] = "Ma chanson", "Ba\u0300 Huye\u0302\u0323n"
    tags.save()
    assert read_tags(tmp_path / "a.m4a") == Tags("Ma chanson", "B\u00e0 Huy\u1ec7n"), "in normal form"
    put(tmp_path / "a.webm", tags={"title": "Ma chanson", "artist": "Somebody"})
    assert read_tags(tmp_path / "a.webm") == Tags("Ma chanson", "Somebody")
    soundfile.write(tmp_path / "b.wav", np.zeros(100), 8000)
    assert read_tags(tmp_path / "b.wav") == Tags()
    (tmp_path / "c.mp3").write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\xff" * 50)
    assert read_tags(tmp_path / "c.mp3") == Tags()
    (tmp_path / "d.mka").write_bytes(b"no container")
    assert read_tags(tmp_path / "d.mka") == Tags()


def test_notes_that_a_mac_leaves_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.m4a", "._a.m4a", ".hidden.wav"):
        (tmp_path / name).write_bytes(b"")
    files, skipped = files_below(tmp_path, {".m4a", ".wav"})
    assert ([file.name for file in files], skipped) == ([".hidden.wav", "a.m4a"], [])


def test_the_header_says_the_length(tmp_path):
    put(tmp_path / "a.m4a")
    soundfile.write(tmp_path / "b.flac", np.zeros(8000, np.float32), 16_000)
    (tmp_path / "c.mp3").write_bytes(b"no sound")
    assert promised_s(tmp_path / "a.m4a") == pytest.approx(3.0, abs=0.1)
    assert promised_s(tmp_path / "b.flac") == 0.5
    assert promised_s(tmp_path / "c.mp3") == 0.0


def test_the_tags_of_a_wav(tmp_path):
    from mutagen.id3 import TALB, TIT2, TPE1
    from mutagen.wave import WAVE

    soundfile.write(tmp_path / "a.wav", np.zeros(800, np.float32), 8000)
    tagged = WAVE(tmp_path / "a.wav")
    tagged.add_tags()
    for frame in (TIT2(text="A tune"), TPE1(text="Somebody"), TALB(text="Together")):
        tagged.tags.add(frame)
    tagged.save()
    assert read_tags(tmp_path / "a.wav") == Tags("A tune", "Somebody", "Together")
