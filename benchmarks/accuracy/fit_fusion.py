"""The weights of ranker ``fusion``, fitted on simulated hums, and how well its probabilities are meant.

    python -m benchmarks.accuracy.fit_fusion [--data FOLDER] [--model pretrained] [--hums 240] [--out calibration.png]

Songs: POP909's even numbers, which the shipped encoder never saw, half of them damaged as a melody tracker on a mix
would, and folk songs. Hums: simulated. Every hum is asked twice: of all songs, and of all but its own, where "none of
them" is right. The weights maximise the likelihood on one half of the hums; the figures are of the other half.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.accuracy import suites
from humfind.config import FusionConfig, HummerConfig
from humfind.index import Song
from humfind.rankers.dtw.ranker import Dtw
from humfind.rankers.sequence import WindowSequence
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth.hum import HOP_S, perform
from humfind.synth.mix import heard_in_mix

FOLK = 600
LENGTH_S = (4.0, 20.0)
HUMMER = HummerConfig(wrong=(0.0, 0.25), merged=(0.0, 0.15), intonation_cents=(8.0, 90.0), interval_scale=0.05)


def cases(data: Path, model: Any, hums: int) -> tuple[np.ndarray, np.ndarray]:
    """log E-values (hums, 2 rankers, songs), and the row of each hum's right song."""
    rng = np.random.default_rng(0)
    even = [(name, f0) for name, f0 in suites.pop909(data) if int(name[3:]) % 2 == 0]
    tunes = [*even, *suites.folk(FOLK)]
    songs = [
        (name, suites.f0_of(heard_in_mix(f0.hz, HOP_S, rng)) if row % 2 else f0) for row, (name, f0) in enumerate(tunes)
    ]
    index = search.build_index([(Song(name), f0) for name, f0 in songs], model)
    dtw, sequence = Dtw(index), WindowSequence(index)
    values, right = [], []
    while len(values) < hums:
        name, f0 = tunes[int(rng.integers(len(tunes)))]
        part = suites.phrase(suites.notes_of(f0), float(rng.uniform(*LENGTH_S)), rng)
        if part is None:
            continue
        query = search.make_query(name, suites.f0_of(perform(part, rng, HUMMER).hz), model)
        by_song = np.full((2, len(index.music_ids)), np.inf)
        for row, log_e in enumerate((dtw.evidence(query).log_e, sequence.evidence(query)[0])):
            np.minimum.at(by_song[row], index.recording_song, log_e)
        values.append(by_song)
        right.append(index.music_ids.index(name))
    return np.minimum(np.array(values), 20.0), np.array(right)


def shares(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(hums, songs + 1): the probability of each song, and of none."""
    utility = -(weights[0] * values[:, 0] + weights[1] * values[:, 1])
    utility = np.concatenate([utility, np.full((len(values), 1), -weights[2])], axis=1)
    share = np.exp(utility - utility.max(axis=1, keepdims=True))
    result: np.ndarray = share / share.sum(axis=1, keepdims=True)
    return result


def taken_away(values: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same searches without the right song."""
    without = values.copy()
    without[np.arange(len(values)), :, right] = np.inf
    return without


def fit(values: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(dtw, sequence, none) of the greatest likelihood; the first two are not negative."""
    without = np.minimum(taken_away(values, right), 1e3)

    def loss(weights: np.ndarray) -> float:
        row = np.arange(len(values))
        there = np.log(shares(values, weights)[row, right] + 1e-12)
        gone = np.log(shares(without, weights)[:, -1] + 1e-12)
        return -float(there.mean() + gone.mean())

    starts = [np.array([a, b, -3.0]) for a in (0.3, 1.0) for b in (0.1, 0.5)]
    bounds = [(0.0, 5.0), (0.0, 5.0), (-50.0, 5.0)]
    found = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best: np.ndarray = min(found, key=lambda one: float(one.fun)).x
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--model", default="pretrained")
    parser.add_argument("--hums", type=int, default=240)
    parser.add_argument("--out", type=Path, default=None, help="a picture of the probabilities, PNG")
    asked = parser.parse_args()
    model, _ = load_model(asked.model)
    values, right = cases(suites.folder(asked.data), model, asked.hums)
    even = np.arange(len(values)) % 2 == 0
    weights = fit(values[even], right[even])
    print("fitted: dtw {:.3f}, sequence {:.3f}, none {:.3f}".format(*weights))
    shipped = FusionConfig()
    print(f"shipped: dtw {shipped.dtw:.3f}, sequence {shipped.sequence:.3f}, none {shipped.none:.3f}")
    test, answer = values[~even], right[~even]
    for name, used in (
        ("shipped", np.array([shipped.dtw, shipped.sequence, shipped.none])),
        ("dtw alone", np.array([weights[0], 0.0, weights[2]])),
        ("fitted", weights),
    ):
        there, gone = shares(test, used), shares(np.minimum(taken_away(test, answer), 1e3), used)
        first, top = there[:, :-1].argmax(axis=1), there[:, :-1].max(axis=1)
        rank = 1 + (there[:, :-1] > there[np.arange(len(test)), answer][:, None]).sum(axis=1)
        mrr = np.where(rank <= 10, 1 / rank, 0).mean()
        apart = np.mean(top[:, None] > gone[:, :-1].max(axis=1)[None])
        print(
            f"{name}, {len(test)} other hums: MRR@10 {mrr:.3f}, mean probability of the first {top.mean():.3f}, "
            f"right {np.mean(first == answer):.3f}; there against not there, area under ROC {apart:.3f}"
        )
    if asked.out:
        used = np.array([shipped.dtw, shipped.sequence, shipped.none])
        draw(shares(test, used), shares(np.minimum(taken_away(test, answer), 1e3), used), answer, asked.out)


def draw(there: np.ndarray, gone: np.ndarray, right: np.ndarray, out: Path) -> None:
    """Left: how often an answer of a stated probability is right. Right: ROC of "the song is here"."""
    from humfind.plots.ranking import calibration

    stated = np.concatenate([there[:, :-1].max(axis=1), gone[:, :-1].max(axis=1)])
    true = np.concatenate([there[:, :-1].argmax(axis=1) == right, np.zeros(len(gone), bool)])
    here = np.arange(len(stated)) < len(there)
    out.parent.mkdir(parents=True, exist_ok=True)
    calibration(stated, true, here).savefig(out, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
