"""Notebook 05: rankers against each other, and the submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind import metrics
from humfind.config import RankConfig
from humfind.encoders.checkpoint import Model
from humfind.melody.pairwise_alignment import align
from humfind.metrics import Interval
from humfind.rankers import RANKERS
from humfind.retrieval import predict, submission
from humfind.retrieval.trial import Trial
from humfind.types import Contour, Ints, Match

if TYPE_CHECKING:
    from humfind.notebooks.run import Run

VOTE_KS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Comparison:
    """ranks: (trial, ranker) -> ranks of the right songs. songs: trial -> how many were searched."""

    ranks: Mapping[tuple[str, str], Ints]
    songs: Mapping[str, int]

    @property
    def trials(self) -> tuple[str, ...]:
        return tuple(self.songs)

    @property
    def rankers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ranker for _, ranker in self.ranks))

    @property
    def chance(self) -> dict[str, float]:
        return {trial: metrics.chance(songs) for trial, songs in self.songs.items()}

    @property
    def intervals(self) -> dict[str, dict[str, Interval]]:
        """trial -> ranker -> MRR@10."""
        return {
            trial: {ranker: metrics.report(self.ranks[trial, ranker], self.songs[trial]).mrr for ranker in self.rankers}
            for trial in self.trials
        }

    @property
    def differences(self) -> dict[str, Interval]:
        """Every ranker against the first one, paired, a trial at a time."""
        first, *others = self.rankers
        return {
            f"{other} - {first}, {trial}": metrics.paired_difference(self.ranks[trial, other], self.ranks[trial, first])
            for trial in self.trials
            for other in others
        }

    def ranks_by(self, ranker: str) -> dict[str, Ints]:
        return {trial: self.ranks[trial, ranker] for trial in self.trials}

    def summary(self) -> dict[str, Any]:
        """trial -> chance and ranker -> figures, as JSON values."""
        return {
            trial: {
                ranker: submission.figures(metrics.report(self.ranks[trial, ranker], self.songs[trial]))
                for ranker in self.rankers
            }
            for trial in self.trials
        }

    @property
    def table(self) -> Any:
        """MRR@10, top-1 and top-10 with intervals, a row a trial and ranker."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for trial in self.trials:
            rows.append({"trial": trial, "ranker": "chance", "MRR@10": f"{self.chance[trial]:.3f}"})
            for ranker in self.rankers:
                report = metrics.report(self.ranks[trial, ranker], self.songs[trial])
                row = {"MRR@10": report.mrr, "top-1": report.top1, "top-10": report.top10}
                counts = {"hums": str(report.queries), "songs": str(report.songs)}  # beside chance, which has none
                rows.append({"trial": trial, "ranker": ranker} | {name: str(v) for name, v in row.items()} | {**counts})
        table = pd.DataFrame(rows).set_index(["trial", "ranker"])
        return table.astype(object).where(table.notna(), "")

    def summary_text(self) -> str:
        """The table as plain text."""
        return str(self.table.to_string())


def compare_rankers(trials: Mapping[str, Trial], rank: RankConfig) -> Comparison:
    """Every ranker on every trial whose answers are known."""
    known = {name: trial for name, trial in trials.items() if trial.answers}
    ranks = {
        (name, ranker): trial.ranks(replace(rank, ranker=ranker)) for name, trial in known.items() for ranker in RANKERS
    }
    return Comparison(ranks, {name: len(trial.index.music_ids) for name, trial in known.items()})


def compare_models(run: Run, models: Mapping[str, Model], trials: Sequence[str], rankers: Sequence[str]) -> Comparison:
    """Each model's search of the same songs for the same hums; validation is what the first model did not learn."""
    first = next(iter(models.values()))
    made = {(name, model): run.trial(name, models[model], first) for name in trials for model in models}
    known = {key: trial for key, trial in made.items() if trial.answers}
    ranks = {
        (name, f"{ranker}, {model}"): trial.ranks(RankConfig(ranker=ranker))
        for ranker in rankers
        for (name, model), trial in known.items()
    }
    return Comparison(ranks, {name: len(trial.index.music_ids) for (name, _), trial in known.items()})


def ranker_claim(results: Comparison) -> str:
    """Which ranker has the higher MRR where, from the numbers."""
    parts = []
    for trial, by_ranker in results.intervals.items():
        best = max(by_ranker, key=lambda ranker: by_ranker[ranker].value)
        parts.append(f"{trial} {by_ranker[best].value:.2f} ({best})")
    return "Best MRR@10: " + ", ".join(parts)


def difference_claim(results: Comparison) -> str:
    """How many of the differences keep clear of zero."""
    gaps = results.differences
    sure = [name for name, gap in gaps.items() if gap.low > 0 or gap.high < 0]
    return f"{len(sure)} of {len(gaps)} differences between rankers are more than luck"


def vote_curve(trials: Mapping[str, Trial], rank: RankConfig) -> dict[str, tuple[list[int], list[Interval]]]:
    """trial -> (K, MRR@10) of the vote."""
    curves = {}
    for name, trial in trials.items():
        if not trial.answers:
            continue
        ks = [k for k in VOTE_KS if k <= len(trial.index.recording)]
        found = [trial.report(replace(rank, ranker="vote", vote_k=k)).mrr for k in ks]
        curves[name] = (ks, found)
    return curves


def worst_queries(run: Run, trial: Trial, rank: RankConfig, queries: int) -> list[dict[str, Any]]:
    """The arguments of ``plots.ranking.worst``: the hums whose song came last, none that came first."""
    if not trial.answers:
        return []
    ranks = dict(zip(trial.answers, trial.ranks(rank), strict=True))
    rankings = {ranking.query: ranking for ranking in trial.rankings(rank)}
    by_name = {query.name: query for query in trial.queries}
    lost = [name for name in ranks if ranks[name] != 1 and name in by_name and _has_contour(trial, trial.answers[name])]
    lost.sort(key=lambda name: (ranks[name] or 99, name))
    cases = []
    for name in lost[::-1][:queries]:
        hum = by_name[name].melody
        sides = {"right": trial.answers[name], "wrong": rankings[name].music_ids[0]}
        case: dict[str, Any] = {"name": name, "rank": int(ranks[name]), "hum": hum}
        for side, music_id in sides.items():
            line = contour_of(trial, music_id)
            alignment = align(hum, line)
            case[side] = (run.title(music_id), line, alignment.match, alignment.error_semitones, music_id)
        cases.append(case)
    return cases


def aligned_query(run: Run, trial: Trial, rank: RankConfig) -> tuple[Contour, Contour, Match, str] | None:
    """The arguments of ``plots.pairs.alignment``: the hum that is found with the longest path; None where none is."""
    rankings = {ranking.query: ranking for ranking in trial.rankings(replace(rank, ranker="fusion"))}
    right = trial.answers or {}
    found = [
        (query, answer)
        for query in trial.queries
        if (answers := rankings[query.name].answers)
        and (answer := answers[0]).match is not None
        and answer.music_id == right.get(query.name, answer.music_id)
    ]
    if not found:
        return None
    query, answer = max(found, key=lambda one: (len(one[1].match.path) if one[1].match else 0, one[0].name))
    assert answer.match is not None
    claim = f"{query.name} is found in {run.title(answer.music_id)} at {answer.match.start_s:.0f} s"
    return query.melody, contour_of(trial, answer.music_id), answer.match, claim


def submit(trial: Trial, model: Model, rank: RankConfig, path: Path) -> Any:
    """What ``humfind predict`` writes: every hum of the split answered, checked and written; as a table."""
    import pandas as pd

    written = predict.submit(trial, trial.name, model, rank, path)
    rows = submission.rows_of(written.rankings)
    return pd.DataFrame(
        rows.values(), index=list(rows), columns=[f"id{i + 1}" for i in range(len(next(iter(rows.values()))))]
    )


def _has_contour(trial: Trial, music_id: str) -> bool:
    """Whether the song is in the index: an answer may be a song without f0."""
    return music_id in trial.index.music_ids


def contour_of(trial: Trial, music_id: str) -> Contour:
    """The longest recording of a song."""
    rows = [row for row, song in enumerate(trial.index.songs) if song.music_id == music_id]
    lines = [line for row in rows if (line := trial.index.contours[row]) is not None]
    return lines[int(np.argmax([line.length_s for line in lines]))]
