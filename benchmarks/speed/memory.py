"""How much memory each tracker needs for a long recording.

    python -m benchmarks.speed.memory [--minutes 60] [--trackers NAME ...] [--out docs/reliability/memory.md]

A recording of 44.1 kHz stereo on disk, tracked from there by a process of its own: that process's peak, the
interpreter and all libraries counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 44_100
TRACKERS = ("torchcrepe", "torchcrepe:viterbi", "swiftf0", "mix", "pyin", "crepe")
MEASURE = """
import sys
from benchmarks.speed.side_by_side import peak_gb
from humfind.config import F0Config
from humfind.f0 import make_tracker, track_file
tracker = make_tracker(F0Config(tracker=sys.argv[1], decoder=sys.argv[2], threads=2))
print(len(track_file(tracker, sys.argv[3]).hz))
print(peak_gb())
"""


def write_recording(path: Path, minutes: int) -> None:
    """A voice that wanders over two octaves, with a pause each other second."""
    t = np.arange(60 * RATE_HZ) / RATE_HZ
    with soundfile.SoundFile(path, "w", RATE_HZ, 2) as file:
        for minute in range(minutes):
            hz = 220 * 2 ** (np.sin(2 * np.pi * t * (minute % 3 + 1) / 60))
            phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
            voice = sum(np.sin(k * phase) / k for k in range(1, 6)) * (np.sin(np.pi * t) > 0) * 0.2
            file.write(np.stack([voice, 0.5 * voice], axis=1).astype(np.float32))


def measured(tracker: str, path: Path) -> tuple[int, float]:
    """Frames found, and the peak in GB."""
    name, _, decoder = tracker.partition(":")
    given = [name, decoder or "weighted", str(path)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *given], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{tracker}: {done.stderr.strip().splitlines()[-1]}")
    frames, gigabytes = done.stdout.split()[-2:]
    return int(frames), float(gigabytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--trackers", nargs="*", default=list(TRACKERS), choices=TRACKERS)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    lines = [
        "# Memory of a long recording",
        "",
        f"    python -m benchmarks.speed.memory --minutes {asked.minutes} --trackers {' '.join(asked.trackers)}",
        "",
        f"{asked.minutes} minutes of 44.1 kHz stereo, tracked from disk by a process of its own; its peak, with the",
        "interpreter and the libraries. Recordings of more than three hours are refused; what is kept of each",
        "frame is two numbers.",
        "",
        "| tracker | frames | peak, GB |",
        "|---|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        write_recording(path, asked.minutes)
        for tracker in asked.trackers:
            clock = time.perf_counter()
            frames, gigabytes = measured(tracker, path)
            print(f"{tracker}: {frames} frames, {gigabytes:.2f} GB, {time.perf_counter() - clock:.0f} s", flush=True)
            lines.append(f"| {tracker.replace(':', ', ')} | {frames} | {gigabytes:.2f} |")
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
