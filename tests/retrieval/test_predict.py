"""The submission, whatever part of a data set is audio and whatever part only f0."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_world import QUICK, f0_of, hum_of, melody, put_audio, put_rows

from humfind.config import F0Config, RankConfig
from humfind.data import zalo
from humfind.data.zalo import split_by_song
from humfind.encoders.checkpoint import Model
from humfind.f0.load import F0Cache, load_f0
from humfind.index import Index
from humfind.rankers import make_ranker
from humfind.retrieval import answers, indexing, search, searcher, submission
from humfind.retrieval import predict as predicting
from humfind.retrieval.checkpoints import load_model
from humfind.types import F0, InputError

SONGS = 12


def songs() -> list[tuple[str, str | None, F0]]:
    return [(f"public_test/full_song/{i:04d}.mp3", None, f0_of(melody(i))) for i in range(SONGS)]


def hums() -> list[tuple[str, str | None, F0]]:
    return [(f"{i:04d}.mp3", None, hum_of(i, shift=-3)) for i in range(3)]


@pytest.fixture
def world(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """An empty data set and a foreign store of its songs and hums."""
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    data, store = tmp_path / "data", tmp_path / "store"
    data.mkdir()
    put_rows(store / "public_test/song", songs())
    put_rows(store / "public_test/hum", hums())
    return data, store


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_store_without_manifest_and_without_audio(world, checkpoint):
    data, store = world
    before = files_of(store)
    done = predicting.predict(data, "public_test", data / "s.csv", store, model=checkpoint)
    rows = submission.read(data / "s.csv")
    assert list(rows) == ["0000.mp3", "0001.mp3", "0002.mp3"]
    assert all(len(ids) == 10 for ids in rows.values())
    assert (done.report, done.skipped) == (None, [])
    assert submission.read_card(data / "s.csv")["metrics"] is None
    assert files_of(store) == before


def test_hums_are_audio_and_songs_only_in_the_store(world, checkpoint):
    data, store = world
    (store / "public_test/hum/part-0000.parquet").unlink()
    for name, _, f0 in hums():
        put_audio((data / "public_test/hum" / name).with_suffix(".wav"), f0)
    (data / "public_test/answers.csv").write_text("hum,music_id\n0000,0000\n0001,0001\n0002.wav,0002\n")
    before = files_of(store)
    done = predicting.predict(
        data, "public_test", data / "s.csv", store, model=checkpoint, rank=RankConfig("nearest"), f0=QUICK
    )
    assert list(submission.read(data / "s.csv")) == ["0000.wav", "0001.wav", "0002.wav"]
    assert done.report is not None
    assert done.report.mrr.value > 0.6
    assert submission.read_card(data / "s.csv")["metrics"]["queries"] == 3
    assert files_of(store) == before, "a foreign store is only read"


def test_a_new_store_is_filled_and_then_used(world, checkpoint, tmp_path):
    data, foreign = world
    store = tmp_path / "new"
    for name, _, f0 in hums():
        put_audio((data / "public_test/hum" / name).with_suffix(".wav"), f0)
    items = zalo.load_split(data, "public_test", F0Cache(foreign)).hums
    audio = [item for item in items if item.audio]
    first = load_f0(audio, "public_test", "hum", store, QUICK)
    assert (len(first.items), first.skipped, first.tracker["tracker"]) == (3, [], "swiftf0")
    kept = files_of(store)
    again = load_f0(audio, "public_test", "hum", store)  # made by swiftf0: nothing else is asked for
    assert files_of(store) == kept
    for (_, a), (_, b) in zip(first.f0, again.f0, strict=True):
        assert (a.hz == b.hz).all()
    with pytest.raises(InputError, match="was made with tracker swiftf0, not torchcrepe"):
        load_f0(audio, "public_test", "hum", store, F0Config())
    put_audio(data / "public_test/hum/0001.wav", hum_of(9))
    with pytest.raises(InputError, match=r"0001\.wav: changed since"):
        load_f0(audio, "public_test", "hum", store)


def test_the_same_bytes_twice_and_with_an_index(world, checkpoint):
    data, store = world
    for name in ("a.csv", "b.csv"):
        predicting.predict(data, "public_test", data / name, store, model=checkpoint)
    index, skipped = indexing.index_of(data, "public_test", store, checkpoint)
    assert skipped == []
    index.save(data / "index")
    predicting.predict(data, "public_test", data / "c.csv", store, data / "index", checkpoint)
    for suffix in (".csv", ".json"):
        made = {(data / name).with_suffix(suffix).read_bytes() for name in ("a", "b", "c")}
        assert len(made) == 1


def test_predict_is_search_of_each_hum(world, checkpoint):
    data, store = world
    done = predicting.predict(data, "public_test", data / "s.csv", store, model=checkpoint)
    model, _ = load_model(checkpoint)
    for ranking, (name, _, _) in zip(done.rankings, hums(), strict=True):
        ((_, f0),) = [pair for pair in load_f0(zalo.load_split(data, "public_test", F0Cache(store)).hums,
                                            "public_test", "hum", store).f0 if pair[0].name == name]  # fmt: skip
        ranker = make_ranker(RankConfig(), done.index)
        assert search.search(search.make_query(name, f0, model), done.index, ranker) == ranking


def test_an_unreadable_hum_keeps_its_row(world, checkpoint):
    data, store = world
    path = data / "public_test/hum/0007.wav"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not audio")
    done = predicting.predict(data, "public_test", data / "s.csv", store, model=checkpoint, f0=QUICK)
    assert submission.read(data / "s.csv")["0007.wav"] == tuple(f"{i:04d}" for i in range(10))
    assert [skip[0] for skip in done.skipped] == ["public_test/hum/0007.wav"]
    assert submission.read_card(data / "s.csv")["without_f0"] == ["public_test/hum/0007.wav"]


def test_train_is_asked_with_the_songs_held_out(world, checkpoint):
    data, store = world
    ids = [f"{i:02d}" for i in range(20)]
    put_rows(store / "train/song", [(f"song/{i}.mp3", i, hum_of(int(i), 2.0)) for i in ids])
    put_rows(store / "train/hum", [(f"hum/h{i}.mp3", i, hum_of(int(i), 3.0)) for i in ids])
    sides = dict(zip(("train", "validation"), split_by_song(ids, 0.2, 0), strict=True))
    replace(Model.load(Path(checkpoint)), facts={"music_ids": sides}).save(data / "model.safetensors")
    done = predicting.predict(data, "train", data / "s.csv", store, model=str(data / "model.safetensors"))
    held_out = sides["validation"]
    assert len(held_out) == 4
    assert done.index.music_ids == held_out
    assert [ranking.query for ranking in done.rankings] == [f"h{i}.mp3" for i in held_out]
    assert done.report is not None
    assert (done.report.queries, done.report.songs) == (4, 4)


def test_an_index_of_a_store_and_of_a_folder(world, checkpoint, tmp_path):
    _, store = world
    from_store, _ = indexing.index_of(store, "public_test", model=checkpoint)
    assert from_store.music_ids == tuple(f"{i:04d}" for i in range(SONGS))
    for i, name in enumerate(["a/x.wav", "b/x.wav"]):
        put_audio(tmp_path / "music" / name, f0_of(melody(i)[:800]))
    (tmp_path / "music/broken.wav").write_bytes(b"")
    shutil.copy(tmp_path / "music/a/x.wav", tmp_path / "music/b/y.wav")
    made, skipped = indexing.index_of(tmp_path / "music", "public_test", model=checkpoint, f0=QUICK)
    assert made.music_ids == ("a/x", "b/x")
    assert [path for path, _ in skipped] == ["b/y.wav", "broken.wav"]
    assert skipped[0][1] == "the same file as a/x.wav, which is used"
    made.save(tmp_path / "index")
    put_audio(tmp_path / "hum.wav", hum_of(1, 0.0, 6.0, shift=4))
    index, ranking = searcher.search_file(tmp_path / "hum.wav", tmp_path / "index", "", RankConfig("nearest"))
    assert isinstance(index, Index)
    assert ranking.music_ids[0] == "b/x"
    assert "00:00-00:06" in answers.table_of(ranking, index)
    with pytest.raises(InputError, match="no data set, no f0 store, no music"):
        indexing.index_of(tmp_path / "index", "public_test", model=checkpoint)


def test_a_card_names_no_place_of_this_machine(world, checkpoint):
    data, store = world
    predicting.predict(data, "public_test", data / "s.csv", store, model=checkpoint)
    assert str(data.parent) not in json.dumps(submission.read_card(data / "s.csv"))


def test_a_missing_model_is_told(world):
    data, store = world
    with pytest.raises(
        InputError, match=r"no such model; give a model\.safetensors or --model pretrained, or train one"
    ):
        predicting.predict(data, "public_test", data / "s.csv", store)
