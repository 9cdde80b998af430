"""The loudspeaker and the microphone, through whichever program of the system has them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from humfind.audio.load import load
from humfind.types import InputError

# program -> its arguments before the file, a wav
PLAYERS: dict[str, tuple[str, ...]] = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "mpv": ("--no-video", "--really-quiet"),
    "paplay": (),
    "pw-play": (),
    "aplay": ("-q",),
    "afplay": (),
    "play": ("-q",),  # SoX
}
# program -> its arguments before the file; it ends after {seconds}, or is ended then
RECORDERS: dict[str, tuple[str, ...]] = {
    "arecord": ("-q", "-f", "S16_LE", "-r", "44100", "-c", "1", "-d", "{seconds}"),
    "rec": ("-q", "-c", "1", "-r", "44100", "{file}", "trim", "0", "{seconds}"),  # SoX
    "parecord": ("--file-format=wav", "--rate=44100", "--channels=1"),
    "pw-record": ("--rate=44100", "--channels=1"),
}
GRACE_S = 3.0  # more than what was asked for, after which a recorder is ended


def play(path: Path, start_s: float, end_s: float) -> None:
    """Play a part of a recording, and wait for its end. Raises InputError where there is no player, and for a file
    that cannot be read."""
    import soundfile

    program = _first(PLAYERS, "to play", "--play")
    recording = load(path)
    part = recording.samples[int(start_s * recording.rate_hz) : int(end_s * recording.rate_hz)]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "part.wav"
        soundfile.write(wav, part, recording.rate_hz)
        done = subprocess.run([program, *PLAYERS[Path(program).name], str(wav)], capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{program}: does not play ({_last(done.stderr)}); see that a loudspeaker is there")


def recorder() -> str:
    """The path of a program that records. Raises InputError where there is none."""
    return _first(RECORDERS, "to record", "listen")


def record(wav: Path, seconds: float, program: str) -> None:
    """Record from the microphone by a ``recorder``. Raises InputError where it records nothing."""
    wanted = RECORDERS[Path(program).name]
    given = [part.format(seconds=f"{seconds:.0f}", file=wav) for part in wanted]
    command = [program, *given] if "{file}" in wanted else [program, *given, str(wav)]
    patience_s = seconds + (GRACE_S if "{seconds}" in wanted else 0.0)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        try:
            _, said = running.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            running.terminate()
            _, said = running.communicate()
    if not wav.is_file() or wav.stat().st_size == 0:
        raise InputError(f"{program}: records nothing ({_last(said)}); see that a microphone is there")


def _first(programs: dict[str, tuple[str, ...]], purpose: str, what: str) -> str:
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None:
        raise InputError(f"{what}: no program {purpose} sound is there; install one of {', '.join(programs)}")
    return found


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1][:120] if lines else "it does not say why"
