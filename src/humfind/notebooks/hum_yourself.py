"""Notebook 06: one hum, step by step through the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humfind.audio.load import load, resample
from humfind.config import RankConfig
from humfind.f0 import make_tracker, too_little, track_file
from humfind.notebooks.ranking import contour_of
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.query import make_query
from humfind.retrieval.trial import Trial
from humfind.types import F0, Contour, InputError, Match, Query, Ranking, Recording

if TYPE_CHECKING:
    from humfind.encoders.checkpoint import Model
    from humfind.notebooks.run import Run

PLAYED_HZ = 16_000  # a page carries its sounds
AROUND_S = 1.0  # of the song, played before and after the place that was found


@dataclass(frozen=True)
class Hummed:
    """One hum and what was found. recording: None where there is only f0. trial: the songs that were searched."""

    name: str
    recording: Recording | None
    f0: F0
    query: Query
    ranking: Ranking
    trial: Trial

    @property
    def match(self) -> Match | None:
        """Where the hum lies in the first song."""
        return self.ranking.answers[0].match


def hum_yourself(run: Run, hum: str, split: str, model: Model) -> Hummed:
    """Search the songs of ``split`` for ``hum``, a recording; empty: the split's first hum. Raises InputError where it
    cannot be read, or the split has no hum."""
    trial = run.trial(split, model)
    recording: Recording | None
    if hum:
        name, recording = Path(hum).name, load(hum)
        f0 = track_file(make_tracker(run.tracker, "hum"), hum)
        if reason := too_little(f0.voiced_s, "hum"):
            raise InputError(f"{hum}: {reason}")
    else:
        tracked = run.tracked(split, "hum")
        if not tracked:
            raise InputError(f"{run.data}: {split} has no hum with an f0; give a recording of your own, hum=FILE")
        item, f0 = tracked[0]
        name, recording = Path(item.path).name, run.recording(item)
    query = make_query(name, f0, model)
    rank = RankConfig()
    (ranking,) = search.rank_all([query], trial.index, make_ranker(rank, trial.index), rank.top)
    return Hummed(name, recording, f0, query, ranking, trial)


def whole_way(run: Run, model: Model) -> Hummed | None:
    """The first hum of the first test split that has one, searched; None where no split but train has hums."""
    split = next((name for name in run.splits if name != "train" and run.tracked(name, "hum")), None)
    return hum_yourself(run, "", split, model) if split else None


def way_of(run: Run, found: Hummed) -> tuple[Any, ...]:
    """The arguments of ``plots.way.way``."""
    titles = [(run.title(answer.music_id), answer.probability or 0.0) for answer in found.ranking.answers[:5]]
    claim = f"The way of {found.name}: from sound to {found.ranking.verdict or 'a ranking'}"
    return found.recording, found.f0, found.query, titles, claim


def hum_player(found: Hummed) -> Any:
    """The hum, to click on."""
    return _audio(found.recording, f"{found.name}: there is only f0, no audio")


def found_table(run: Run, found: Hummed) -> Any:
    """The ten songs, each with its probability and place."""
    import pandas as pd

    rows = []
    for answer in found.ranking.answers:
        at = answer.match
        row: dict[str, Any] = {"song": run.title(answer.music_id), "probability": f"{answer.probability or 0:.3f}"}
        place = {"from s": f"{at.start_s:.0f}", "to s": f"{at.end_s:.0f}", "key": f"{at.semitones:+.0f}"} if at else {}
        rows.append(row | place)
    return pd.DataFrame(rows, index=range(1, len(rows) + 1)).fillna("")


def found_alignment(run: Run, found: Hummed) -> tuple[Contour, Contour, Match, str] | None:
    """The arguments of ``plots.pairs.alignment`` for the first song; None where the ranker gives no place."""
    if found.match is None:
        return None
    first = found.ranking.answers[0].music_id
    verdict = found.ranking.verdict or "first"
    claim = f"{found.name}, {verdict}: {run.title(first)} at {found.match.start_s:.0f} s"
    return found.query.melody, contour_of(found.trial, first), found.match, claim


def player_at_match(run: Run, found: Hummed) -> Any:
    """The place of the first song where the hum lies, to click on."""
    first = found.ranking.answers[0].music_id
    place = _place(run, found.trial.name, first, found.match) if found.match else None
    return _audio(place, f"{run.title(first)}: there is only f0, no audio")


def worst_players(run: Run, split: str, cases: Sequence[Mapping[str, Any]]) -> Any:
    """For each of ``worst_queries``: the hum, its place in its own song, and that in the song that was preferred."""
    from IPython.display import HTML

    hums = {item.name: item for item in run.items(split, "hum")}
    rows = []
    for case in cases:
        hum = hums[case["name"]]
        heard = [(f"{case['name']}, the hum", run.recording(hum))]
        for side, said in (("right", "its own song"), ("wrong", "what was preferred")):
            title, _, match, _, music_id = case[side]
            heard.append((f"{title}: {said}", _place(run, split, music_id, match)))
        cells = "".join(
            f"<td style='text-align:left'>{escape(said)}<br>{_html(_audio(sound, 'there is only f0, no audio'))}</td>"
            for said, sound in heard
        )
        rows.append(f"<tr>{cells}</tr>")
    return HTML(f"<table>{''.join(rows)}</table>")


def _place(run: Run, split: str, music_id: str, match: Match) -> Recording | None:
    """The sound of a song about a match; None where there is only f0."""
    item = next((item for item in run.songs(split) if item.music_id == music_id), None)
    if item is None or item.audio is None:
        return None
    whole = load(item.audio)
    begin, end = (round(second * whole.rate_hz) for second in (match.start_s - AROUND_S, match.end_s + AROUND_S))
    return Recording(whole.samples[max(0, begin) : end], whole.rate_hz)


def _html(shown: Any) -> str:
    """What a browser gets of it."""
    return str(shown._repr_html_())


def _audio(recording: Recording | None, without: str) -> Any:
    from IPython.display import HTML, Audio

    if recording is None:
        return HTML(f"<em>{escape(without)}</em>")
    small = resample(recording, PLAYED_HZ) if recording.rate_hz > PLAYED_HZ else recording
    return Audio(small.samples, rate=small.rate_hz, normalize=False)
