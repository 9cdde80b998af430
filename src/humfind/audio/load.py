"""Audio files -> mono recordings, and from one sample rate to another."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind.audio.containers import Container
from humfind.config import CONTAINER_SUFFIXES
from humfind.types import Floats, InputError, Recording

if TYPE_CHECKING:
    from soundfile import SoundFile

QUALITY = "HQ"  # of soxr
MEND = "delete it, convert it to wav, or get it again"
BLOCK_SAMPLES = 1 << 20  # read at once, so that many channels never stand in memory together
RATES_HZ = (2_000, 768_000)  # outside, the header is wrong
LONGEST_S = 3 * 3600.0
UNKNOWN = 2**60  # frames: what libsndfile says of a file whose header does not know (a stream's FLAC)
MOST_SAMPLES = round(LONGEST_S * 48_000)  # that ``load`` holds at once, 2 GB
TOO_LONG = "at most 3 hours can be read; cut it into songs"
LOUDEST = 2.0**31  # the largest sample of a float file that holds whole numbers
CANCELLED = 0.01  # of the channels' power; less is left in the mix where they are each other's opposite
STDERR = 2
OPENING = re.compile(r"^Error opening (\d+|'.*'): ")  # of soundfile's messages
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """What a first reading finds of a sound file. channel: the one to use; None: the mean of all."""

    rate_hz: int
    frames: int
    channel: int | None
    peak: float


def load(path: str | Path) -> Recording:
    """A sound file as one channel (the mean of its channels), at its own rate.

    Every format that libsndfile reads (wav, flac, mp3, ogg, opus ...), and m4a, aac, webm, mp4, wma and others by the
    ffmpeg libraries. Where the channels cancel in the mean, the loudest of them. A file that is cut short is used as
    far as it goes, with a warning; samples far outside [-1, 1] are scaled into it. Raises InputError when the file is
    missing, is not audio, holds no samples, NaN, more than three hours or more samples than can be held.
    """
    path = Path(path)
    survey = _survey(path)
    if survey.frames > MOST_SAMPLES:
        hours = survey.frames / survey.rate_hz / 3600
        raise InputError(
            f"{path}: {hours:.1f} hours at {survey.rate_hz:,} Hz are too much at once; resample it to 48 kHz"
        )
    samples, filled = np.empty(survey.frames, np.float32), 0
    for block in _mono(path, survey):
        samples[filled : filled + len(block)] = block
        filled += len(block)
    return Recording(samples[:filled], survey.rate_hz)


def stream(path: str | Path, rate_hz: int) -> Iterator[Floats]:
    """``resample(load(path), rate_hz)`` to the bit, block after block, for what should not lie in memory.

    The file is read twice, first to find out what ``load`` says of it. Raises InputError as ``load`` does.
    """
    path = Path(path)
    survey = _survey(path)
    if survey.rate_hz == rate_hz:
        yield from _mono(path, survey)
        return
    import soxr

    resampler = soxr.ResampleStream(survey.rate_hz, rate_hz, 1, dtype="float32", quality=QUALITY)
    for block in _mono(path, survey):
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def require_readable(path: Path) -> None:
    """Raises InputError where a file's first samples cannot be read: quick, whatever its length."""
    import soundfile

    if not path.is_file():
        _survey(path)  # says why
    try:
        with _forward(path) as sound:
            next(_read(sound), None)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error


def require_shorter(path: Path, most_s: float) -> None:
    """Raises InputError where more than ``most_s`` seconds are in a file, whatever its header says; no more is read."""
    import soundfile

    frames = 0
    try:
        with _forward(path) as sound:
            for block in _read(sound):
                frames += len(block)
                if frames > most_s * sound.samplerate:
                    raise InputError(f"{path}: longer than {most_s:.0f} s; give a shorter recording")
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error


def promised_s(path: Path) -> float:
    """The length that a file's header says, in seconds; 0 where it says none, or is none that can be read."""
    import soundfile

    try:
        with _forward(path) as sound:
            if isinstance(sound, Container):
                return sound.promised_s
            return sound.frames / sound.samplerate if sound.frames < UNKNOWN else 0.0
    except (soundfile.LibsndfileError, RuntimeError, OSError, InputError):
        return 0.0


def _survey(path: Path) -> Survey:
    """Raises InputError as ``load`` says."""
    import soundfile

    if not path.is_file():
        if path.exists():
            raise InputError(f"{path}: is no regular file; give a recording")
        raise InputError(f"{path}: no such file; check the path or the meta file that names it")
    frames = bad = 0
    mixed, mixed_peak = 0.0, 0.0
    try:
        with _forward(path) as sound:
            rate_hz, promised, header = int(sound.samplerate), int(sound.frames), str(sound.extra_info)
            if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
                raise InputError(f"{path}: its header says {rate_hz:,} Hz, outside {RATES_HZ}; {MEND}")
            promised = 0 if promised >= UNKNOWN else promised
            if promised > LONGEST_S * rate_hz:
                raise InputError(f"{path}: {promised / rate_hz / 3600:.1f} hours long; {TOO_LONG}")
            square, peaks = np.zeros(sound.channels), np.zeros(sound.channels)
            for block in _read(sound):
                frames += len(block)
                if frames > LONGEST_S * rate_hz:
                    raise InputError(f"{path}: longer than its header says; {TOO_LONG}")
                mono = _mean(block)
                bad += int(np.count_nonzero(~np.isfinite(mono)))
                mixed += float(np.einsum("n,n->", mono, mono, dtype=np.float64))
                mixed_peak = max(mixed_peak, float(np.abs(mono).max()))
                if sound.channels > 1:
                    square += np.einsum("nc,nc->c", block, block, dtype=np.float64)
                    peaks = np.maximum(peaks, np.abs(block).max(axis=0))
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    if not frames:
        raise InputError(f"{path}: no audio frames ({path.stat().st_size:,} bytes); delete it or re-download")
    if bad:
        raise InputError(f"{path}: {bad:,} of {frames:,} samples are NaN or infinite; {MEND}")
    channel = int(square.argmax()) if len(square) > 1 and mixed < CANCELLED * square.mean() else None
    peak = mixed_peak if channel is None else float(peaks[channel])
    if peak > LOUDEST:
        raise InputError(f"{path}: samples of up to {peak:.0e}, which no sound has; {MEND}")
    if frames < 0.98 * promised or _cut(header):
        log.warning("%s: cut short; the %.1f s that are there are used", path, frames / rate_hz)
    return Survey(rate_hz, frames, channel, peak)


def _mono(path: Path, survey: Survey) -> Iterator[Floats]:
    """The samples of the one channel, block after block; no more than the survey counted."""
    import soundfile

    left = survey.frames
    try:
        with _forward(path) as sound:
            for block in _read(sound):
                mono = _mean(block) if survey.channel is None else block[:, survey.channel]
                mono = mono[:left]
                left -= len(mono)
                yield np.ascontiguousarray(mono / np.float32(survey.peak) if survey.peak > 8 else mono)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error


def _forward(path: Path) -> SoundFile | Container:
    """A sound file that is only read onwards: by libsndfile, or by the ffmpeg libraries what that one does not know.

    soundfile seeks after each block to where it already is, and an mp3 decoder that is sent anywhere forgets
    the bits that the next frame borrows: it says so on stderr and may get that frame wrong. libsndfile gets an open
    file: of a path it would also read what a Mac has left beside it, and refuse the recording for that. (Not a Python
    file: an interrupt within its callbacks would be lost.)
    """
    import soundfile

    with path.open("rb") as file:
        if _is_text(file.read(512)):
            raise InputError(f"{path}: cannot be read as audio, it is text; give a recording")

    class Forward(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

        def read(self, *given: Any, **named: Any) -> Any:
            with decoder_silenced:
                return super().read(*given, **named)

    try:
        with decoder_silenced:
            return Forward(str(path) if os.name == "nt" else os.open(path, os.O_RDONLY))
    except soundfile.LibsndfileError:
        if path.suffix.lower() not in CONTAINER_SUFFIXES:
            raise
        return Container(path)


class _Silence:
    """What the mp3 decoder writes on the process's stderr about a damaged file is not written while any thread is
    within: that it is damaged is said by ``load``, and a progress bar stays whole."""

    def __init__(self) -> None:
        self.lock, self.within, self.kept = threading.Lock(), 0, -1

    def __enter__(self) -> None:
        with self.lock:
            self.within += 1
            if self.within > 1:
                return
            try:
                self.kept = os.dup(STDERR)
            except OSError:  # there is none
                self.kept = -1
                return
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, STDERR)
            os.close(nowhere)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.within -= 1
            if not self.within and self.kept >= 0:
                os.dup2(self.kept, STDERR)
                os.close(self.kept)


decoder_silenced = _Silence()


def _is_text(head: bytes) -> bool:
    """Whether a file begins as text does: in UTF-8 (its last letter may be cut), or in UTF-16, whose byte order mark
    looks like the start of an mp3 frame, so that the decoder would take it for one."""
    letters = head[2:64:2]
    if head.startswith(b"\xff\xfe") and letters.isascii() and any(letters) and not any(head[3:64:2]):
        return True
    for cut in range(min(4, len(head))):
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return all(letter.isprintable() or letter.isspace() for letter in text)
    return False


def _read(sound: SoundFile | Container) -> Iterator[Floats]:
    """Blocks of (frames, channels)."""
    while len(block := sound.read(max(1, BLOCK_SAMPLES // sound.channels), dtype="float32", always_2d=True)):
        yield block


def _mean(block: Floats) -> Floats:
    """(frames, channels) -> (frames,); NaN or infinity where a sum is too large, which the survey reports."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean: Floats = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    return mean


def _unreadable(path: Path, error: Exception) -> InputError:
    why = OPENING.sub("", _first_line(error))
    reason = f"cannot be read as audio ({path.stat().st_size:,} bytes; {why})"
    return InputError(f"{path}: {reason}; {MEND}")


def _cut(header: str) -> bool:
    """Whether libsndfile found less data than a RIFF header promises; not so where it was written to a pipe."""
    found = re.search(r"^data\s*: (\d+) \(should be (\d+)\)", header, re.MULTILINE)
    return found is not None and int(found[2]) + 1 < int(found[1]) < 0x7FFFFFFF


def resample(recording: Recording, rate_hz: int) -> Recording:
    """The recording at another rate, band-limited (soxr, high quality). The same object where nothing is to do."""
    if recording.rate_hz == rate_hz:
        return recording
    import soxr

    samples = soxr.resample(recording.samples, recording.rate_hz, rate_hz, quality=QUALITY)
    return Recording(np.ascontiguousarray(samples, dtype=np.float32), rate_hz)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
