"""Lab singing as a whole: wavelet strings and the attention network, on simulated and on real material.

    python -m benchmarks.accuracy.singing --data FOLDER [--tunes 240] [--steps 800] [--out docs/labs/singing_tables.md]

FOLDER: see benchmarks/accuracy/suites.py. Three tables: ranker ``wavelet`` by the length of its strings on HumTrans
and MAST; the distances and MAP of covers that no network has seen, simulated, and of the tune families of MTC-ANN,
rendered; and the transfer to hums: tunes named by nearest hums, simulated ones and HumTrans', sung by the voice
synthesiser. Networks learn from tunes of the old books, sung, played or both, as spectrograms or as tracked melodies;
one is tuned further on 160 simulated hums of other tunes.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.config import ContourConfig, RankConfig, SingingLabConfig, SongConfig
from humfind.encoders.checkpoint import Model
from humfind.encoders.inference import embed_any_length
from humfind.labs.singing import cliques, covers, strings, transfer
from humfind.labs.singing.cliques import Cover
from humfind.melody.contour import from_f0
from humfind.notebooks import singing as lab
from humfind.rankers.wavelet import Wavelet
from humfind.retrieval.checkpoints import load_model
from humfind.synth import song
from humfind.synth.melody import from_lengths
from humfind.training.tasks.cliques import PairConfig, Rendition, cover_report, report_of, train_cliques
from humfind.types import Recording

ASKED, HELD_OUT = 40, 16  # tunes
HUMS, EACH = 20, 12  # tunes and hums of each, simulated
FEW_HUMS, FEW_EACH = 40, 4  # to tune further on
LENGTH_S = 16.0
KS = (1, 5, 20, 100)
DISCARDED = (1, 2, 3, 4)
DISTRACTORS = 200
QUARTERS = 4.0  # in MTC-ANN's unit, whose most frequent note is a quarter of it


def networks(tunes: int, steps: int) -> dict[str, SingingLabConfig]:
    """What is trained, by its name in the tables."""
    base = SingingLabConfig(tunes=tunes, steps=steps, length_s=LENGTH_S)
    half = replace(base, tunes=tunes // 2, steps=steps // 2)
    return {
        "spectrogram, sung and played": base,
        "spectrogram, played": replace(half, lead="played"),
        "spectrogram, sung": replace(half, lead="sung"),
        "spectrogram, inverse loss": replace(half, inverse=True),
        "spectrogram, entropy term": replace(half, entropy=0.1),
        "f0, sung and played": replace(base, features="f0", learning_rate=1e-3),
    }


def string_rows(data: Path, hums: int) -> list[dict[str, Any]]:
    """MRR@10 of ranker ``wavelet`` among each suite's melodies and ``DISTRACTORS`` others."""
    rows = []
    for name in ("humtrans-vocano", "mast-pass"):
        suite = suites.SUITES[name](data)
        chosen = [suite.hums[i] for i in np.random.default_rng(0).permutation(len(suite.hums))[:hums]]
        right = {music_id for _, music_id, _ in chosen}
        own = [one for one in suite.songs if one[0] in right]
        songs = own + [one for one in suite.songs if one[0] not in right][:DISTRACTORS]
        lines = tuple(from_f0(f0, ContourConfig()) for _, f0 in songs)
        melodies = strings.Melodies(tuple(music_id for music_id, _ in songs), lines)
        for discarded in DISCARDED:
            rank = RankConfig()
            ranker = Wavelet(replace(rank, wavelet=replace(rank.wavelet, discarded=discarded)), melodies)
            asked = {hum: from_f0(f0, ContourConfig()) for hum, _, f0 in chosen}
            found = {hum: ranker.rank_contour(hum, line, 10).music_ids for hum, line in asked.items()}
            ranks = metrics.ranks(found, {hum: music_id for hum, music_id, _ in chosen})
            symbols = np.median([len(ranker.string(line)) for line in asked.values()])
            report = metrics.report(ranks, len(songs))
            rows.append({"suite": name, "symbols a hum": int(symbols), "hums": len(chosen), "songs": len(songs),
                         "MRR@10": str(report.mrr), "top-1": str(report.top1)})  # fmt: skip
    return rows


def families(data: Path, most: int) -> list[Cover]:
    """The variants of MTC-ANN's tune families, each rendered once: real cliques."""
    made = []
    for row, one in enumerate(list(suites.lines(data / "mtc_ann.jsonl.gz"))[:most]):
        notes = np.asarray(one["notes_q"], dtype=np.float64)
        melody = from_lengths(notes[:, 2], QUARTERS * (notes[:, 1] - notes[:, 0]))
        rng = np.random.default_rng([1, row])
        whole = song.arrange(melody, rng, SongConfig(), LENGTH_S)
        sound = Recording(song.render(whole, rng, SongConfig()), SongConfig().rate_hz)
        made.append(Cover(str(row), str(one["family"]), "", "sung" if whole.sung else "played", sound))
    return made


def real_hums(data: Path, each: int) -> list[transfer.Hum]:
    """HumTrans' hums as one transcriber wrote them down, sung again by the voice synthesiser: some of each melody."""
    counts: dict[str, int] = {}
    hums = []
    for row, one in enumerate(suites.lines(data / "humtrans_valid_hums.jsonl.gz")):
        tune, notes = str(one["melody"]), one["notes"]
        if one["transcriber"] != "VOCANO":
            continue
        counts[tune] = counts.get(tune, 0) + 1
        if counts[tune] <= each and len(notes) > 3:
            hums.append(transfer.of_notes(str(row), tune, notes, row))
    return hums


def cover_rows(trained: dict[str, Model], asked: list[Cover], name: str, shipped: Model) -> list[dict[str, Any]]:
    """Distances and MAP of each network, MAP of the library's rankers on the tracked melodies."""
    rows = []
    f0s = cliques.track([one.sound for one in asked])
    for network, model in trained.items():
        parts = cliques.contours(asked, f0s, model.config) if model.config.features == "f0" else lab.read(
            asked, model.config
        )  # fmt: skip
        vectors = embed_any_length(model.network, [one.values for one in parts])
        found, apart = cover_report(vectors, parts), covers.distances(vectors, parts)
        rows.append({"covers": name, "by": network, "MAP": str(found.map), "Bhattacharyya": f"{apart.overlap:.3f}",
                     "20 bins": f"{apart.overlap_20:.3f}", "Welch's t": f"{apart.t:.1f}", "p": f"{apart.p:.0e}",
                     "recordings": found.queries})  # fmt: skip
    names = [one.name for one in asked]
    parts = [Rendition(one.name, one.clique, np.zeros((1, 1), np.float32)) for one in asked]
    chance = np.random.default_rng(0).random((len(names), len(names)))
    orders = {f"ranker {one}": covers.by_ranker(names, f0s, shipped, one) for one in lab.RANKERS} | {"chance": chance}
    for by, order in orders.items():
        found = report_of(order, parts)
        rows.append({"covers": name, "by": by, "MAP": str(found.map), "Bhattacharyya": "", "20 bins": "",
                     "Welch's t": "", "p": "", "recordings": found.queries})  # fmt: skip
    return rows


def transfer_rows(models: dict[str, Model], hums: list[transfer.Hum], name: str) -> list[dict[str, Any]]:
    """MRR@10 of naming a hum's tune by its k nearest hums."""
    rows = []
    tunes, (learned, asked) = len({one.tune for one in hums}), transfer.split(hums)
    for by, model in models.items():
        vectors = transfer.features(hums, model)
        row = {"hums": name, "features": by, "known": len(learned), "asked": len(asked), "tunes": tunes}
        for k in KS:
            row[f"k = {k}"] = str(transfer.classify(vectors, hums, k).mrr) if k <= len(learned) else ""
        rows.append(row)
    chance = {f"k = {k}": f"{metrics.chance(tunes):.3f}" if k == KS[0] else "" for k in KS}
    return [*rows, {"hums": name, "features": "chance", "known": "", "asked": len(asked), "tunes": tunes} | chance]


def tuned(model: Model, first: int, steps: int, folder: Path) -> Model:
    """The network, trained further on a few simulated hums of other tunes, in place of covers."""
    hums = transfer.make_hums(FEW_HUMS + 8, FEW_EACH, 12.0, first=first, seed=3)
    parts = [Rendition(one.name, one.tune, cliques.spectrogram(one.sound, model.config)) for one in hums]
    learned, held_out = parts[: FEW_HUMS * FEW_EACH], parts[FEW_HUMS * FEW_EACH :]
    config = replace(model.config, train=replace(model.config.train, steps=steps, validate_every=max(1, steps // 4)))
    done = train_cliques(learned, held_out, config, PairConfig(), folder, start=model)
    return Model.load(done.checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--tunes", type=int, default=240)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--hums", type=int, default=60, help="of each suite, for the strings")
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    data = suites.folder(asked.data)
    shipped = load_model("pretrained")[0]
    first = {"strings": string_rows(data, asked.hums)}
    material = {
        lead: cliques.make_covers(tunes, 4, LENGTH_S, lead, first=ASKED + HELD_OUT)
        for lead, tunes in (("both", asked.tunes), ("sung", asked.tunes // 2), ("played", asked.tunes // 2))
    }
    held_out = cliques.make_covers(HELD_OUT, 4, LENGTH_S, first=ASKED)
    unseen = cliques.make_covers(ASKED, 4, LENGTH_S)
    trained = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in networks(asked.tunes, asked.steps).items():
            learned = material[config.lead][: 4 * config.tunes]
            part = lab.Material(learned, held_out, unseen)
            trained[name] = lab.train_network(part, config, Path(folder) / name)[1]
            print(name, flush=True)
        beyond = ASKED + HELD_OUT + asked.tunes
        spoken = tuned(trained["spectrogram, sung and played"], beyond, asked.steps // 4, Path(folder) / "tuned")
    by_features = trained | {"the first, tuned on 160 hums": spoken, "shipped encoder (f0)": shipped}
    tables = first | {
        "covers": cover_rows(trained, unseen, "simulated, 40 tunes", shipped)
        + cover_rows(trained, families(data, 180), "MTC-ANN, rendered", shipped),
        "transfer": transfer_rows(by_features, transfer.make_hums(HUMS, EACH, 12.0, first=0, seed=5), "simulated")
        + transfer_rows(by_features, real_hums(data, 8), "HumTrans (VOCANO)"),
    }
    text = "\n\n".join(f"## {name.capitalize()}\n\n{table(rows)}" for name, rows in tables.items())
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        command = "python -m benchmarks.accuracy.singing --data FOLDER --out docs/labs/singing_tables.md"
        asked.out.write_text(f"# Lab singing: tables\n\n    {command}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
