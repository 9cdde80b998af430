"""What was found, for a program or for eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from humfind.index import Index
from humfind.runtime.printable import printable
from humfind.types import Ranking

SongTags = Mapping[str, Sequence[str]]  # by music_id
WIDEST = 34  # letters of a column, so that a table of six fits a terminal


def answers_of(ranking: Ranking, index: Index, tags: SongTags | None = None) -> list[dict[str, Any]]:
    """A ranking as plain JSON values, with what is known of each song; seconds and semitones to two decimals."""
    answers = []
    tags = tags or {}
    for answer in ranking.answers:
        row: dict[str, Any] = asdict(answer)
        if answer.match:
            places = {name: round(value, 2) for name, value in asdict(answer.match).items() if name != "path"}
            row["match"] = places | {"path": [[round(at, 2) for at in step] for step in answer.match.path.tolist()]}
        song = index.song(answer.music_id)
        about = {"title": song.title, "artist": song.artist, "album": song.album, "path": song.source}
        named = {"tags": list(tags[answer.music_id])} if answer.music_id in tags else {}
        answers.append({"music_id": answer.music_id} | about | named | row)
    return answers


def verdict_of(ranking: Ranking, index: Index, tags: SongTags | None = None) -> dict[str, Any]:
    """A ranking as plain JSON values: the hum, the verdict with the probability that its song is in the index at all
    (both null where the ranker is not calibrated), the answers."""
    here = None if ranking.here is None else round(ranking.here, 4)
    return {
        "query": ranking.query,
        "verdict": ranking.verdict,
        "here": here,
        "answers": answers_of(ranking, index, tags),
    }


def sentence_of(ranking: Ranking, index: Index) -> str:
    """The verdict for eyes; empty where there is none."""
    if ranking.verdict is None or ranking.here is None:
        return ""
    if ranking.verdict == "found":
        first = ranking.answers[0]
        title = printable(index.title(first.music_id) or first.music_id)
        return f"found: {title} (probability {first.probability:.2f})"
    if ranking.verdict == "one of these":
        return f"one of these, the likeliest first (probability {ranking.here:.2f} that it is in the index)"
    songs = f"{len(index.music_ids)} song" + "s" * (len(index.music_ids) != 1)
    return (
        f"not here: none of {songs} fits (probability {ranking.here:.2f} that it is one of them); if it should be, hum "
        'longer, on "da da", nearer to the microphone'
    )


def table_of(ranking: Ranking, index: Index, tags: SongTags | None = None, keys: bool = True) -> str:
    """A ranking for eyes: rank, song, title, place in the song, semitones from hum to song where ``keys``, the
    probability, or the score where the ranker is not calibrated, and, where any are known, tags by music_id. Columns in
    which nothing is said are left out."""
    tags = tags or {}
    rows = [("", "song", "title", "where", "key", "score" if ranking.here is None else "probability", "tags")]
    for rank, answer in enumerate(ranking.answers, start=1):
        where, key = "", ""
        if answer.match:
            where = f"{_clock(answer.match.start_s)}-{_clock(answer.match.end_s)}"
            key = f"{answer.match.semitones:+.0f}" if keys else ""
        title = _short(printable(index.title(answer.music_id)))
        value = answer.score if answer.probability is None else answer.probability
        said = ", ".join(tags.get(answer.music_id, ()))
        rows.append((str(rank), _short(printable(answer.music_id)), title, where, key, f"{value:.3f}", printable(said)))
    filled = [column for column in range(len(rows[0])) if column < 3 or any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in filled}
    lines = ("  ".join(row[column].ljust(widths[column]) for column in filled) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _short(text: str) -> str:
    """At most ``WIDEST`` letters, of a longer text its end: a path's says most."""
    return text if len(text) <= WIDEST else "..." + text[3 - WIDEST :]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
