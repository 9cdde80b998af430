"""The f0 store: what goes in comes out; what a kill leaves is completed; nothing wrong is read in silence."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from humfind.config import F0Config
from humfind.f0.extract import extract
from humfind.f0.store import Manifest, Store, StoredF0, open_for_writing, read_part, write_part
from humfind.types import F0, InputError

CONFIG = F0Config(tracker="swiftf0", threads=1, part_size=2)
MANIFEST = Manifest("torchcrepe", "1", "tiny", "weighted", 0.01, 0.3)


@dataclass(frozen=True)
class Example:
    """An item as the data rooms make them."""

    path: str
    music_id: str | None
    audio: Path | None


def f0(*hz: float) -> F0:
    return F0(np.array(hz, np.float32), np.full(len(hz), 0.75, np.float32), 0.01, 0.3)


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Five short tones, their names not in order."""
    made = []
    for i in (3, 1, 0, 4, 2):
        path = f"train/hum/{i:04d}.wav"
        file = tmp_path / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.5 * np.sin(2 * np.pi * (200 + 50 * i) * np.arange(4_000) / 16_000), 16_000)
        made.append(Example(path, f"{i:03d}", file))
    return made


def run(examples: list[Example], store: Path, config: F0Config = CONFIG) -> Any:
    return extract(examples, config, store, "train", "hum", progress=False)


def contents(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def folder_of(tmp_path: Path, table: dict[str, Any] | pa.Table) -> Store:
    """A foreign store with one part."""
    folder = tmp_path / "foreign" / "train" / "hum"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), folder / "part-0000.parquet")
    return Store(tmp_path / "foreign")


def foreign(**changed: Any) -> dict[str, Any]:
    rows = {
        "path": ["a.mp3", "b.mp3"],
        "music_id": pa.nulls(2),
        "hop_s": [0.01, 0.01],
        "hz": [[220.0, 0.0], [330.0]],
        "confidence": [[0.5, 0.0], [0.4]],
    }
    return {name: value for name, value in (rows | changed).items() if value is not None}


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "train" / "hum"
    open_for_writing(folder, MANIFEST)
    rows = [StoredF0("train/hum/a.mp3", "7", f0(220, 0, 221), "ab"), StoredF0("train/hum/b.mp3", None, f0())]
    write_part(folder, 0, rows)
    store = Store(tmp_path / "store")
    assert store.manifest == MANIFEST
    for got, put in zip(store.read("train", "hum"), rows, strict=True):
        assert (got.path, got.music_id, got.source_sha256) == (put.path, put.music_id, put.source_sha256)
        assert got.f0.hz.tobytes() == put.f0.hz.tobytes()
        assert got.f0.confidence.tobytes() == put.f0.confidence.tobytes()
        assert (got.f0.hop_s, got.f0.threshold) == (0.01, 0.3)
    assert store.read("train", "song") == []
    assert not list(tmp_path.rglob("*.part"))


def test_extract_fills_sorted_parts_of_a_fixed_size(tmp_path: Path, examples: list[Example]) -> None:
    result = run(examples, tmp_path / "store")
    assert (result.done, result.reused, result.skipped) == (5, 0, ())
    folder = tmp_path / "store/train/hum"
    assert sorted(p.name for p in folder.iterdir()) == [
        "manifest.json",
        *(f"part-{k:04d}.parquet" for k in range(3)),
    ]
    rows = Store(tmp_path / "store").read("train", "hum")
    assert [row.name for row in rows] == [f"{i:04d}.wav" for i in range(5)]
    assert [row.music_id for row in rows] == [f"{i:03d}" for i in range(5)]
    assert np.median(rows[3].f0.hz) == pytest.approx(350, rel=0.01)
    assert json.loads((folder / "manifest.json").read_text())["tracker"] == "swiftf0"


def test_a_rerun_does_what_is_missing_and_equals_an_unbroken_run(tmp_path: Path, examples: list[Example]) -> None:
    store = tmp_path / "store"
    run(examples, store)
    whole = contents(store)
    again = run(examples, store)
    assert (again.done, again.reused) == (0, 5)
    (store / "train/hum/part-0002.parquet").unlink()
    (store / "train/hum/part-0001.parquet").unlink()
    (store / "train/hum/part-0001.parquet.part").write_bytes(b"half")
    resumed = run(list(reversed(examples)), store)
    assert (resumed.done, resumed.reused) == (3, 2)
    assert contents(store) == whole


def test_what_cannot_be_read_is_skipped_with_a_reason(tmp_path: Path, examples: list[Example]) -> None:
    file = examples[0].audio
    assert file is not None
    good = file.read_bytes()
    file.write_bytes(b"")
    examples[1] = replace(examples[1], audio=None)
    store = tmp_path / "store"
    result = run(examples, store)
    assert (result.done, [skip.path for skip in result.skipped]) == (3, [examples[1].path, examples[0].path])
    assert "0 bytes" in result.skipped[1].reason
    assert str(tmp_path) not in (store / "train/hum/skipped.csv").read_text()
    before = contents(store)
    again = run(examples, store)
    assert (again.done, again.reused, again.skipped) == (0, 3, result.skipped)
    assert contents(store) == before
    file.write_bytes(good)
    mended = run(examples, store)
    assert len(mended.skipped) == 1
    assert len(Store(store).read("train", "hum")) == 4


def test_a_changed_recording_is_never_reused(tmp_path: Path, examples: list[Example]) -> None:
    run(examples, tmp_path / "store")
    soundfile.write(examples[2].audio, np.zeros(4_000), 16_000)
    with pytest.raises(InputError, match=r"0000\.wav: changed since it was tracked"):
        run(examples, tmp_path / "store")


def test_rows_without_their_recording_are_kept(tmp_path: Path, examples: list[Example]) -> None:
    run(examples, tmp_path / "store")
    result = run([replace(take, audio=None) for take in examples], tmp_path / "store")
    assert (result.done, result.reused) == (0, 5)


@pytest.mark.parametrize("change", [{"hop_s": 0.02}, {"part_size": 3}, {"tracker": "torchcrepe"}])
def test_a_contradicting_manifest_is_an_error(tmp_path: Path, examples: list[Example], change: dict[str, Any]) -> None:
    run(examples, tmp_path / "store")
    with pytest.raises(InputError, match=rf"manifest\.json: not what was asked for \(.*{next(iter(change))}"):
        run(examples, tmp_path / "store", replace(CONFIG, **change))


def test_added_recordings_go_into_parts_of_their_own(tmp_path: Path, examples: list[Example]) -> None:
    store = tmp_path / "store"
    by_name = sorted(examples, key=lambda take: take.path)
    first = run([by_name[1], by_name[2], by_name[4]], store)
    before = {name: (store / name).stat().st_mtime_ns for name in contents(store)}
    assert (first.done, len(before)) == (3, 3)
    grown = run(examples, store)
    assert (grown.done, grown.reused, grown.kept) == (2, 3, ())
    assert {name: (store / name).stat().st_mtime_ns for name in before} == before, "what was there stays as it is"
    rows = Store(store).read("train", "hum")
    assert [row.name for row in rows] == [f"{i:04d}.wav" for i in range(5)], "read in one order however it grew"
    assert [row.path for row in read_part(store / "train/hum/part-0002.parquet", 0.5)] == [
        "train/hum/0000.wav",
        "train/hum/0003.wav",
    ]
    whole = tmp_path / "whole"
    run(examples, whole)
    for mine, theirs in zip(rows, Store(whole).read("train", "hum"), strict=True):
        assert (mine.path, mine.music_id, mine.source_sha256) == (theirs.path, theirs.music_id, theirs.source_sha256)
        assert mine.f0.hz.tobytes() == theirs.f0.hz.tobytes()
    assert run(examples, store).reused == 5


def test_rows_whose_recording_is_gone_are_kept_and_told(
    tmp_path: Path, examples: list[Example], caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    run(examples, store)
    result = run([take for take in examples if "0001" not in take.path], store)
    assert (result.done, result.reused, result.kept) == (0, 4, ("train/hum/0001.wav",))
    assert "1 kept whose recording is gone" in str(result)
    assert "train/hum/0001.wav" in caplog.text
    assert len(Store(store).read("train", "hum")) == 5


def test_another_recording_of_a_stored_name_is_an_error(tmp_path: Path, examples: list[Example]) -> None:
    run(examples, tmp_path / "store")
    moved = [replace(take, path=take.path.replace("hum", "hums")) for take in examples]
    assert run(moved, tmp_path / "store").reused == 5, "the same recordings in another folder"
    first, second = (take.audio for take in examples[:2])
    assert first is not None
    assert second is not None
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match=r"hums/0003\.wav: the store holds train/hum/0003\.wav, another recording"):
        run(moved, tmp_path / "store")


def test_a_kill_after_a_part_with_skipped_recordings_changes_nothing(tmp_path: Path, examples: list[Example]) -> None:
    """Who was skipped is in the part itself, so that the next slices are cut as in an unbroken run."""
    assert examples[1].audio is not None
    examples[1].audio.write_bytes(b"no sound")  # 0001, of part 0
    store = tmp_path / "store"
    run(examples, store)
    whole = contents(store)
    (store / "train/hum/skipped.csv").unlink()  # written last
    (store / "train/hum/part-0001.parquet").unlink()
    (store / "train/hum/part-0002.parquet").unlink()
    resumed = run(examples, store)
    assert (resumed.done, resumed.reused, len(resumed.skipped)) == (3, 1, 1)
    assert contents(store) == whole


def test_extract_refuses_a_foreign_folder_and_twin_stems(tmp_path: Path, examples: list[Example]) -> None:
    store = folder_of(tmp_path, foreign())
    with pytest.raises(InputError, match="of unknown origin"):
        run(examples, store.folder)
    twin = replace(examples[0], path="train/hum/0003.mp3")
    with pytest.raises(InputError, match="same stem twice"):
        run([*examples, twin], tmp_path / "store")
    with pytest.raises(InputError, match="hum or song"):
        extract(examples, CONFIG, tmp_path / "store", "train", "humm", progress=False)


def test_a_foreign_store_is_accepted(tmp_path: Path) -> None:
    store = folder_of(tmp_path, foreign())
    first, second = store.read("train", "hum")
    assert store.manifest is None
    assert (first.stem, first.music_id, first.source_sha256) == ("a", None, None)
    assert first.f0.voiced.tolist() == [True, False]
    assert second.f0.voiced.tolist() == [False]  # 0.4 is below 0.5


@pytest.mark.parametrize(
    "changed",
    [
        {"hz": pa.array([[220, 0], [330]], pa.list_(pa.int64()))},
        {"hz": pa.array([[220, 0], [330]], pa.large_list(pa.float64()))},
        {"music_id": ["1", None]},
        {"music_id": pa.array(["1", "2"]).dictionary_encode()},
        {"music_id": None},
        {"path": pa.array(["a.mp3", "b.mp3"], pa.large_string())},
        {"hop_s": pa.array([0.01, 0.01], pa.float32())},
        {"source_sha256": pa.nulls(2)},
        {"more": [1, 2]},
    ],
    ids=lambda changed: f"{next(iter(changed))}-{type(next(iter(changed.values()))).__name__}",
)
def test_other_types_of_the_same_meaning_are_accepted(tmp_path: Path, changed: dict[str, Any]) -> None:
    rows = folder_of(tmp_path, foreign(**changed)).read("train", "hum")
    assert [row.f0.hz.tolist() for row in rows] == [[220, 0], [330]]
    assert rows[0].f0.hop_s == 0.01


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hz": ["220", "330"]}, "column hz is string"),
        ({"hz": [220.0, 330.0]}, "column hz is double"),
        ({"hz": None}, "column hz is missing"),
        ({"hz": [[220.0, None], [330.0]]}, "column hz has empty values"),
        ({"hz": [[220.0, 0.0], None]}, "column hz has 1 empty rows"),
        ({"hz": [[220.0], [330.0]]}, r"row a\.mp3: .*confidence"),
        ({"hz": [[np.nan, 0.0], [330.0]]}, r"row a\.mp3: hz holds NaN"),
        ({"confidence": [[0.5, 0.0], [7.0]]}, r"row b\.mp3: confidence leaves"),
        ({"path": [1, 2]}, "column path is int64"),
        ({"path": ["a.mp3", None]}, "column path has 1 empty rows"),
        ({"path": ["hum/a.mp3", "a.wav"]}, "the same stem"),
        ({"hop_s": ["10 ms", "10 ms"]}, "column hop_s is string"),
        ({"hop_s": [0.01, 0.0]}, r"row b\.mp3: hop_s is 0"),
        ({"music_id": [1.5, 2.5]}, "column music_id is double"),
    ],
    ids=str,
)
def test_wrong_rows_are_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"part-0000\.parquet: .*{message}"):
        folder_of(tmp_path, foreign(**changed)).read("train", "hum")


def test_cut_parts_and_broken_manifests_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "train" / "hum"
    open_for_writing(folder, MANIFEST)
    part = write_part(folder, 0, [StoredF0("a.mp3", "7", f0(220))])
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"part-0000\.parquet: cannot be read as parquet"):
        list(read_part(part, 0.5))
    (folder / "manifest.json").write_text('{"tracker": "x"}')
    with pytest.raises(InputError, match=r"manifest\.json: not a manifest"):
        Store(tmp_path / "store").read("train", "hum")
    with pytest.raises(InputError, match="no such f0 store"):
        Store(tmp_path / "nothing")


def test_a_sliced_table_reads_like_a_whole_one(tmp_path: Path) -> None:
    whole = pa.table(foreign())
    row = folder_of(tmp_path, whole.slice(1)).read("train", "hum")[0]
    assert row.path == "b.mp3"
    assert row.f0.hz.tolist() == [330]


def test_f0_are_read_one_by_one_and_a_part_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "train" / "hum"
    open_for_writing(folder, MANIFEST)
    write_part(folder, 0, [StoredF0("b.mp3", "7", f0(220)), StoredF0("a.mp3", "7", f0(330))])
    store = Store(tmp_path / "store")
    rows = store.rows("train", "hum")
    assert [(row.path, row.voiced_s > 0, row.number) for row in rows] == [("a.mp3", True, 1), ("b.mp3", True, 0)]
    whole = store.read("train", "hum")
    assert [store.f0(row).hz.tolist() for row in rows] == [row.f0.hz.tolist() for row in whole]
    write_part(folder, 0, [StoredF0("c.mp3", "7", f0(220))])
    with pytest.raises(InputError, match="was changed while it was read"):
        Store(tmp_path / "store").f0(rows[0])
