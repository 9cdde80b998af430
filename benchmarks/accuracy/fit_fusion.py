"""The weights of ranker ``fusion``, fitted on simulated hums, and how well its probabilities are meant.

    python -m benchmarks.accuracy.fit_fusion [--data FOLDER] [--model pretrained] [--hums 300] [--out calibration.png]

Songs: POP909's even numbers, which the shipped encoder never saw, and folk songs; half of them damaged as a melody
tracker on a mix would, half of these with fills in their rests. Hums: simulated, a third of them long ones that pause,
repeat and go on elsewhere. Every hum is asked of databases of different sizes, of 30 songs to all, twice: with its song
there, and without, where "none of them" is right. The weights maximise the likelihood on one half of the hums; the
figures are of the other half, among all songs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import by_song
from humfind.config import FusionConfig, HummerConfig
from humfind.index import Song
from humfind.rankers import Fusion
from humfind.rankers.fusion import NONE_AMONG
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth.hum import HOP_S, perform
from humfind.synth.mix import heard_in_mix
from humfind.types import LIKELIER_HERE, SURE, Ints

FOLK = 400
FEWEST = 30  # songs of a database
LENGTH_S, LONG_S = (2.5, 25.0), (10.0, 50.0)
LONG = 1 / 3  # of the hums
HUMMER = HummerConfig(wrong=(0.0, 0.25), merged=(0.0, 0.15), intonation_cents=(8.0, 90.0), interval_scale=0.05)
Values = NDArray[np.float64]


def cases(data: Path, model: Any, hums: int) -> tuple[Values, Ints]:
    """log E-values (hums, 2 rankers, songs), and the row of each hum's right song."""
    rng = np.random.default_rng(0)
    # the others' lines are damaged in the suites
    even = [(name, f0) for name, f0 in suites.pop909(data) if int(name[3:]) % 10 in (0, 2, 6)]
    tunes = [*even, *suites.folk(FOLK)]
    songs = []
    for row, (name, f0) in enumerate(tunes):
        fills = float(rng.uniform(0.2, 0.8)) if row % 4 == 1 else 0.0
        songs.append((name, suites.f0_of(heard_in_mix(f0.hz, HOP_S, rng, fills)) if row % 2 else f0))
    index = search.build_index([(Song(name), f0) for name, f0 in songs], model)
    fusion = Fusion(index)
    values, right = [], []
    while len(values) < hums:
        name, f0 = tunes[int(rng.integers(len(tunes)))]
        notes, long = suites.notes_of(f0), rng.random() < LONG
        seconds = float(np.exp(rng.uniform(*np.log(LONG_S if long else LENGTH_S))))
        part = suites.long_hum(notes, seconds, rng) if long else suites.phrase(notes, seconds, rng)
        if part is None:
            continue
        query = search.make_query(name, suites.f0_of(perform(part, rng, HUMMER).hz), model)
        aligned, ordered = fusion.witnesses(query)
        values.append([by_song(index, aligned.log_e), by_song(index, ordered)])
        right.append(index.music_ids.index(name))
    return np.minimum(np.array(values), 20.0), np.array(right)


def shares(values: Values, weights: Values, among: NDArray[np.bool_]) -> Values:
    """(hums, songs + 1): the probability of each song, and of none. among: (hums, songs), those that are searched."""
    utility = np.where(among, -(weights[0] * values[:, 0] + weights[1] * values[:, 1]), -np.inf)
    none = np.log(among.sum(axis=1) / NONE_AMONG) - weights[2]
    utility = np.concatenate([utility, none[:, None]], axis=1)
    share = np.exp(utility - utility.max(axis=1, keepdims=True))
    result: Values = share / share.sum(axis=1, keepdims=True)
    return result


def databases(right: Ints, songs: int) -> NDArray[np.bool_]:
    """(hums, songs): which songs each hum is searched among, its own with them."""
    rng = np.random.default_rng(1)
    count = np.exp(rng.uniform(np.log(FEWEST), np.log(songs), len(right)))
    among: NDArray[np.bool_] = rng.random((len(right), songs)) < (count / songs)[:, None]
    among[np.arange(len(right)), right] = True
    return among


def without(among: NDArray[np.bool_], right: Ints) -> NDArray[np.bool_]:
    """The same databases without the right songs."""
    rest = among.copy()
    rest[np.arange(len(right)), right] = False
    return rest


def fit(values: Values, right: Ints) -> Values:
    """(dtw, sequence, none) of the greatest likelihood; the first two are not negative."""
    among = databases(right, values.shape[2])
    row = np.arange(len(values))

    def loss(weights: Values) -> float:
        there = np.log(shares(values, weights, among)[row, right] + 1e-12)
        gone = np.log(shares(values, weights, without(among, right))[:, -1] + 1e-12)
        return -float(there.mean() + gone.mean())

    starts = [np.array([a, b, -3.0]) for a in (0.3, 1.0) for b in (0.1, 0.5)]
    bounds = [(0.0, 5.0), (0.0, 5.0), (-50.0, 5.0)]
    found = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best: Values = min(found, key=lambda one: float(one.fun)).x
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--model", default="pretrained")
    parser.add_argument("--hums", type=int, default=300)
    parser.add_argument("--out", type=Path, default=None, help="a picture of the probabilities, PNG")
    asked = parser.parse_args()
    model, _ = load_model(asked.model)
    values, right = cases(suites.folder(asked.data), model, asked.hums)
    even = np.arange(len(values)) % 2 == 0
    weights = fit(values[even], right[even])
    print("fitted: dtw {:.3f}, sequence {:.3f}, none {:.3f}".format(*weights))
    config = FusionConfig()
    shipped = np.array([config.dtw, config.sequence, config.none])
    print("shipped: dtw {:.3f}, sequence {:.3f}, none {:.3f}".format(*shipped))
    test, answer = values[~even], right[~even]
    every = np.ones((len(test), test.shape[2]), bool)
    for name, used in (
        ("shipped", shipped),
        ("dtw alone", np.array([weights[0], 0.0, weights[2]])),
        ("fitted", weights),
    ):
        there, gone = shares(test, used, every), shares(test, used, without(every, answer))
        first, top = there[:, :-1].argmax(axis=1), there[:, :-1].max(axis=1)
        rank = 1 + (there[:, :-1] > there[np.arange(len(test)), answer][:, None]).sum(axis=1)
        mrr = np.where(rank <= 10, 1 / rank, 0).mean()
        apart = np.mean(top[:, None] > gone[:, :-1].max(axis=1)[None])
        print(
            f"{name}, {len(test)} other hums: MRR@10 {mrr:.3f}, mean probability of the first {top.mean():.3f}, "
            f"right {np.mean(first == answer):.3f}; there against not there, area under ROC {apart:.3f}"
        )
        print(f"  song there: {verdicts(there)}; taken away: {verdicts(gone)}")
        claimed = top >= SURE
        if claimed.any():
            print(f"  found, and right: {np.mean((first == answer)[claimed]):.3f} of {claimed.sum()}")
    if asked.out:
        draw(shares(test, shipped, every), shares(test, shipped, without(every, answer)), answer, asked.out)


def verdicts(share: Values) -> str:
    """How many searches end in each."""
    top, here = share[:, :-1].max(axis=1), 1 - share[:, -1]
    found = (here >= LIKELIER_HERE) & (top >= SURE)
    not_here = here < LIKELIER_HERE
    return f"{found.sum()} found, {(~found & ~not_here).sum()} one of these, {not_here.sum()} not here"


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
