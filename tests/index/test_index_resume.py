"""``humfind index FOLDER``: refused at once or never, nothing tracked twice, and one bad file costs no other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_world import CONTOUR, LONGEST_S, QUICK, PlainModel, f0_of, hum_of, melody, put_audio

from humfind import cli
from humfind.config import F0Config, ModelConfig
from humfind.data.importers import melodies
from humfind.data.zalo import load_split
from humfind.index import Index, Song
from humfind.retrieval import indexing, search, searcher
from humfind.types import Embeddings, Windows

NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.fixture
def music(tmp_path) -> Path:
    for i, name in enumerate(("a/x", "b/x", "c")):
        put_audio(tmp_path / f"music/{name}.wav", f0_of(melody(i)[:500]))
    return tmp_path / "music"


def index(music: Path, out: Path, checkpoint: str, f0: F0Config = QUICK) -> tuple[Index, dict[str, str]]:
    made, skipped = indexing.write_index(music, out, "public_test", model=checkpoint, f0=f0)
    return made, dict(skipped)


def parts_of(out: Path) -> dict[str, int]:
    """The parts of the f0 store within an index, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("f0/*/song/*.parquet")}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_killed_run_goes_on_where_it_was(tmp_path, checkpoint):
    music, out, whole = tmp_path / "music", tmp_path / "out", tmp_path / "whole"
    for i in range(10):
        put_audio(music / f"{i}.wav", f0_of(melody(i)))
    command = [sys.executable, "-m", "humfind", "index", str(music), "--out", str(out), "--model", checkpoint,
               "--tracker", "swiftf0"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        end = time.monotonic() + LONGEST_S
        while len(parts_of(out)) < 4 and running.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
    kept = parts_of(out)
    assert 4 <= len(kept) < 10
    assert not (out / "index.json").exists()
    made, skipped = index(music, out, checkpoint)
    assert (len(made.music_ids), skipped) == (10, {})
    assert {name: when for name, when in parts_of(out).items() if name in kept} == kept, "nothing is tracked twice"
    assert len(parts_of(out)) == 10
    index(music, whole, checkpoint)
    assert files_of(out) == files_of(whole), "the unbroken run's bytes"


@pytest.mark.parametrize("f0", [QUICK, replace(QUICK, tracker="mix")], ids=["swiftf0", "mix"])
def test_a_second_run_tracks_nothing_and_follows_what_has_changed(music, tmp_path, checkpoint, f0):
    out = tmp_path / "out"
    first, _ = index(music, out, checkpoint, f0)
    assert first.music_ids == ("a/x", "b/x", "c"), "files of one name in two folders stay apart"
    kept = parts_of(out)
    again, _ = index(music, out, checkpoint, f0)
    assert parts_of(out) == kept
    assert [song.checksum for song in again.songs] == [song.checksum for song in first.songs]

    put_audio(music / "a/x.wav", f0_of(melody(7)[:500]))  # changed
    (music / "c.wav").unlink()  # deleted
    (music / "b/x.wav").rename(music / "moved.wav")
    (music / "copy.wav").write_bytes((music / "moved.wav").read_bytes())
    found, skipped = index(music, out, checkpoint, f0)
    assert (found.music_ids, skipped) == (("a/x", "copy"), {"moved.wav": "the same file as copy.wav, which is used"})
    assert len(parts_of(out)) == len(kept) + 1, "only the changed one is tracked"
    checksums = {song.music_id: song.checksum for song in (*first.songs, *found.songs)}
    assert checksums["copy"] == checksums["b/x"]
    assert checksums["a/x"] not in {song.checksum for song in first.songs}
    alone, _ = indexing.index_of(music, "public_test", model=checkpoint, f0=f0)
    assert alone.songs == found.songs
    assert (alone.vectors[:] == found.vectors[:]).all(), "as without a store"


def test_what_cannot_be_used_is_told_and_costs_no_other(music, tmp_path, checkpoint):
    for name in (f"{NOT_UTF8}.wav", f"{NOT_UTF8}/inside.wav"):  # sound like any other
        (music / name).parent.mkdir(exist_ok=True)
        (music / name).write_bytes((music / "c.wav").read_bytes())
    (music / "zz.wav").write_bytes(b"not audio")
    (music / "empty.wav").write_bytes(b"")
    (music / "nothing.wav").symlink_to("nowhere.wav")
    os.mkfifo(music / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(music / "s.wav"))
        made, skipped = index(music, tmp_path / "out", checkpoint)
    assert made.music_ids == ("a/x", "b/x", "c")
    assert skipped.keys() == {
        "caf\\xe9.wav", "caf\\xe9/inside.wav", "zz.wav", "empty.wav", "nothing.wav", "pipe.wav", "s.wav",
    }  # fmt: skip
    assert skipped["caf\\xe9.wav"] == "its name is not UTF-8; rename it"
    assert all(skipped.values())
    again, _ = index(music, tmp_path / "out", checkpoint)
    assert again.songs == made.songs


def test_a_name_that_is_not_utf_8_in_a_data_set_and_among_melodies(tmp_path):
    for name in ("public_test/full_song/1", "public_test/hum/h", f"public_test/hum/{NOT_UTF8}"):
        path = tmp_path / "data" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    split = load_split(tmp_path / "data", "public_test")
    assert [item.name for item in split.hums] == ["h.wav"]
    assert split.strays == (("public_test/hum/caf\\xe9.wav", "its name is not UTF-8; rename it"),)

    (tmp_path / "sheets").mkdir()
    for name in ("a", NOT_UTF8, "z"):
        (tmp_path / "sheets" / f"{name}.abc").write_text(
            "X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|CDEF|GABc|CDEF|GABc|\n"
        )
    os.mkfifo(tmp_path / "sheets" / "pipe.abc")
    corpus = melodies.read(tmp_path / "sheets")
    assert [song.name for song in corpus.songs] == ["a__1", "z__1"]
    assert [path for path, _ in corpus.skipped] == ["caf\\xe9.abc", "pipe.abc"]


def test_a_hum_and_an_index_of_any_name(music, tmp_path, checkpoint, capfd, monkeypatch):
    out = tmp_path / NOT_UTF8
    index(music, out, checkpoint)
    put_audio(tmp_path / "hum.wav", hum_of(1, 0.0, 4.0))
    (tmp_path / "hum.wav").rename(tmp_path / f"{NOT_UTF8}.wav")
    for more in ([], ["--json"]):
        arguments = ["humfind", "search", str(tmp_path / f"{NOT_UTF8}.wav"), "--index", str(out), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        assert "b/x" in capfd.readouterr().out


REFUSED = {
    "a file": (lambda out: out.write_text(""), "a file, not a folder"),
    "in a file": (lambda out: out.parent.rmdir() or out.parent.write_text(""), "a file, not a folder"),
    "a link to nothing": (lambda out: out.symlink_to("nowhere"), "a link to 'nowhere', which is not there"),
    "a link to itself": (lambda out: out.symlink_to(out.name), "which is not there"),
    "another's folder": (lambda out: out.mkdir() or (out / "thesis.txt").write_text(""), "holds something else"),
    "another's f0": (lambda out: (out / "f0").mkdir(parents=True) or (out / "f0/x").write_text(""), "something else"),
    "another's index.json": (lambda out: out.mkdir() or (out / "index.json").write_text("{}"), "not an index's"),
    "the source": (lambda out: out.symlink_to(out.parents[1] / "music"), "the very folder that is read"),
}


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(music, tmp_path):
    """Before torch is imported, a model looked for or a recording read; and nothing is left there."""
    for number, (make, _) in enumerate(REFUSED.values()):
        (tmp_path / str(number)).mkdir()
        make(tmp_path / str(number) / "out")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*") if path.parent.parent == tmp_path}
    code = """if True:
        import sys
        from pathlib import Path
        from humfind.retrieval.indexing import write_index
        from humfind.types import InputError
        for number in range(int(sys.argv[2])):
            try:
                write_index(Path(sys.argv[1], "music"), Path(sys.argv[1], str(number), "out"), "public_test")
            except InputError as error:
                print(error)
        print("torch" in sys.modules)
        """
    command = [sys.executable, "-c", code, str(tmp_path), str(len(REFUSED))]
    *lines, heavy = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert heavy == "False"
    for line, (name, (_, words)) in zip(lines, REFUSED.items(), strict=True):
        assert words in line, name
        assert "choose another folder for --out" in line, name
    assert {path: path.lstat().st_mtime_ns for path in before} == before


def test_an_interrupted_run_left_no_index_and_is_gone_on_with(music, tmp_path, checkpoint):
    """A folder that holds only f0 of this program is one of its own."""
    index(music, tmp_path / "out", checkpoint)
    for path in (tmp_path / "out").iterdir():
        if path.is_file():
            path.unlink()
    kept = parts_of(tmp_path / "out")
    made, _ = index(music, tmp_path / "out", checkpoint)
    assert (len(made.songs), parts_of(tmp_path / "out")) == (3, kept)
    assert np.isfinite(made.start_s).all()


class CountingModel(PlainModel):
    """Which windows were embedded, by how many each recording has."""

    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]:
        embedded.extend(len(windows) for windows in many)
        return super().embed_many(many)


embedded: list[int] = []


def test_recordings_that_have_not_changed_are_not_embedded_again(tmp_path):
    songs = [(Song(f"{i}", title=f"title {i}"), f0_of(melody(i))) for i in range(4)]
    search.build_index(songs[:3], CountingModel()).save(tmp_path / "before")
    known = Index.load(tmp_path / "before")
    embedded.clear()
    changed = [songs[0], (Song("1", title="new title"), f0_of(melody(9))), (Song("renamed"), songs[2][1]), songs[3]]
    made = search.build_index(changed, CountingModel(), known=known)
    assert len(embedded) == 2, "the changed one and the new one"
    made.save(tmp_path / "now")
    search.build_index(changed, CountingModel()).save(tmp_path / "anew")
    assert files_of(tmp_path / "now") == files_of(tmp_path / "anew")
    other = CountingModel(ModelConfig(contour=replace(CONTOUR, song_hop_s=2.0)))
    embedded.clear()
    search.build_index(changed, other, known=known)
    assert len(embedded) == 4, "another model takes nothing over"


def test_files_that_differ_in_their_suffix_alone_are_songs_of_their_own(tmp_path, checkpoint):
    for i, name in enumerate(("a.wav", "a.flac", "b.wav")):
        put_audio(tmp_path / "music" / name, f0_of(melody(i)[:500]))
    made, skipped = index(tmp_path / "music", tmp_path / "out", checkpoint)
    assert (made.music_ids, skipped) == (("a.flac", "a.wav", "b"), {})


def test_a_folder_is_taken_as_mixes_and_its_titles_from_tags(tmp_path, checkpoint):
    from mutagen.flac import FLAC

    put_audio(tmp_path / "music/a.flac", f0_of(melody(0)[:800]), 44_100)
    tags = FLAC(tmp_path / "music/a.flac")
    tags["title"], tags["artist"] = "A tune", "Somebody"
    tags.save()
    made, _ = indexing.index_of(tmp_path / "music", "public_test", model=checkpoint)
    assert made.info.tracker["tracker"] == "mix"
    assert made.title("a") == "Somebody - A tune"
    put_audio(tmp_path / "hum.wav", hum_of(0, 1.0, 5.0))
    made.save(tmp_path / "index")
    _, ranking = searcher.search_file(tmp_path / "hum.wav", tmp_path / "index")
    assert ranking.music_ids == ("a",)
