"""Audio files -> mono recordings, and from one sample rate to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from humfind.types import Floats, InputError, Recording

MEND = "delete it, convert it to wav, or get it again"
BLOCK_FRAMES = 1 << 20  # read at once, so that many channels never stand in memory together


def load(path: str | Path) -> Recording:
    """A sound file as one channel (the mean of its channels), at its own rate.

    Every format that libsndfile reads: wav, flac, mp3, ogg, opus ... Raises InputError when the file is
    missing, is not audio, holds no samples or holds NaN.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path or the meta file that names it")
    parts: list[Floats] = []
    try:
        with soundfile.SoundFile(path) as sound:
            rate_hz = int(sound.samplerate)
            while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                parts.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        reason = f"cannot be read as audio ({path.stat().st_size:,} bytes; {_first_line(error)})"
        raise InputError(f"{path}: {reason}; {MEND}") from error
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise InputError(f"{path}: no audio frames ({path.stat().st_size:,} bytes); delete it or re-download")
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise InputError(f"{path}: {bad:,} of {len(samples):,} samples are NaN or infinite; {MEND}")
    return Recording(np.ascontiguousarray(samples), rate_hz)


def resample(recording: Recording, rate_hz: int) -> Recording:
    """The recording at another rate, band-limited (soxr, high quality). The same object where nothing is to do."""
    if recording.rate_hz == rate_hz:
        return recording
    import soxr

    samples = soxr.resample(recording.samples, recording.rate_hz, rate_hz, quality="HQ")
    return Recording(np.ascontiguousarray(samples, dtype=np.float32), rate_hz)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
