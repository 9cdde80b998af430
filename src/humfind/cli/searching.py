"""What ``humfind search`` and ``humfind listen`` print, draw and play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from humfind.retrieval.query import load_queries
from humfind.runtime.cores import end_on_interrupt
from humfind.runtime.printable import printable, say, to_json
from humfind.types import InputError

if TYPE_CHECKING:
    from humfind.config import RankConfig
    from humfind.index import Index
    from humfind.index.tracks import Track
    from humfind.retrieval.searcher import Searched
    from humfind.types import Ranking


def answer(
    hums: Sequence[Path],
    index: Path,
    model: str,
    rank: RankConfig,
    as_json: bool = False,
    plot: Path | None = None,
    play: bool = False,
) -> int:
    """Search each hum and print its answers, JSON of one or a list of several. Returns how many hums have none, after a
    line on stderr for each. Raises InputError where the only one has none."""
    if plot is not None:
        _require_drawable(plot, len(hums))
    # the hums are tracked there while the index is read here
    with ProcessPoolExecutor(1, initializer=end_on_interrupt) as pool:
        queries = pool.submit(load_queries, hums, index, model)
        from humfind.index.sound import tags_of
        from humfind.retrieval.answers import verdict_of
        from humfind.retrieval.searcher import search_files

        found, searched, reasons = search_files(hums, index, model, rank, queries.result)
    if len(hums) == 1 and reasons:
        raise InputError(reasons[0])
    for reason in reasons:
        say(f"humfind: {printable(reason)}", error=True)
    try:
        tags = tags_of(index)
    except InputError as error:  # a hum is found without them
        tags = {}
        say(f"humfind: without tags: {printable(str(error))}", error=True)
    if as_json:
        rows = [verdict_of(one.ranking, found, tags) for one in searched]
        print(to_json(rows if len(hums) > 1 else rows[0]))
    else:
        say("\n\n".join(_text(one, found, tags, len(hums) > 1) for one in searched))
    if plot is not None:
        for one in searched:
            path = plot if len(hums) == 1 else plot / f"{one.hum.stem}.png"
            draw(one, found, path)
            say(f"drawn: {path}", error=True)
    if play:
        for one in searched:
            play_match(one.ranking, found)
    return len(reasons)


def answer_words(words: str, songs: Index, top: int, as_json: bool = False, model: str = "") -> None:
    """Print the songs of a sound part that fit the words. Raises InputError for words that nothing has."""
    from humfind.encoders.sound import SoundEncoder
    from humfind.encoders.tag_model import TagModel
    from humfind.retrieval.answers import table_of, verdict_of
    from humfind.retrieval.words import WordSearcher

    trained = TagModel.load(Path(model)) if model else None
    searcher = WordSearcher.of(songs, SoundEncoder(), trained)
    ranking = searcher.search(words, top)
    for reason in searcher.unknown(words):
        say(f"left out: {printable(reason)}", error=True)
    tags: dict[str, list[str]] = {}
    for music_id in ranking.music_ids:
        asked = searcher.fits(words, music_id)
        others = [tag for tag in songs.song(music_id).tags if tag not in asked]
        tags[music_id] = [*(f"{tag} {chance:.2f}" for tag, chance in asked.items()), *others]
    say(to_json(verdict_of(ranking, songs, tags)) if as_json else table_of(ranking, songs, tags))


def answer_sound(
    file: Path, songs: Index, at_s: float | None, top: int, as_json: bool = False, page: Path | None = None
) -> Ranking:
    """Print the songs of a sound part that hold the most similar segments, and write the map where ``page`` is given.
    Raises InputError where the file cannot be read, ends before ``at_s``, or no other recording is there."""
    from humfind.encoders.sound import SoundEncoder
    from humfind.f0.extract import file_sha256
    from humfind.retrieval.answers import table_of, verdict_of
    from humfind.retrieval.similar import SimilarSearcher, listen
    from humfind.retrieval.sound_map import write_map

    encoder = SoundEncoder()
    searcher = SimilarSearcher.of(songs, encoder)
    vectors = listen(file, encoder, at_s).vectors
    ranking = searcher.search(vectors, top, str(file), at_s or 0.0, frozenset({file_sha256(file)}))
    tags = {music_id: songs.song(music_id).tags for music_id in ranking.music_ids}
    say(to_json(verdict_of(ranking, songs, tags)) if as_json else table_of(ranking, songs, tags, keys=False))
    if page is not None:
        shown = write_map(songs, page, file, vectors, at_s or 0.0)
        say(f"map of {shown} segments: {page}", error=True)
    return ranking


def answer_playlist(
    said: Sequence[str], tracks: Sequence[Track], sound: Index, length: int, out: Path | None, as_json: bool
) -> None:
    """Print a playlist, and write it where ``out`` is given. Raises InputError for a track that is not there."""
    from humfind.retrieval.playlist import Playlists, write_m3u8

    library = Playlists.of(tracks, sound)
    picks = library.make([library.find(name) for name in said], length)
    if as_json:
        rows = [{**asdict(pick.track), "key": pick.track.key, "why": pick.why, "given": pick.given} for pick in picks]
        print(to_json(rows))
    else:
        width = len(str(len(picks)))
        say(
            "\n".join(
                f"{i:>{width}}  {printable(pick.track.name)}: {printable(pick.why)}" for i, pick in enumerate(picks, 1)
            )
        )
    if out is not None:
        write_m3u8(picks, out)
        say(f"playlist of {len(picks)} tracks: {out}", error=True)


def _text(one: Searched, index: Index, tags: Mapping[str, Sequence[str]], named: bool) -> str:
    """The verdict and the table, below the hum's name where there are several."""
    from humfind.retrieval.answers import sentence_of, table_of

    heading = f"{printable(one.hum.name)}:" if named else ""
    return "\n".join(filter(None, (heading, sentence_of(one.ranking, index), table_of(one.ranking, index, tags))))


def draw(one: Searched, index: Index, path: Path) -> None:
    """The alignment of the hum with the first song: cost, path, and the hum laid on the place."""
    from humfind.plots import pairs
    from humfind.runtime.files import atomic_write

    first = one.ranking.answers[0]
    contour = index.contour(first.music_id)
    if contour is None or first.match is None:
        raise InputError(f"{path}: this index has no contours to draw; build it from f0")
    title = index.title(first.music_id) or first.music_id
    claim = (
        f"found: {title}" if one.ranking.verdict == "found" else f"{one.ranking.verdict or 'first'}; nearest: {title}"
    )
    figure = pairs.alignment(one.query.melody, contour, first.match, claim)
    atomic_write(path, lambda file: figure.savefig(file, format="png", dpi=150, bbox_inches="tight"))


def play_match(ranking: Ranking, index: Index) -> None:
    """The place that the query matches, from the recording that the index names."""
    from humfind.audio.device import play

    first = ranking.answers[0]
    source = Path(index.song(first.music_id).source)
    if first.match is None or not source.is_file():
        raise InputError(f"{source}: no recording to play; index a folder of recordings")
    play(source, first.match.start_s, first.match.end_s)


def _require_drawable(plot: Path, hums: int) -> None:
    """Before any work. Raises InputError."""
    if hums > 1:
        if plot.exists() and not plot.is_dir():
            raise InputError(f"{plot}: a file; several hums are drawn into a folder")
        plot.mkdir(parents=True, exist_ok=True)
    elif plot.suffix.lower() != ".png":
        raise InputError(f"{plot}: not a .png; name one, for example hum.png")
    elif not plot.absolute().parent.is_dir():
        raise InputError(f"{plot}: its folder is not there; make it first")
