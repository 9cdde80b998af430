"""A data set is more than its folder's name: whatever was asked before, a command answers as in a home of its own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny_world import REPOSITORY, f0_of, hum_of, melody, put_audio, put_rows
from typer.testing import CliRunner

from humfind import cli, notebooks
from humfind.config import ContourConfig, F0Config, ModelConfig, ResNet1dConfig
from humfind.data import demo
from humfind.data.identity import RECORD, demo_recipe, identify, record, recorded, run_folder
from humfind.data.zalo import has_recordings, load_split, splits_of
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.f0.load import F0Cache, default_store, open_store
from humfind.f0.store import Store
from humfind.index import Index
from humfind.notebooks import runner
from humfind.plots.transform import speed
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.files import remove_partial_files
from humfind.training.examples import training_examples
from humfind.types import InputError

QUICK = F0Config(tracker="swiftf0")
CONFIG = ModelConfig(
    contour=ContourConfig(window_s=4.0, query_tempos=(1.0,)),
    encoder=ResNet1dConfig(widths=(4,), blocks=(1,), embedding_dim=8),
)
MODELS: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(path)
    MODELS["tiny"] = path
    return path


def sing(path: Path, seed: int) -> None:
    put_audio(path, f0_of(melody(seed)[:100]))


def make_data(data: Path, seed: int, first: int = 0) -> Path:
    """Two pairs to train on, three songs and two hums to test: melodies from ``seed``, names from ``first`` on."""
    names = [f"{first + i:04d}" for i in range(3)]
    rows = [f"{name},train/song/{name}.wav,train/hum/{name}.wav\n" for name in names[:2]]
    for i, name in enumerate(names):
        sing(data / f"public_test/full_song/{name}.wav", seed + i)
        if i < 2:
            sing(data / f"public_test/hum/{name}.wav", seed + i)
            sing(data / f"train/song/{name}.wav", seed + 10 + i)
            sing(data / f"train/hum/{name}.wav", seed + 20 + i)
    (data / "train/train_meta.csv").write_text("music_id,song_path,hum_path\n" + "".join(rows))
    return data


def command(*arguments: object) -> str:
    """What a command prints, its status being 0; ``check`` may find leaks."""
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert done.exit_code == 0 or (arguments[0], done.exit_code) == ("check", 2), (done.output, done.exception)
    return done.output


def predict(data: Path, out: Path) -> object:
    command("predict", data, "--model", MODELS["tiny"], "--tracker", "swiftf0", "--out", out / "s.csv")
    card = json.loads((out / "s.json").read_text())
    return (out / "s.csv").read_text(), card["data_sha256"], card["songs"], card["hums"], card["without_f0"]


def index(data: Path, out: Path) -> object:
    command("index", data, "--model", MODELS["tiny"], "--tracker", "swiftf0", "--out", out / "index")
    return [(song.music_id, song.source, song.checksum) for song in Index.load(out / "index").songs]


def f0(data: Path, out: Path) -> object:
    """The rows of the data set's recordings in the store that is named."""
    (folder,) = re.findall(r"f0 store: (.+)", command("f0", data, "--tracker", "swiftf0"))
    present = {path.relative_to(data).as_posix() for path in data.rglob("*.wav")}
    return {
        (row.path, row.source_sha256, row.f0.hz.tobytes())
        for split in splits_of(data)
        for kind in ("song", "hum")
        for row in Store(Path(folder)).read(split, kind)
        if row.path in present
    }


def check(data: Path, out: Path) -> object:
    answered = command("check", data, "--tracker", "swiftf0").splitlines()
    return [line for line in answered if "recording" in line and "f0 store" not in line]


def train(data: Path, out: Path) -> object:
    """What training takes."""
    examples, skipped, _ = training_examples(data, None)
    return [(take.name, take.music_id, take.kind, take.source.hz.tobytes()) for take in examples], skipped


def run(data: Path, out: Path) -> object:
    """What the notebooks of ``humfind run`` work on."""
    opened = notebooks.open_run(str(data), "", QUICK)
    return {
        split: [(item.path, item.music_id, line.hz.tobytes()) for kind in ("song", "hum") for item, line in
                opened.tracked(split, kind)]
        for split in opened.splits
    }  # fmt: skip


COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    found.__name__: found for found in (predict, index, f0, check, train, run)
}


Answer = Callable[[Path], object]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Answer, Answer]]:
    """Of a command: how it answers in the home of all, and in a new one."""
    known: dict[object, object] = {}

    def ask(name: str) -> tuple[Answer, Answer]:
        def in_home(home: Path, data: Path) -> object:
            monkeypatch.setenv("HUMFIND_HOME", str(home))
            out = tmp_path / "out"
            out.mkdir(exist_ok=True)
            return COMMANDS[name](data, out)

        def anew(data: Path) -> object:
            key = name, data, *files_of(data).items()
            if key not in known:
                known[key] = in_home(tmp_path / f"home{len(known)}", data)
            return known[key]

        return lambda data: in_home(tmp_path / "home", data), anew

    return ask


def two_of_one_name(root: Path) -> Iterator[Path]:
    a, b = make_data(root / "a/data", 0), make_data(root / "b/data", 100)
    yield from (a, b, a, b)


def two_of_one_name_and_other_stems(root: Path) -> Iterator[Path]:
    a, b = make_data(root / "a/data", 0), make_data(root / "b/data", 100, first=50)
    yield from (a, b, a)


def two_that_share_a_recording(root: Path) -> Iterator[Path]:
    a, b = make_data(root / "a/data", 0), make_data(root / "b/data", 100, first=50)
    shutil.copy(a / "public_test/full_song/0000.wav", b / "public_test/full_song")
    yield from (a, b, a)


def deleted(root: Path) -> Iterator[Path]:
    data = make_data(root / "data", 0)
    yield data
    for kind in ("full_song", "hum"):
        (data / f"public_test/{kind}/0001.wav").unlink()
    yield data


def deleted_split(root: Path) -> Iterator[Path]:
    data = make_data(root / "data", 0)
    shutil.copytree(data / "public_test", data / "private_test")
    yield data
    shutil.rmtree(data / "private_test")
    yield data


def renamed(root: Path) -> Iterator[Path]:
    data = make_data(root / "data", 0)
    yield data
    for kind in ("full_song", "hum"):
        (data / f"public_test/{kind}/0001.wav").rename(data / f"public_test/{kind}/0009.wav")
    yield data


def moved(root: Path) -> Iterator[Path]:
    data = make_data(root / "a/data", 0)
    yield data
    (root / "b").mkdir()
    yield data.rename(root / "b/data")


def copied_and_changed(root: Path) -> Iterator[Path]:
    a = make_data(root / "a/data", 0)
    yield a
    b = Path(shutil.copytree(a, root / "b/data"))
    yield b
    sing(b / "public_test/full_song/0000.wav", 200)
    sing(b / "train/song/0000.wav", 201)
    sing(a / "public_test/hum/0009.wav", 202)
    yield from (a, b, a)


def made_before_stores_said_whose(root: Path) -> Iterator[Path]:
    a, b = make_data(root / "a/data", 0), make_data(root / "b/data", 100)
    yield a
    for path in (root / "home").rglob(RECORD):
        path.unlink()
    yield from (b, a)


def a_strangers_rows(root: Path) -> Iterator[Path]:
    """Rows that somebody put where this program's own would lie."""
    for split in ("train", "public_test"):
        for kind in ("song", "hum"):
            rows = [(f"{split}/{kind}/{i:04d}.mp3", f"{i:04d}", hum_of(i)) for i in range(5)]
            put_rows(root / "home/crepe_freq/data/swiftf0" / split / kind, rows)
    yield make_data(root / "data", 0)


EVERYWHERE = [two_of_one_name_and_other_stems, deleted]
HISTORIES = [
    two_of_one_name,
    two_that_share_a_recording,
    deleted_split,
    renamed,
    moved,
    copied_and_changed,
    made_before_stores_said_whose,
    a_strangers_rows,
]


@pytest.mark.parametrize(
    ("history", "name"),
    [(history, name) for history in EVERYWHERE for name in COMMANDS]
    + [(two_of_one_name, name) for name in ("f0", "train")]
    + [(history, "run" if history is deleted_split else "predict") for history in HISTORIES],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_was_asked_before_changes_no_answer(
    history: Callable[[Path], Iterator[Path]], name: str, both: Callable[[str], tuple[Answer, Answer]], tmp_path: Path
) -> None:
    ask, ask_anew = both(name)
    for data in history(tmp_path):
        assert ask(data) == ask_anew(data)


def test_the_histories_tell_data_sets_apart(both: Callable[[str], tuple[Answer, Answer]], tmp_path: Path) -> None:
    """Else the test above could not fail; of ``check`` one sees only how many recordings there are."""
    for name in set(COMMANDS) - {"check"}:
        _, ask_anew = both(name)
        a, b = make_data(tmp_path / name / "a/data", 0), make_data(tmp_path / name / "b/data", 100)
        assert ask_anew(a) != ask_anew(b)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_moved_data_set_keeps_its_store(home: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "a/data", 0)
    f0(data, tmp_path)
    parts = {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")}
    data = data.rename(tmp_path / "data")
    f0(data, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")} == parts
    assert recorded(default_store(data, QUICK)) == identify(data)


def test_moving_all_that_is_in_the_home_changes_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for home in (tmp_path / "one", tmp_path / "two"):
        monkeypatch.setenv("HUMFIND_HOME", str(home))
        found += [identify(home / "data/mine"), identify(tmp_path / "mine")]
    assert found[0] == found[2] != found[1] == found[3]


def test_no_path_of_the_machine_is_kept(home: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "a/data", 0)
    f0(data, tmp_path)
    for content in files_of(home).values():
        assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("gone", [["hum/0001.wav"], ["full_song/0000.wav", "full_song/0002.wav"]], ids=len)
def test_rows_without_their_recording_are_counted_and_named(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, gone: list[str]
) -> None:
    data = make_data(tmp_path / "data", 0)
    predict(data, tmp_path)
    for name in gone:
        (data / "public_test" / name).unlink()
    caplog.clear()
    predict(data, tmp_path)
    (line,) = [line for line in caplog.messages if "without their recording" in line]
    assert f": {len(gone)} " in line
    assert all(f"public_test/{name}" in line for name in gone)
    assert "left out" in line


def test_a_kind_without_any_recording_is_not_answered_from_the_own_store(home: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 0)
    predict(data, tmp_path)
    for path in (data / "public_test/full_song").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"full_song: no songs; put them there, or give a store"):
        load_split(data, "public_test", open_store(data, None, QUICK))


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("kept", [0, 1])
def test_a_store_that_is_given(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, tracked: bool, kept: int
) -> None:
    """Rows stand in for a folder without recordings; among recordings, those that were tracked from others do not."""
    data, store = make_data(tmp_path / "data", 0), tmp_path / "store"
    command("f0", data, "--tracker", "swiftf0", "--out", store)
    songs = sorted((data / "public_test/full_song").iterdir())
    for path in songs[kept:]:
        path.unlink()
    if not tracked:
        for path in store.rglob("manifest.json"):
            path.unlink()
    caplog.clear()
    loaded = load_split(data, "public_test", F0Cache(store))
    assert len(loaded.songs) == (1 if tracked and kept else 3)
    assert len(loaded.hums) == 2
    warned = [line for line in caplog.messages if "without their recording" in line]
    assert len(warned) == (1 if tracked or kept else 0)


def test_a_listed_recording_may_be_a_row_and_is_named(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_data(tmp_path / "data", 0)
    before = train(data, tmp_path)
    (data / "train/song/0001.wav").unlink()
    caplog.clear()
    assert train(data, tmp_path) == before
    assert ["train/song/0001.wav" in line and "which it lists" in line for line in caplog.messages] == [True]


def test_a_data_set_of_f0_alone(home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its own store by name, for want of anything else, but never one that is another's; hums find their pairs."""
    for kind in ("song", "hum"):
        rows = [(f"{kind}{i}.mp3", str(i), hum_of(i)) for i in range(3)]
        put_rows(home / "crepe_freq/data/swiftf0/train" / kind, rows)
    data = tmp_path / "data"
    data.mkdir()
    opened = notebooks.open_run(str(data), "", QUICK)
    assert list(opened.splits) == ["train"]
    assert notebooks.example_pair(opened).hum.path == "hum0.mp3"
    assert speed(notebooks.tracker_speeds(opened)) is not None
    split = load_split(data, "train", open_store(data, None, QUICK))
    assert split.pairs == tuple((f"song{i}.mp3", f"hum{i}.mp3") for i in range(3))
    assert caplog.messages == []
    record(home / "crepe_freq/data/swiftf0", tmp_path / "elsewhere/data")
    with pytest.raises(InputError, match=r"train_meta\.csv: missing"):
        load_split(data, "train", open_store(data, None, QUICK))
    assert "is of another data set" in caplog.text


@pytest.mark.parametrize("split", ["train", "public_test"])
def test_the_folder_of_a_split_is_pointed_to_its_data_set(home: Path, tmp_path: Path, split: str) -> None:
    home.mkdir()
    (home / "notebooks").symlink_to(REPOSITORY / "notebooks")
    data = make_data(tmp_path / "data", 0)
    for ask in (
        lambda: load_split(data / split, split, open_store(data / split)),
        lambda: splits_of(data / split),
        lambda: notebooks.open_run(str(data / split), "", QUICK).splits,
        lambda: runner.run(data / split),
    ):
        with pytest.raises(
            InputError, match=f"{split}: a split, not a data set; give the folder that holds it, {data}"
        ):
            ask()
    assert not (home / f"runs/{split}/html").exists(), "before any notebook ran"


def test_a_changed_recording_is_an_error_that_its_mend_mends(home: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", 0)
    predict(data, tmp_path)
    sing(data / "public_test/hum/0001.wav", 300)
    with pytest.raises(
        InputError, match=r"hum/0001\.wav: changed since its f0 was stored; delete (\S+), which"
    ) as error:
        CliRunner().invoke(
            cli.app,
            ["predict", str(data), "--model", str(MODELS["tiny"]), "--tracker", "swiftf0", "--out", "x.csv"],
            catch_exceptions=False,
        )
    place = re.search(r"delete (\S+), which", str(error.value))
    assert place is not None
    Path(place[1]).unlink()
    assert json.loads((tmp_path / "s.json").read_text())["hums"] == 2
    predict(data, tmp_path)


def test_the_model_of_another_data_set_is_not_taken(home: Path, tmp_path: Path, checkpoint: Path) -> None:
    a, b = make_data(tmp_path / "a/data", 0), make_data(tmp_path / "b/data", 100)
    run = run_folder(identify(a))
    record(run, a)
    (run / "model").mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(checkpoint.with_suffix(suffix), run / "model")
    assert load_model("", a)[1] == str(run / "model/model.safetensors")
    with pytest.raises(InputError, match=r"no such model \(.*runs/data/model.* is of another data set called data\)"):
        load_model("", b)
    assert run_folder(identify(b)) != run
    with pytest.raises(InputError, match="was made from another data set"):
        notebooks.open_run(str(b), str(run), QUICK)


def test_a_run_that_does_not_say_whose_it_is_is_taken_with_a_warning(
    home: Path, tmp_path: Path, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(checkpoint.parent, home / "runs/data/model")
    load_model("", tmp_path / "data")
    assert "does not say which data set it was trained on" in caplog.text


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"name": "x", "sha256": 5}', '{"name": 5, "sha256": "00"}'])
def test_a_broken_record_is_an_error(home: Path, tmp_path: Path, content: str) -> None:
    data = make_data(tmp_path / "data", 0)
    (home / "crepe_freq/data/swiftf0").mkdir(parents=True)
    (home / "crepe_freq/data/swiftf0" / RECORD).write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json: does not name a data set .*; delete it"):
        default_store(data, QUICK)


def test_the_committed_store_is_of_the_tiny_demo_set_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path))
    shutil.copytree(REPOSITORY / "crepe_freq", tmp_path / "crepe_freq")
    store, annotation = tmp_path / "crepe_freq/demo-tiny/torchcrepe", REPOSITORY / "meta_data/demo-tiny"
    before = files_of(store)
    marker = json.loads((annotation / "demo.json").read_text())
    assert marker["format"] == demo.FORMAT, "python tools/remake_tiny.py"
    assert recorded(store) == demo_recipe(annotation)
    assert default_store(annotation) == store
    made = tmp_path / "elsewhere/demo-tiny"
    made.mkdir(parents=True)
    shutil.copy(annotation / "demo.json", made)
    sing(made / "public_test/hum/0001.wav", 0)  # as on another machine: its bytes are not known here
    assert default_store(made) == store
    mine = make_data(tmp_path / "mine/demo-tiny", 0)
    assert default_store(mine).parent.name.startswith("demo-tiny-")
    assert files_of(store) == before


STORES = ["x.part", "part-0000.parquet.part.part", "0001.wav.part", "notes.csv.part", "part-1.parquet.part"]


@pytest.mark.parametrize("name", STORES)
def test_somebody_elses_part_is_kept_by_f0_into_the_data_set(home: Path, tmp_path: Path, name: str) -> None:
    data = make_data(tmp_path / "data", 0)
    theirs = [data / "train/hum" / name, data / "public_test/hum" / name]
    for path in theirs:
        path.write_text("mine")
    half = data / "train/hum/part-0007.parquet.part"
    half.write_text("half")
    command("f0", data, "--tracker", "swiftf0", "--out", data)
    assert [path.read_text() for path in theirs] == ["mine", "mine"]
    assert not half.exists(), "what this program left is removed"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "path,reason\nx,y\n", "path,reason,source_sha256\nx\n"])
def test_somebody_elses_table_is_never_replaced(home: Path, tmp_path: Path, content: str) -> None:
    data = make_data(tmp_path / "data", 0)
    path = data / "train/hum/skipped.csv"
    path.write_text(content)
    done = CliRunner().invoke(cli.app, ["f0", str(data), "--tracker", "swiftf0", "--out", str(data)])
    assert isinstance(done.exception, InputError)
    assert "skipped.csv: not written by humfind f0" in str(done.exception)
    assert path.read_text() == content


def test_a_sweep_takes_its_own_halves_alone(tmp_path: Path) -> None:
    mine = ["a.csv.part", "a.csv.123.part"]
    theirs = ["b.csv.part", "a.csv", "a.csv.x.part", "a.csv.bak.part", ".part"]
    for name in (*mine, *theirs):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.part").mkdir()
    remove_partial_files(tmp_path, {"a.csv"}.__contains__)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*theirs, "folder.part"])


def test_a_folder_of_parts_is_not_emptied_by_demo_data(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.part").write_text("mine")
    demo.make("tiny", tmp_path / "out", config=demo.DEMO_SIZES["tiny"].__class__(
        train_songs=2, train_hums=2, public_songs=1, public_hums=1, public_song_s=(10.0, 11.0), books="aird1"
    ))  # fmt: skip
    assert (tmp_path / "out/thesis.part").read_text() == "mine"
    assert has_recordings(tmp_path / "out")
