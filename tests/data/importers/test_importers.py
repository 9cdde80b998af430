"""Corpora of other people: small trees of their true shape, through ``humfind import``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile as sf

from humfind.data import notes
from humfind.data.importers import humtrans, mast, melodies, mir_qbsh, mtg_qbh, pop909
from humfind.f0.store import Store
from humfind.retrieval import checkpoints as models
from humfind.retrieval import indexing, predict, search
from humfind.types import InputError

TUNES = {
    "a": [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 64, 60],
    "b": [67, 67, 69, 71, 72, 71, 69, 67, 64, 62, 60, 62],
    "c": [60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62],
}


def midi_file(path: Path, tune: list[int], tempo: int = 120, track: str = "", chords: bool = False) -> None:
    """A melody of quarter notes; with ``track``, an accompaniment beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = mido.MidiFile(ticks_per_beat=480)
    lead = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))])
    lead.append(mido.MetaMessage("track_name", name=track))
    for note in tune:
        low = [note - 12] if chords else []
        lead += [mido.Message("note_on", note=one, velocity=80, time=0) for one in (note, *low)]
        lead.append(mido.Message("note_off", note=note, time=480))
        lead += [mido.Message("note_off", note=one, time=0) for one in low]
    file.tracks.append(lead)
    if track:
        piano = mido.MidiTrack([mido.MetaMessage("track_name", name="PIANO")])
        piano += [mido.Message("note_on", note=84, velocity=80, time=0), mido.Message("note_off", note=84, time=4800)]
        file.tracks.append(piano)
    file.save(path)


def wav_file(path: Path, tune: list[int], rate: int = 8000, note_s: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hz = np.repeat([440.0 * 2 ** ((note - 69) / 12) for note in tune], round(note_s * rate))
    phase = 2 * np.pi * np.cumsum(hz) / rate
    sf.write(path, 0.3 * sum(np.sin(k * phase) / k for k in (1, 2, 3)), rate)


def pitches(hz: np.ndarray, note_s: float = 0.5) -> list[int]:
    """The pitch in the middle of each note."""
    middle = hz[(np.arange(round(len(hz) * 0.01 / note_s)) * note_s / 0.01 + 25).astype(int)]
    return [round(69 + 12 * np.log2(one / 440)) if one > 0 else 0 for one in middle]


def qbsh(root: Path) -> Path:
    for row, tune in enumerate(TUNES.values(), start=1):
        midi_file(root / f"midiFile/{row:05d}.mid", tune)
        wav = root / f"waveFile/year2003/person00001/{row:05d}.wav"
        wav_file(wav, tune)
        semitones = np.repeat(np.array(tune, float), round(0.5 / mir_qbsh.PV_HOP_S))
        semitones[:3] = 0
        wav.with_suffix(".pv").write_text("".join(f"{value:g}\n" for value in semitones))
    return root


def humfind(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mir_qbsh(tmp_path):
    corpus = mir_qbsh.read(qbsh(tmp_path / "MIR-QBSH"))
    assert [song.music_id for song in corpus.songs] == ["00001", "00002", "00003"]
    assert pitches(corpus.songs[0].hz) == TUNES["a"]
    assert [hum.name for hum in corpus.hums] == [f"year2003_person00001_{i:05d}.wav" for i in (1, 2, 3)]
    assert all(hum.audio and hum.audio.is_file() and hum.hz is None for hum in corpus.hums)


def test_mir_qbsh_by_its_labels_without_a_tracker(tmp_path):
    root = qbsh(tmp_path / "q")
    (root / "waveFile/year2003/person00001/00002.pv").write_text("not a number\n")
    corpus = mir_qbsh.read(root, labelled=True)
    assert [hum.music_id for hum in corpus.hums] == ["00001", "00003"]
    assert corpus.hums[0].hz is not None
    assert corpus.hums[0].hz[0] == 0
    assert set(pitches(corpus.hums[0].hz)) == set(TUNES["a"])
    assert [path for path, _ in corpus.skipped] == ["year2003_person00001_00002.wav"]


def test_a_hum_whose_melody_is_broken_is_told(tmp_path):
    root = qbsh(tmp_path / "q")
    cut = root / "midiFile/00001.mid"
    cut.write_bytes(cut.read_bytes()[:40])
    corpus = mir_qbsh.read(root)
    assert len(corpus.songs) == len(corpus.hums) == 2
    assert [path for path, _ in corpus.skipped] == ["midiFile/00001.mid", "year2003_person00001_00001.wav"]
    assert "not a whole MIDI file" in corpus.skipped[0][1] or "no notes" in corpus.skipped[0][1]


def trans(root: Path) -> Path:
    keys = [f"F0{singer}_00{row:02d}_0001_{take}_D" for row in range(3) for singer in (1, 2) for take in (1,)]
    for key in keys:
        tune = TUNES["abc"[int(key.split("_")[1])]]
        midi_file(root / f"all_midi/midi_data/{key}.mid", tune)
        wav_file(root / f"all_wav/wav_data_sync_with_midi/{key}.wav", tune)
    (root / "train_valid_test_keys.json").write_text(json.dumps({"TRAIN": keys[:2], "VALID": [], "TEST": keys[2:]}))
    return root


def test_humtrans(tmp_path):
    root = trans(tmp_path / "h")
    corpus = humtrans.read(root)
    assert [song.music_id for song in corpus.songs] == ["0001_0001", "0002_0001"]
    assert len(corpus.hums) == 4
    assert pitches(corpus.songs[0].hz) == TUNES["b"]
    assert len(humtrans.read(root, "train").hums) == 2
    (root / "all_wav/wav_data_sync_with_midi/F01_0001_0001_1_D.wav").unlink()
    assert humtrans.read(root).skipped == (("F01_0001_0001_1_D.wav", "no such file"),)


def test_humtrans_without_its_list(tmp_path):
    root = trans(tmp_path / "h")
    (root / "train_valid_test_keys.json").write_text("[]")
    with pytest.raises(InputError, match="no list of keys under TEST"):
        humtrans.read(root)
    (root / "train_valid_test_keys.json").unlink()
    with pytest.raises(InputError, match=r"not HumTrans: no \*\*/train_valid_test_keys.json"):
        humtrans.read(root)


def series_file(path: Path, tune: list[int], shift: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(0, 0.5 * len(tune), 0.0058)
    hz = [440.0 * 2 ** ((tune[int(t / 0.5)] + shift - 69) / 12) for t in times]
    path.write_text("".join(f"{t:.4f}\t{f:.3f}\n" for t, f in zip(times, hz, strict=True)))


def singers(root: Path) -> Path:
    for row, tune in enumerate(TUNES.values(), start=1):
        series_file(root / f"f0data/5{row}_mel1_ref28075{row}.f0s.txt", tune)
        series_file(root / f"f0data/5{row}_mel1_per10155{row}_pass.f0s.txt", tune, 2.0)
        series_file(root / f"f0data/5{row}_mel1_per10156{row}_fail.f0s.txt", tune[::-1], -3.0)
    return root


def test_mast(tmp_path):
    root = singers(tmp_path / "m")
    (root / "f0data/notes.f0s.txt").write_text("0 1\n")
    (root / "f0data/51_mel1_per999_fail.f0s.txt").write_text("1.0 200\n0.5 200\n")
    corpus = mast.read(root)
    assert [song.music_id for song in corpus.songs] == ["51_mel1", "52_mel1", "53_mel1"]
    assert len(corpus.hums) == 6
    assert pitches(corpus.songs[2].hz) == TUNES["c"]
    assert [path for path, _ in corpus.skipped] == ["51_mel1_per999_fail.f0s.txt", "notes.f0s.txt"]
    assert {hum.music_id for hum in mast.read(root, "pass").hums} == {"51_mel1", "52_mel1", "53_mel1"}
    assert len(mast.read(root, "pass").hums) == 3


def test_mtg_qbh(tmp_path):
    root = tmp_path / "MTG-QBH"
    for i in (1, 2, 3):
        wav_file(root / f"audio/q{i}.wav", TUNES["a"][:4])
    table = "Query;Song title;Artist\nq1.wav;Æon Song;Some Band\nq2;Other;\nq9;Third;Nobody\n"
    (root / "queries.csv").write_text(table, encoding="latin-1")
    corpus = mtg_qbh.read(root)
    assert [(hum.name, hum.music_id) for hum in corpus.hums] == [("q1.wav", "some_band_on_song"), ("q2.wav", "other")]
    assert {song.title for song in corpus.songs} == {"Some Band - Æon Song", "Other"}
    assert dict(corpus.skipped) == {"q9": "no such wav file", "q3.wav": "not in the table"}
    (root / "queries.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="no table that names the wav files"):
        mtg_qbh.read(root)


def test_pop909(tmp_path):
    root = tmp_path / "POP909"
    for row, tune in enumerate(TUNES.values(), start=1):
        midi_file(root / f"{row:03d}/{row:03d}.mid", tune, track="MELODY")
    midi_file(root / "004/004.mid", TUNES["a"])
    midi_file(root / "001/versions/001-v1.mid", TUNES["a"], track="MELODY")
    corpus = pop909.read(tmp_path)
    assert [song.music_id for song in corpus.songs] == ["001", "002", "003"]
    assert pitches(corpus.songs[1].hz) == TUNES["b"]
    assert corpus.skipped == (("POP909/004/004.mid", "no track is called MELODY"),)


KERN = "**kern\n*M4/4\n*C:\n" + "".join(f"4{name}\n" for name in ("c", "d", "e", "f", "g", "a", "g", "e")) + "*-\n"


def test_a_folder_of_melodies(tmp_path):
    root = tmp_path / "sheets"
    midi_file(root / "deep/one.mid", TUNES["a"], tempo=60, chords=True)
    (root / "two.krn").write_text(KERN)
    scale = "CDEF GABc|cBAG FEDC|" * 2
    good = "".join(f"X:{i}\nT:Tune {i}\nM:4/4\nL:1/4\nK:C\n{scale}\n\n" for i in (1, 2))
    (root / "three.abc").write_text(f"{good}X:3 % short\nT:Tune 3\nM:4/4\nK:C\nC|\n")
    (root / "cut.mid").write_bytes(b"MThd")
    (root / "notes.txt").write_text("no melody")
    corpus = melodies.read(root)
    found = {song.music_id: song for song in corpus.songs}
    assert set(found) == {"deep__one", "two", "three__1", "three__2"}
    assert pitches(found["deep__one"].hz, note_s=1.0) == TUNES["a"], "the highest of each chord"
    assert pitches(found["two"].hz) == [60, 62, 64, 65, 67, 69, 67, 64]
    assert found["three__2"].title == "Tune 2"
    assert sorted(path for path, _ in corpus.skipped) == ["cut.mid", "three.abc, tune 3"]
    with pytest.raises(InputError, match="no melodies; give a folder"):
        melodies.read(tmp_path / "nothing")


def test_tempo_changes_and_notes_that_never_end(tmp_path):
    file = mido.MidiFile(ticks_per_beat=100)
    lead = mido.MidiTrack([mido.Message("note_on", note=60, velocity=9, time=0)])
    lead.append(mido.Message("note_on", note=60, velocity=0, time=100))
    lead.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=0))
    lead.append(mido.Message("note_on", note=64, velocity=9, time=0))
    lead.append(mido.MetaMessage("end_of_track", time=100))
    file.tracks.append(lead)
    file.save(tmp_path / "x.mid")
    assert notes.midi_rows(tmp_path / "x.mid") == pytest.approx(np.array([[0, 0.5, 60], [0.5, 1.5, 64]]))


@pytest.mark.parametrize(
    ("command", "tree"),
    [("mir-qbsh", qbsh), ("mast", singers), ("humtrans", trans)],
    ids=["mir-qbsh", "mast", "humtrans"],
)
def test_from_the_corpus_to_an_mrr(tmp_path, command, tree, monkeypatch):
    """The printed command really searches what was imported, hums from audio included; twice gives the same bytes."""
    root, out = tree(tmp_path / "corpus"), tmp_path / "data"
    done = humfind("import", command, root, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "humfind predict" in done.stdout
    again = humfind("import", command, root, "--out", out)
    assert again.returncode == 2
    assert "holds something already" in again.stderr
    humfind("import", command, root, "--out", tmp_path / "twin")
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert all((out / file).read_bytes() == (tmp_path / "twin" / file).read_bytes() for file in files)
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path))
    found = predict.predict(out, "public_test", tmp_path / "s.csv", out / "f0", model=models.PRETRAINED)
    assert found.report is not None
    assert found.report.queries == len(search.ranks_of(found.rankings, {r.query: "" for r in found.rankings}))
    assert found.report.mrr.value > (0.4 if command == "mast" else 0.9)


def test_songs_become_a_store_that_can_be_indexed(tmp_path):
    root = tmp_path / "POP909"
    for row, tune in enumerate(TUNES.values(), start=1):
        midi_file(root / f"{row:03d}/{row:03d}.mid", tune, track="MELODY")
    done = humfind("import", "pop909", root, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "3 songs" in done.stdout
    assert [row.music_id for row in Store(tmp_path / "store").read("public_test", "song")] == ["001", "002", "003"]
    index, skipped = indexing.index_of(tmp_path / "store", "public_test", model=models.PRETRAINED)
    assert index.music_ids == ("001", "002", "003")
    assert skipped == []


def test_a_wrong_folder_is_told_what_the_right_one_looks_like(tmp_path):
    (tmp_path / "x").mkdir()
    for command in ("mir-qbsh", "mtg-qbh", "humtrans", "mast", "pop909", "melodies"):
        done = humfind("import", command, tmp_path / "x", "--out", tmp_path / "y")
        assert done.returncode == 2, command
        assert "give" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "y").exists()
