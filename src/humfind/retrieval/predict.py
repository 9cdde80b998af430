"""From a data set to a submission with its card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humfind import metrics
from humfind.config import F0Config, RankConfig, to_dict
from humfind.f0.load import Skipped, open_store
from humfind.index import Index
from humfind.retrieval import search, submission
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.trial import Trial, make_trial
from humfind.types import Query, Ranking

if TYPE_CHECKING:
    from humfind.encoders.checkpoint import Model


@dataclass(frozen=True)
class Prediction:
    """rankings: one a hum. report: None where no answers are known.

    skipped: recordings without f0, and files that are none. without_f0: how many hums are among them.
    """

    rankings: tuple[Ranking, ...]
    index: Index
    report: metrics.Report | None
    skipped: Skipped
    without_f0: int = 0

    @property
    def chance(self) -> float:
        """MRR@10 of a random order."""
        return metrics.chance(len(self.index.music_ids))


def predict(
    data: Path,
    split: str,
    out: Path,
    store: Path | None = None,
    index: Path | None = None,
    model: str = "",
    rank: RankConfig | None = None,
    f0: F0Config | None = None,
) -> Prediction:
    """Answer every hum of a split and write the submission with its card.

    data: in the competition's layout, as much of it as the store does not have. store: ``default_store``
    where None. index: a folder; built in memory where None. model: a checkpoint; ``default_model`` where
    empty. ``train`` is asked with the songs that the model did not learn from. A hum that cannot be read
    has its row all the same: the first songs by id; the card names it.
    """
    rank = rank or RankConfig()
    encoder, model_path = load_model(model, data)
    trial = make_trial(data, split, encoder, model_path, open_store(data, store, f0), f0, index)
    return submit(trial, split, encoder, rank, out)


def submit(trial: Trial, split: str, model: Model, rank: RankConfig, out: Path) -> Prediction:
    """Answer every hum, check that the rows are whole, write the submission with its card."""
    rankings = trial.rankings(rank)
    report = search.evaluate(rankings, trial.answers, len(trial.index.music_ids)) if trial.answers else None
    card = card_of(split, model, rank, trial.index, trial.queries, report)
    card |= {"without_f0": [path for path, _ in trial.skipped]}
    submission.check(submission.rows_of(rankings), trial.hums, trial.index.music_ids)
    submission.write(rankings, out, card)
    skipped = trial.skipped + trial.strays
    return Prediction(tuple(rankings), trial.index, report, skipped, len(trial.hums) - len(trial.queries))


def card_of(
    split: str,
    model: Model,
    rank: RankConfig,
    index: Index,
    queries: Sequence[Query],
    report: metrics.Report | None,
) -> dict[str, Any]:
    """What a submission's card says; ``submission.write`` adds the rows and the versions."""
    digest = hashlib.sha256()
    for song in index.songs:
        digest.update(f"{song.music_id}\t{song.checksum}\n".encode())
    for query in queries:
        line = query.melody
        digest.update(f"{query.name}\t".encode() + line.semitones.tobytes() + line.voiced.tobytes())
    return {
        "split": split,
        "songs": len(index.music_ids),
        "hums": len(queries),
        "data_sha256": digest.hexdigest(),
        "model_sha256": model.checksum,
        "rank": to_dict(rank),
        "config": to_dict(model.config),
        "tracker": index.info.tracker,
        "metrics": submission.figures(report) if report else None,
    }
