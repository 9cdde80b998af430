"""The rankers that look at every song: lines, local costs and paths against plain Python, and what they answer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
from tiny_world import PlainModel, f0_of, hum_of, melody

from humfind.config import DtwConfig, FusionConfig, RankConfig
from humfind.index import Index, Song
from humfind.index.engines import make_engine
from humfind.index.vectors import VectorTable, to_float16
from humfind.rankers import Dtw, Fusion, WindowSequence, sequence
from humfind.rankers import null_model as evalue
from humfind.rankers.dtw import kernel, places
from humfind.rankers.dtw import ranker as dtw
from humfind.rankers.dtw.pitch_sequence import (
    LEVELS,
    CandidateRegions,
    PitchSequence,
    near,
    pitch_sequence_of,
    pitch_sequences_of,
)
from humfind.rankers.dtw.places import DtwAtPlaces
from humfind.rankers.dtw.ranker import Stretches
from humfind.rankers.fusion import probabilities
from humfind.rankers.sequence import Neighbours
from humfind.rankers.window_matching import Diagonal, Projected, WindowTable, groups
from humfind.retrieval import search
from humfind.types import F0, Contour, Contours, InputError, Ranking

SONGS = 30
CONFIG = DtwConfig()
MODEL = PlainModel()


@pytest.fixture(scope="module")
def index():
    return search.build_index(((Song(f"{i:02d}"), f0_of(melody(i))) for i in range(SONGS)), MODEL)


def query_of(song: int, shift: float = 0.0, tempo: float = 1.0, start_s: float = 7.0, length_s: float = 6.0):
    return search.make_query(f"{song:02d}.mp3", hum_of(song, start_s, length_s, shift, tempo), MODEL)


def test_a_line_leaves_out_long_rests_and_forgets_octaves():
    voiced = np.repeat([True, False, True, False], [26, 50, 25, 25])
    semitones = np.where(np.arange(126) < 75, 60, 73).astype(np.float32)
    line = pitch_sequence_of(Contour(semitones, voiced, 0.04), 0.12, 0.3)
    held = int(0.3 / 0.04)
    assert len(line.level) == (26 + held + 25 + held) // 3
    assert set(line.level.tolist()) == {0, LEVELS // 12}
    assert np.flatnonzero(line.first).tolist() == [0, (26 + held) // 3]
    assert line.time_s[np.flatnonzero(line.first)[1]] == pytest.approx(3.0, abs=0.12)
    assert line.last[-1]


def test_a_silent_contour_has_an_empty_line():
    line = pitch_sequence_of(Contour(np.zeros(50, np.float32), np.zeros(50, bool), 0.04), 0.12, 0.3)
    assert len(line.level) == len(line.first) == len(line.last) == 0


def plain_dtw(song, start, end, hum, key, resume=(), reach=1):
    """The recursion as written in the module's head, cell by cell: the cheapest end of each frame of the song."""
    costs = dtw.local_costs(CONFIG.error_semitones, CONFIG.stray_share)

    def local(i, j):
        return costs[(int(song[j]) - int(hum[i]) - key * LEVELS // kernel.KEYS) % LEVELS]

    n, m = len(hum), len(song)
    total = np.full((n, m), np.inf)
    open_at, close_at = np.where(start, 0, CONFIG.off_start), np.where(end, 0, CONFIG.off_end)
    for i in range(n):
        if i and len(resume) and resume[i] != kernel.NEXT:
            before = total[i - 1].copy()
            skipped = [min(before[max(0, j - reach + 1) : j + 1]) + CONFIG.skip for j in range(m)]
            total[i - 1] = np.minimum(before, skipped)
            if resume[i] == kernel.JUMP:
                total[i - 1] = np.minimum(total[i - 1], np.min(before + close_at) + CONFIG.jump + open_at)
        for j in range(m):
            if i == 0:
                total[i, j] = local(i, j) + (0 if start[j] else CONFIG.off_start)
                continue
            ways = [total[i - 1, j - 1]] if j >= 1 else []
            ways += [total[i - 1, j - 2] + CONFIG.faster] if j >= 2 else []
            ways += [total[i - 2, j - 1] + local(i - 1, j) + CONFIG.slower] if i >= 2 and j >= 1 else []
            total[i, j] = local(i, j) + min(ways, default=np.inf)
    return total[-1] + close_at


@pytest.mark.parametrize("phrases", [(), (4, 9), (7,)])
def test_the_quick_alignment_is_the_plain_one(phrases):
    rng = np.random.default_rng(0)
    contours = [
        Contour(rng.uniform(50, 70, n).astype(np.float32), rng.random(n) < 0.8, 0.04) for n in (300, 40, 701, 6)
    ]
    config = replace(CONFIG, piece_s=5.0)  # the hum's frames are a second apart: it may skip at 4, and jump at 7 and 9
    ranker = Dtw(SimpleNamespace(contours=contours, music_ids=tuple("abcd"), recording_song=np.arange(4)), config)
    songs = ranker.lines[0.12]
    hum = (rng.integers(0, kernel.PITCHES, 15) * (LEVELS // kernel.PITCHES)).astype(np.int16)
    marks = np.isin(np.arange(15), [0, *phrases])
    sung = PitchSequence(hum, np.arange(15, dtype=np.float32), marks, marks)
    resume, reach = ranker._resume(sung, 0.12)
    assert resume.tolist() == [
        kernel.NEXT if i not in phrases else kernel.SKIP if i == 4 else kernel.JUMP for i in range(15)
    ]
    found = ranker._align(sung, songs, songs.whole(np.arange(4)))
    best, at = 15 * found.best[0], found.key[0]
    penalties = ranker._penalties
    costs = dtw.local_costs(CONFIG.error_semitones, CONFIG.stray_share)
    for row in range(len(contours)):
        part = slice(songs.ends[row], songs.ends[row + 1])
        level, start, end = songs.line.level[part], songs.line.first[part], songs.line.last[part]
        tried = [plain_dtw(level, start, end, hum, key, resume, reach) for key in range(kernel.KEYS)]
        plain = np.min(tried, axis=0, initial=np.inf)
        blocks = np.flatnonzero(found.owner == row)
        for block, cost in enumerate(best[blocks]):
            least = plain[block * songs.per_block : (block + 1) * songs.per_block].min()
            assert cost == pytest.approx(least, abs=0.02) if np.isfinite(least) else cost == np.inf
        assert found.end[blocks].tolist() == [
            *range(part.start + songs.per_block, part.stop, songs.per_block),
            part.stop,
        ]
        key = int(at[blocks[np.argmin(best[blocks])]])
        moved = (hum + key * (LEVELS // kernel.KEYS)) % LEVELS
        moved = kernel.Hum(moved.astype(np.int64), resume, reach)
        frame, jumped = kernel.trace(kernel.Frames(level, start, end), moved, costs, penalties)
        last = frame[-1]
        if np.isfinite(plain.min()):
            assert plain_dtw(level, start, end, hum, key, resume, reach)[last] == pytest.approx(plain.min(), abs=0.02)
            assert 0 <= frame.min() <= frame.max() < len(level)
            assert not jumped[resume != kernel.JUMP].any()
            steps = np.diff(frame)
            free = np.isin(np.arange(1, 15), np.flatnonzero(resume != kernel.NEXT))
            assert np.isin(steps[~free], [0, 1, 2]).all()
            assert (steps[free & ~jumped[1:]] <= reach + 2).all()
        else:
            assert last == -1


def test_a_long_hum_goes_on_elsewhere_in_the_song(index):
    """Two parts of a song, the later one first, with a pause between them: no path without a jump is so cheap."""
    parts = [hum_of(3, start_s, 6.0) for start_s in (11.0, 3.0)]
    hz = np.concatenate([parts[0].hz, np.zeros(60, np.float32), parts[1].hz])
    hum = F0(hz, (hz > 0).astype(np.float32), parts[0].hop_s)
    query = search.make_query("hum", hum, MODEL)
    without = replace(CONFIG, piece_s=60.0)
    never = replace(CONFIG, jump=1e6)
    found, alone, dear = (Dtw(index, config).evidence(query).log_e[3] for config in (CONFIG, without, never))
    assert found < alone - 5
    assert dear == pytest.approx(alone, abs=0.5), "a cost beyond 16 bits is never paid"
    ranking = search.search(query, index, Dtw(index))
    assert ranking.music_ids[0] == "03"
    match = ranking.answers[0].match  # of the part since the jump
    assert match is not None
    assert match.start_s == pytest.approx(3.0, abs=0.5)
    assert match.end_s == pytest.approx(9.0, abs=0.5)
    assert match.tempo_ratio == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("make", [Dtw, Fusion])
@pytest.mark.parametrize(
    ("shift", "tempo"), [(0, 1), (-5, 1.25), (3.5, 0.8), (12, 0.45), (-17, 2.2), (2, 0.28), (-4, 3.6)]
)
def test_a_hum_finds_its_song_in_any_key_and_tempo(index, make, shift, tempo):
    length_s = 6.0 if tempo > 0.4 else 14.0  # a quarter of it is sung
    right = [query_of(song, shift, tempo, length_s=length_s) for song in range(0, SONGS, 3)]
    firsts = [search.search(query, index, make(index)).music_ids[0] for query in right]
    assert firsts == [query.name[:2] for query in right]


def test_sequence_finds_a_hum_of_several_windows(index):
    queries = [query_of(song, -4, 1.25, 3.0, 14.0) for song in range(0, SONGS, 3)]
    firsts = [search.search(query, index, WindowSequence(index)).music_ids[0] for query in queries]
    assert np.mean([first == query.name[:2] for first, query in zip(firsts, queries, strict=True)]) >= 0.9


def test_the_match_tells_place_key_and_tempo(index):
    match = search.search(query_of(3, -5, 1.25), index, Dtw(index)).answers[0].match
    assert match is not None
    assert match.start_s == pytest.approx(7.0, abs=0.5)
    assert match.end_s == pytest.approx(13.0, abs=0.5)
    assert match.semitones == pytest.approx(5, abs=0.3)
    assert match.tempo_ratio == pytest.approx(1.25, abs=0.15)


@pytest.mark.parametrize("make", [Dtw, Fusion])
def test_threads_change_nothing(index, make):
    query = query_of(4, 2, 1.1)
    assert search.search(query, index, make(index, threads=1)) == search.search(query, index, make(index, threads=3))


def test_a_shortlist_gives_the_answers_of_all(index):
    few = RankConfig(fusion=FusionConfig(exhaustive=10, shortlist=8))
    for query in (query_of(3, -5, 1.25), query_of(9, 2, 0.8)):
        every, some = (search.search(query, index, Fusion(index, config)) for config in (RankConfig(), few))
        assert some.music_ids[0] == every.music_ids[0] == query.name[:2]
        assert alike(some, every)


def alike(some: Ranking, every: Ranking) -> bool:
    """Whether both find the first song at the same place, but for where frames begin."""
    one, other = some.answers[0].match, every.answers[0].match
    there = (one.start_s, one.end_s, one.semitones)
    return there == pytest.approx((other.start_s, other.end_s, other.semitones), abs=2 * CONFIG.frame_s)


@pytest.mark.parametrize("engine", ["ivf", "ivfpq"])
def test_a_shortlist_that_an_engine_proposes_gives_the_answers_of_all(index, engine):
    other = replace(index, engine=make_engine(engine, index.vectors), info=replace(index.info, engine=engine))
    few = RankConfig(fusion=FusionConfig(exhaustive=10, shortlist=8))
    for query in (query_of(3, -5, 1.25), query_of(9, 2, 0.8), query_of(5, 1, length_s=16.0)):
        every, some = search.search(query, index, Fusion(index)), search.search(query, other, Fusion(other, few))
        assert some.music_ids[0] == every.music_ids[0] == query.name[:2]
        assert alike(some, every)


def test_an_engine_puts_first_the_blocks_where_a_hum_lies(index):
    ordered, query = WindowSequence(index), query_of(4, 2, start_s=9.0)
    look = Neighbours(index.nearest, 50)
    blocks = ordered._proposed(query, look, 3)
    assert (np.diff(blocks) > 0).all()
    first = ordered._proposed(query, look, 1)[0]
    assert ordered.block_owner[first] == 4
    start_s = index.start_s[ordered.block_begin[first]]
    assert start_s <= 9.0 + 0.5
    assert start_s + evalue.BLOCK_S >= 9.0 - 0.5


def test_windows_that_differ_along_few_directions_are_as_far_apart_along_these(index):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)).astype(np.float32) @ rng.normal(size=(3, 16)).astype(np.float32)
    engine = VectorTable(to_float16(vectors))
    whole = WindowTable(engine, np.array([0, 20, 21, 51, 200]), np.array([0, 51, 51, 200]), 1.0)
    kept = np.concatenate([np.arange(0, 51, 2), np.arange(51, 200, 2)])
    seen = Projected(whole, 3)
    assert len(seen) == len(kept)
    assert seen.look.begin.tolist() == [0, 26, 26, 101]
    assert seen.look.block(slice(9, 12)).tolist() == [0, 1, 2], "rows 18, 20 and 22"
    assert (seen.look.block(np.arange(101)[::-1]) == whole.block(kept)[::-1]).all()
    assert (seen.axes.T @ seen.axes) == pytest.approx(np.eye(3), abs=1e-5)
    apart = np.linalg.norm(vectors[kept][:, None] - vectors[kept][None], axis=2)
    assert np.linalg.norm(seen[:][:, None] - seen[:][None], axis=2) == pytest.approx(apart, abs=0.02)
    shorter = Projected(whole, 2)[:]
    assert (np.linalg.norm(shorter[:, None] - shorter[None], axis=2) <= apart + 0.02).all()


def test_windows_that_fall_on_one_of_a_song_count_each(index):
    ordered, query = WindowSequence(index), query_of(4, length_s=12.0)
    few = Projected(ordered.whole, 8).look
    vectors = query.embeddings.vectors[:, :8]
    asked = [Diagonal.of(query.windows, vectors, ratio, few.hop_s) for ratio in np.unique(query.windows.tempo_ratio)]
    assert max(one.times.max() for one in asked) > 1
    least = ordered._least(asked, few, few.groups)
    block = few.block(slice(0, len(few.vectors)))
    for row, ratio in enumerate(np.unique(query.windows.tempo_ratio)):
        mine = vectors[query.windows.tempo_ratio == ratio]
        song_s = query.windows.start_s[query.windows.tempo_ratio == ratio] / ratio
        hops = np.round((song_s - song_s[0]) / few.hop_s).astype(int)
        plain = np.full(least.shape[1], np.inf)
        for begin, end in zip(few.begin[:-1], few.begin[1:], strict=True):
            for at in range(begin, end):
                there = few.vectors[np.minimum(at + hops, end - 1)]
                mean = np.mean(np.sum((mine - there) ** 2, axis=1))
                plain[block[at]] = min(plain[block[at]], mean)
        assert least[row] == pytest.approx(plain, rel=1e-4, abs=1e-4)


def test_a_shortlist_of_all_places_has_the_evidence_of_all(index):
    ordered = WindowSequence(index)
    seen = Projected(ordered.whole, index.vectors.dim)
    for song in range(0, SONGS, 6):
        query = query_of(song, 2)
        exact = ordered.evidence(query)
        places, log_e = ordered.shortlist(query, seen, 10**6, 8)
        assert places.recording[0] == np.argmin(exact) == song
        assert places.start_s[0] <= 7 <= places.end_s[0] - 6
        assert log_e == pytest.approx(exact, rel=1e-6, abs=1e-6)  # 32 bits: other windows are multiplied together


def test_a_hum_is_as_likely_as_its_best_piece_of_so_many():
    rows = [np.array([-9.0, 1.0, evalue.NOWHERE]), np.array([-2.0, -3.0, evalue.NOWHERE])]
    assert sequence.together(rows[:1]) == pytest.approx(rows[0])
    whole = np.array([0.0, -8.0, evalue.NOWHERE])
    expected = [-9.0 + np.log(4), -8.0 + np.log(2), evalue.NOWHERE + np.log(2)]
    assert sequence.together([whole, *rows]) == pytest.approx(np.array(expected))


def test_a_long_hum_is_compared_in_pieces(index, monkeypatch):
    short = query_of(4, 2, length_s=13.0)
    assert sequence.pieces_of(short)[0] is short
    lines = [melody(seed, notes=160) for seed in range(SONGS)]  # of 80 s
    songs = search.build_index(((Song(f"{i:02d}"), f0_of(line)) for i, line in enumerate(lines)), MODEL)
    later_first = np.concatenate([lines[4][5000:7000], lines[4][500:2500]])
    query = search.make_query("hum", f0_of(later_first, shift=3), MODEL)
    whole, *pieces = sequence.pieces_of(query)
    assert whole is query
    assert [piece.length_s for piece in pieces] == [pytest.approx(query.length_s / 6)] * 6
    assert sum(len(piece.windows) for piece in pieces) == len(query.windows)
    ordered = WindowSequence(songs)
    in_pieces = ordered.evidence(query)
    answer = ordered.rank(query, 3).answers[0]
    assert answer.music_id == "04"
    assert answer.match is not None
    song_s = answer.match.start_s - answer.match.hum_start_s / answer.match.tempo_ratio
    assert min(abs(song_s - 50.0), abs(song_s + 15.0)) < 3.0, "where one of the two parts lies"
    places, log_e = ordered.shortlist(query, Projected(ordered.whole, songs.vectors.dim), 10**6, 9)
    assert places.recording[0] == 4
    assert len(places.recording) == 3
    assert log_e == pytest.approx(in_pieces, rel=1e-5, abs=1e-5)
    monkeypatch.setattr(sequence, "LONG_S", 1e9)
    at_once = ordered.evidence(query)
    others = np.arange(SONGS) != 4
    assert in_pieces[others].min() - in_pieces[4] > at_once[others].min() - at_once[4] + 2


def test_likely_places_are_as_far_from_a_hum_as_when_all_are_compared(index):
    ordered = WindowSequence(index)
    for song, start_s, tempo in ((3, 2.0, 1.0), (8, 5.0, 0.8), (11, 14.0, 1.25)):  # the last one reaches beyond the end
        query = query_of(song, 2, tempo, start_s, 9.0)
        asked = [
            Diagonal.of(query.windows, query.embeddings.vectors, ratio, ordered.whole.hop_s)
            for ratio in np.unique(query.windows.tempo_ratio)
        ]
        every = ordered._least(asked, ordered.whole, ordered.whole.groups)
        some = np.arange(0, len(ordered.block_owner), 3)
        near = ordered._around(some, max(int(one.hops[-1]) for one in asked))
        least = ordered._least(asked, ordered.whole, groups(near))
        assert least[:, some] == pytest.approx(every[:, some], rel=1e-4)
        assert np.isinf(np.delete(least, some, axis=1)).all()


def test_a_shortlist_is_told_what_chance_does_by_songs_that_are_not_in_it(index, monkeypatch):
    monkeypatch.setattr(sequence, "CHANCE", 40)
    ordered = WindowSequence(index)
    query = query_of(7, 2, length_s=9.0)
    exact = ordered.evidence(query)
    places, log_e = ordered.shortlist(query, Projected(ordered.whole, 8), 12, 3)
    assert len(places.recording) == 3
    assert places.recording[0] == 7
    somewhere = log_e < evalue.NOWHERE / 2
    assert np.all(log_e[somewhere] != exact[somewhere])
    assert log_e[places.recording] == pytest.approx(exact[places.recording], rel=0.6)
    assert np.sum(somewhere) <= 12


def test_what_the_witnesses_say_is_what_the_rankers_answer(index):
    query = query_of(5, 2, 1.1, length_s=3.0)
    fusion = Fusion(index)
    aligned, ordered = fusion.witnesses(query)
    for ranker, log_e in (
        (Dtw(index), aligned.log_e),
        (WindowSequence(index), ordered),
        (fusion, fusion.weigh(aligned, ordered)),
    ):
        ids = [index.music_ids[index.recording_song[row]] for row in np.argsort(log_e, kind="stable")[:10]]
        assert list(search.search(query, index, ranker).music_ids) == ids


def places_of(*given: tuple[int, float, float]) -> CandidateRegions:
    recording, start_s, end_s = (np.array(column) for column in zip(*given, strict=True))
    return CandidateRegions(recording, start_s, end_s)


def test_only_places_are_aligned_and_what_tells_of_chance(index, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "CHANCE", 15)
    index.save(tmp_path)
    for songs in (index, Index.load(tmp_path)):
        whole, blocks = Dtw(songs), Dtw(songs).lines[CONFIG.frame_s].blocks
        some, read = DtwAtPlaces(songs, np.diff(blocks).astype(float), int(blocks[-1]), CONFIG), []
        assert len(some.sample.contours) == 5
        for row, line in zip((0, 6, 12, 18, 24), some.sample.contours, strict=True):
            assert (line.semitones == songs.contours[row].semitones).all()
        monkeypatch.setattr(places, "Dtw", lambda given, *more, read=read: read.append(given) or Dtw(given, *more))
        query = query_of(3, tempo=1.25)
        evidence = some.evidence(query, places_of((3, 4.0, 16.0), (1, 2.0, 9.0)))
        assert [line.length_s for line in read[0].contours] == [pytest.approx(7.0), pytest.approx(12.0)]
        assert np.flatnonzero(evidence.log_e < evalue.NOWHERE / 2).tolist() == [1, 3]
        assert np.argmin(evidence.log_e) == 3
        match, expected = some.match(query, 3, evidence), whole.match(query, 3, whole.evidence(query))
        for name in ("start_s", "end_s", "semitones", "tempo_ratio", "hum_start_s"):
            assert getattr(match, name) == pytest.approx(getattr(expected, name), abs=2 * CONFIG.frame_s)
        assert match.path[:, 1] == pytest.approx(expected.path[:, 1], abs=2 * CONFIG.frame_s)
        elsewhere = some.evidence(query, places_of((3, 13.0, 25.0)))
        assert elsewhere.log_e[3] > evidence.log_e[3] + 3
        nowhere = some.evidence(query, CandidateRegions(np.empty(0, np.int64), np.empty(0), np.empty(0)))
        assert (nowhere.log_e == evalue.NOWHERE).all()


def test_at_places_that_are_whole_recordings_all_is_as_with_all(index):
    """But for a recording's length, told by its windows."""
    whole, room = Dtw(index), np.linspace(1, 9, SONGS)
    some = DtwAtPlaces(index, room, 10**9, CONFIG)  # one recording in so many tells of chance
    query = query_of(3, tempo=1.25)
    every = CandidateRegions(np.arange(SONGS), np.zeros(SONGS, np.float32), np.full(SONGS, np.inf, np.float32))
    found = some.evidence(query, every)
    alone = replace(CONFIG, length_correction=False)
    expected = Dtw(index, alone).against(query, some.sample.chances(query))
    assert found.log_e == pytest.approx(expected.log_e + np.log(room))
    assert (found.end == expected.end).all()
    assert some.match(query, 3, found) == whole.match(query, 3, expected)


def test_places_that_overlap_are_one(index):
    places = places_of((2, 9.0, 14.0), (1, -2.0, 6.0), (2, 4.0, 10.0), (1, 8.0, np.inf), (2, 15.0, 17.0), (2, 5.0, 6.0))
    found = places.merged()
    assert found.recording.tolist() == [1, 1, 2, 2]
    assert found.start_s.tolist() == [-2.0, 8.0, 4.0, 15.0]
    assert found.end_s[[0, 2, 3]].tolist() == [6.0, 14.0, 17.0]
    assert found.end_s[1] > 1e6
    nothing = CandidateRegions(np.empty(0, np.int64), np.empty(0), np.empty(0)).merged()
    assert len(nothing.recording) == len(nothing.end_s) == 0


def test_lines_laid_end_to_end_are_as_alone():
    rng = np.random.default_rng(0)
    contours = []
    for frames, frame_s in ((300, 0.04), (0, 0.04), (5, 0.04), (701, 0.01), (900, 0.02)):
        sung = np.repeat(rng.random(frames) < 0.6, 20)[:frames]
        contours.append(Contour(rng.uniform(50, 70, frames).astype(np.float32), sung, frame_s))
    line, ends = pitch_sequences_of(Contours.of(contours), 0.12, 0.3)
    assert ends[0] == 0
    assert ends[-1] == len(line.level)
    for row, contour in enumerate(contours):
        alone = pitch_sequence_of(contour, 0.12, 0.3)
        for name, column in vars(alone).items():
            assert (getattr(line, name)[ends[row] : ends[row + 1]] == column).all()
    marks = rng.random(len(line.level)) < 0.2
    for row in range(len(contours)):
        mine = marks[ends[row] : ends[row + 1]]
        wider = mine | np.append(mine[1:], False)[: len(mine)] | np.append(False, mine[:-1])[: len(mine)]
        assert (near(marks, ends)[ends[row] : ends[row + 1]] == wider).all()


def test_short_stretches_side_by_side_are_as_alone(index):
    ranker = Dtw(index, threads=1)
    hum, songs = ranker._pair(query_of(3).melody, 1.0, CONFIG.frame_s)
    first = songs.ends[:-1] + np.arange(SONGS) % 7
    end = first + 20 + 3 * np.arange(SONGS)
    end[4] = first[4]  # one that is empty
    found = ranker._align(hum, songs, Stretches(np.arange(SONGS), first, end))
    for row in range(SONGS):
        alone = ranker._align(hum, songs, Stretches(np.array([row]), first[row : row + 1], end[row : row + 1]))
        assert (found.best[:, found.owner == row] == alone.best).all()
        assert (found.key[:, found.owner == row] == alone.key).all()


@pytest.mark.parametrize(("shift", "tempo"), [(-5, 1.25), (3.5, 0.8), (-4, 3.6)])
def test_the_best_of_a_first_look_are_aligned_again(index, monkeypatch, shift, tempo):
    monkeypatch.setattr(dtw, "CHANCE", 45)
    every, some, rough = (
        Dtw(index, config)
        for config in (CONFIG, replace(CONFIG, rescore_top=4), replace(CONFIG, frame_s=2 * CONFIG.frame_s))
    )
    for song in range(0, SONGS, 6):
        query = query_of(song, shift, tempo, length_s=6.0 if tempo > 0.4 else 14.0)
        found, first = some.evidence(query), rough.evidence(query)
        assert np.sum(found.log_e != first.log_e) == 4
        assert np.argmin(found.log_e) == song
        assert found.log_e[song] != first.log_e[song]
        match, exact = some.match(query, song, found), every.match(query, song, every.evidence(query))
        assert (match.start_s, match.semitones) == pytest.approx((exact.start_s, exact.semitones), abs=0.3)


def test_songs_too_short_for_a_frame_match_nowhere():
    short = Contour(np.full(2, 60, np.float32), np.ones(2, bool), 0.04)
    songs = SimpleNamespace(contours=(short,) * 3, music_ids=tuple("abc"), recording_song=np.arange(3))
    for rescore_top in (1, 100):
        assert (
            Dtw(songs, replace(CONFIG, rescore_top=rescore_top)).evidence(query_of(3)).log_e >= evalue.NOWHERE
        ).all()


def test_what_is_likely_otherwise_is_aligned_again(index, monkeypatch):
    monkeypatch.setattr(dtw, "CHANCE", 45)
    some, query = Dtw(index, replace(CONFIG, rescore_top=1)), query_of(3, -5, 1.25)
    alone, told = some.evidence(query), some.evidence(query, prior=np.where(np.arange(SONGS) == 8, -1e3, 0.0))
    assert np.flatnonzero(alone.log_e != told.log_e).tolist() == [3, 8]


def test_the_own_key_is_preferred_and_no_other_is_lost(index):
    keyed, free = (Dtw(index, DtwConfig(own_key=share)) for share in (0.4, 0.0))
    kept, moved = (
        search.search(query_of(3, shift, 1.25, length_s=2.5), index, keyed).answers[0].score for shift in (0, -5)
    )
    anywhere = search.search(query_of(3, 0, 1.25, length_s=2.5), index, free).answers[0].score
    assert kept > moved + 0.2
    assert moved == pytest.approx(anywhere + np.log(1 - 0.4), abs=0.1)


def of_a_shortlist(index):
    return Fusion(index, RankConfig(fusion=FusionConfig(exhaustive=10)))


@pytest.mark.parametrize("make", [Dtw, WindowSequence, Fusion, of_a_shortlist])
def test_silence_is_ranked_all_the_same(index, make):
    hum = hum_of(0, 2.0, 6.0)
    query = search.make_query("q", replace(hum, hz=np.zeros_like(hum.hz)), MODEL)
    assert len(search.search(query, index, make(index)).answers) == 10


def test_songs_without_contours_cannot_be_aligned(index):
    with pytest.raises(InputError, match="no contours"):
        Dtw(replace(index, contours=(None,) * len(index.contours)))


def test_a_long_song_must_match_better_than_a_short_one():
    rng = np.random.default_rng(0)
    owner = np.concatenate([[0], np.repeat(np.arange(1, 40), 25)])
    best = np.maximum(rng.normal(1.0, 0.1, len(owner)), 0.8)
    best[owner == 0], best[np.flatnonzero(owner == 1)[0]] = 0.7, 0.69
    log_e = evalue.log_evalues(best, owner, np.bincount(owner).astype(float))
    assert np.argmin(log_e) == 0
    assert log_e[0] < log_e[1] < np.min(log_e[2:])


def test_the_normal_tail_is_scipys():
    z = np.concatenate([np.linspace(-60, 9, 5000), [-20.0, 0.0, -1e4, np.inf]])
    assert evalue.log_ndtr(z) == pytest.approx(scipy.special.log_ndtr(z), rel=1e-10, abs=1e-300)


def test_log_evalues_are_about_right_by_chance():
    """By chance, as many recordings fall below an E-value as it says."""
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(4000), 10)
    log_e = evalue.log_evalues(rng.normal(1.0, 0.1, len(owner)), owner, np.full(4000, 10.0))
    assert np.mean(log_e < np.log(0.05)) == pytest.approx(0.05, abs=0.015)


def test_where_nothing_fits_nothing_is_likely():
    assert (evalue.log_evalues(np.full(3, np.inf), np.arange(3), np.ones(3)) == evalue.NOWHERE).all()


def test_probabilities_and_none_of_them_make_one():
    chance = probabilities(np.array([-9.0, -2.0, 3.0]), none=-2.0)
    assert chance[0] > 0.99
    assert chance[1] == pytest.approx((1 - chance[0] - chance[2]) / 2)
    assert probabilities(np.array([2.0, 3.0]), none=-2.0).sum() < 0.05


def test_fusion_says_how_sure_it_is(index):
    sure = search.search(query_of(5, 3, 1.1), index, Fusion(index))
    rng = np.random.default_rng(0)
    noise = Contour(rng.uniform(50, 70, 150).astype(np.float32), np.ones(150, bool), 0.04)
    unsure = search.search(
        replace(query_of(5), contour=noise), index, Fusion(index, RankConfig(fusion=FusionConfig(sequence=0.0)))
    )
    assert sure.answers[0].probability > 0.5 > unsure.answers[0].probability
    assert sum(answer.probability for answer in sure.answers) <= 1 + 1e-9
