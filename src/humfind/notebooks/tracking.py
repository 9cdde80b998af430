"""Notebook 01: every recording's f0, how long it took and what was left out."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind.audio import separate
from humfind.audio.load import load, resample
from humfind.config import F0Config
from humfind.data.zalo import Item
from humfind.f0 import make_tracker
from humfind.runtime.cores import cores
from humfind.types import F0, Floats, Recording

if TYPE_CHECKING:
    from humfind.notebooks.run import Run

QUICK_TRACKER = "swiftf0"  # what the run's tracker is compared with
SONGS_TRIED = 6  # for one that is sung
SEPARATED_S = 20.0
ACTIVATIONS_S = 10.0


def transform(run: Run) -> Any:
    """Every recording's f0 into the store; a table of what was done, a row a split and kind."""
    import pandas as pd

    rows = []
    for split, kind in run.groups:
        stems, started = {row.stem for row in run.cache.read(split, kind)}, time.perf_counter()
        f0s = run.tracked(split, kind)
        seconds = time.perf_counter() - started
        new_s = sum(f0.length_s for item, f0 in f0s if item.stem not in stems)
        row = {"split": split, "kind": kind, "recordings": len(f0s), "skipped": len(run.skipped[split, kind])}
        row |= {"reused": sum(item.stem in stems for item, _ in f0s), "audio_s": round(new_s, 1)}
        row |= {"seconds": round(seconds, 1), "x_real_time": round(new_s / seconds, 1) if new_s else None}
        rows.append(row)
    run.save("transform", {"rows": rows})
    return pd.DataFrame(rows)


def skipped(run: Run) -> Any:
    """Recordings without f0, and why, as a table."""
    import pandas as pd

    rows = [(*group, *skip) for group, skips in run.skipped.items() for skip in skips]
    return pd.DataFrame(rows, columns=["split", "kind", "path", "reason"])


def by_group(run: Run, measure: Callable[[F0], float]) -> dict[str, np.ndarray]:
    """A figure of each recording's f0, by "<split> <kind>s"."""
    return {
        f"{split} {kind}s": np.array([measure(f0) for _, f0 in run.tracked(split, kind)], dtype=np.float64)
        for split, kind in run.groups
    }


def activations(run: Run, item: Item, length_s: float = ACTIVATIONS_S) -> tuple[Floats, Floats, F0, str] | None:
    """The arguments of ``plots.transform.activations`` for the first seconds of a recording; None without audio."""
    from humfind.f0.decode import bin_midi
    from humfind.f0.torchcrepe import RATE_HZ, TorchCrepe

    if item.audio is None:
        return None
    whole = resample(load(item.audio), RATE_HZ)
    part = Recording(whole.samples[: round(length_s * RATE_HZ)], RATE_HZ)
    asked = run.tracker if run.tracker.tracker in ("torchcrepe", "crepe") else F0Config()
    tracker = TorchCrepe(replace(asked, tracker="torchcrepe"))
    probability = np.concatenate(list(tracker.probabilities([part.samples])))
    f0 = tracker(part)
    best = probability.max(axis=1)
    claim = f"CREPE rates {probability.shape[1]} pitches every {f0.hop_s * 1000:.0f} ms; "
    claim += f"the best is over {f0.threshold:g} in {np.mean(best >= f0.threshold):.0%} of {len(best)} frames"
    return probability, bin_midi(), f0, claim


def example_song(run: Run) -> Item:
    """A whole song: the first of the first test split, or of train where there is none."""
    return _whole_songs(run)[0]


def _whole_songs(run: Run) -> Sequence[Item]:
    return run.songs(next((name for name in run.splits if name != "train"), "train"))


def tracker_speeds(run: Run) -> dict[str, float]:
    """Seconds of audio a second of computing, on the first hums: this run's tracker and the quick one.

    Empty without audio.
    """
    pieces = [item for split in run.splits for item in run.splits[split].hums if item.audio is not None][:3]
    if not pieces:
        return {}
    sounds = [load(item.audio) for item in pieces if item.audio is not None]
    rates = {}
    for name in dict.fromkeys((run.tracker.tracker, QUICK_TRACKER)):
        tracker = make_tracker(replace(run.tracker, tracker=name))
        tracker(sounds[0])  # warm up
        started = time.perf_counter()
        for sound in sounds[1:] or sounds:
            tracker(sound)
        length_s = sum(sound.length_s for sound in sounds[1:] or sounds)
        rates[name if tracker.model in ("", name) else f"{name} {tracker.model}"] = length_s / (
            time.perf_counter() - started
        )
    return rates


def most_sung_song(run: Run, among: int = SONGS_TRIED) -> Item:
    """Of the first ``among`` songs to be searched the one whose separated voice holds most of the mix's energy; without
    audio the first."""
    songs = [item for item in _whole_songs(run) if item.audio is not None][:among]
    if not songs:
        return example_song(run)

    def share(item: Item) -> float:
        assert item.audio is not None
        mix, voice = _separated(run, item.audio, SEPARATED_S)
        return float(np.square(voice.samples).mean() / (np.square(mix.samples).mean() + 1e-9))

    return max(songs, key=share)


def _separated(run: Run, path: Path, length_s: float) -> tuple[Recording, Recording]:
    """The first seconds of a mix, and the voice in them."""
    whole = load(path)
    mix = Recording(whole.samples[: round(length_s * whole.rate_hz)], whole.rate_hz)
    loud = resample(mix, separate.RATE_HZ)
    separator = separate.VoiceSeparator(run.tracker.threads or cores())
    return mix, Recording(np.concatenate(list(separator.voice([loud.samples]))), separate.RATE_HZ)


def separation(run: Run, item: Item, length_s: float = SEPARATED_S) -> dict[str, tuple[Recording | None, F0]]:
    """The first seconds of a mix: by this run's tracker; the voice that is separated from it, with what is sung in it;
    and by the tracker of mixes, which takes the voice where there is one. Of a recording without audio, its f0."""
    if item.audio is None:
        return {"the mix": (None, run.f0(item))}
    mix, voice = _separated(run, item.audio, length_s)
    by_run, by_mix = (make_tracker(replace(run.tracker, tracker=name)) for name in (run.tracker.tracker, "mix"))
    return {
        f"the mix, by {run.tracker.tracker}": (mix, by_run(mix)),
        "its voice, separated": (voice, make_tracker(replace(run.tracker, tracker=QUICK_TRACKER))(voice)),
        "the mix, by mix": (mix, by_mix(mix)),
    }


def sound_player(sound: Recording) -> Any:
    """A recording to click on."""
    from IPython.display import Audio

    return Audio(sound.samples, rate=sound.rate_hz, normalize=False)


def player(item: Item) -> Any:
    """Something to click on in a notebook."""
    from IPython.display import HTML, Audio

    if item.audio is None:
        return HTML(f"<em>{html.escape(item.path)}: there is only f0, no audio</em>")
    return Audio(filename=str(item.audio), embed=True)
