"""Every reader ends, in success or in one line, within seconds and little memory, whatever lies there in place of its
file."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from tiny_world import LONGEST_S, PlainModel, f0_of, melody, put_audio

from humfind.audio.load import load, require_readable, stream
from humfind.data import notes
from humfind.data.importers import mast, mir_qbsh, pickle2021
from humfind.data.importers.melodies import read as read_melodies
from humfind.data.zalo import ANSWERS_HEADER, read_answers, read_table, read_titles
from humfind.f0.store import StoredF0, read_part, read_skipped, write_part
from humfind.index import Index, Song
from humfind.retrieval import search
from humfind.retrieval.submission import read as read_submission
from humfind.types import InputError

TUNE = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\n" + "CDEF GABc|" * 4 + "\n"

# reader -> (name of its file, what it does with a path)
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "audio": ("a.wav", load),
    "stream": ("a.flac", lambda path: list(stream(path, 16_000))),
    "first samples": ("a.mp3", require_readable),
    "table": ("a.csv", lambda path: read_table(path, ANSWERS_HEADER)),
    "answers": ("train_meta.csv", read_answers),
    "titles": ("songs.csv", lambda path: read_titles(path.parent)),
    "submission": ("s.csv", read_submission),
    "part": ("part-0000.parquet", lambda path: list(read_part(path, 0.5))),
    "skipped": ("part-0000.parquet", read_skipped),
    "midi": ("a.mid", lambda path: list(notes.read(path))),
    "abc": ("a.abc", lambda path: list(notes.read(path))),
    "kern": ("a.krn", lambda path: list(notes.read(path))),
    "mast": ("a.f0s.txt", mast.series),
    "pitch vector": ("a.pv", mir_qbsh.pitch_vector),
    "pickle": ("a.pickle", pickle2021.read),
    "index": ("index.json", lambda path: Index.load(path.parent)),
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(8 * 2**30)


THERE: dict[str, Callable[[Path], object]] = {
    "a pipe": fifo,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "nothing in it": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "8 GB of holes": sparse,
    "UTF-16": lambda path: path.write_text(TUNE, encoding="utf-16"),
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(3000)),
    "a long line": lambda path: path.write_bytes(b"9" * 300_000),
    "huge numbers": lambda path: path.write_text("0 220\n1e7 220\n1e300 1e300\n"),
}


def peak_mb() -> int:
    """Of this process since it was started; ``ru_maxrss`` begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


LIMIT_BYTES = 3 * 2**30


def test_whatever_lies_there_a_reader_ends(tmp_path: Path) -> None:
    """All in one process with an alarm and a limit on memory, which are the operating system's."""
    for number, (what, put) in enumerate(THERE.items()):
        (tmp_path / str(number)).mkdir()
        for name in {name for name, _ in READERS.values()}:
            put(tmp_path / str(number) / name)
        (tmp_path / str(number) / "what").write_text(what)
    code = f"""
import resource, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from pathlib import Path
import test_hostile_files as hostile
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + {LIMIT_BYTES}, -1))
for reader, (name, read) in hostile.READERS.items():
    for folder in sorted(Path({str(tmp_path)!r}).iterdir(), key=lambda f: int(f.name)):
        print(reader, (folder / "what").read_text(), flush=True)
        signal.alarm(10)
        try:
            read(folder / name)
        except (hostile.InputError, ValueError, OSError) as error:
            line = str(error)
            assert line.strip() and len(line) < 2000, line
        except MemoryError:
            sys.exit("out of memory")
        signal.alarm(0)
    print("ended", hostile.peak_mb(), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONGEST_S)
    said = done.stdout.splitlines()
    assert done.returncode == 0, (said[-1], done.returncode, done.stderr[-2000:])
    peaks = [int(line.split()[1]) for line in said if line.startswith("ended")]
    assert len(peaks) == len(READERS)
    assert max(peaks) < 1500


ABC_FILES = {
    "a byte order mark": b"\xef\xbb\xbf" + TUNE.encode(),
    "UTF-16": TUNE.encode("utf-16"),
    "UTF-16, big endian": b"\xfe\xff" + TUNE.encode("utf-16-be"),
    "carriage returns": TUNE.replace("\n", "\r").encode(),
}


@pytest.mark.parametrize("what", ABC_FILES)
def test_abc_is_read_however_it_was_saved(what: str, tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_bytes(ABC_FILES[what])
    ((number, title, hz),) = notes.read(tmp_path / "a.abc")
    assert (number, title) == ("1", "A tune")
    assert (hz > 0).mean() > 0.9


BAD_ABC = {
    "empty": "",
    "no X:": TUNE.replace("X:1\n", ""),
    "a zero denominator of the length": TUNE.replace("L:1/4", "L:1/0"),
    "a zero denominator of the metre": TUNE.replace("M:4/4", "M:4/0"),
    "a zero denominator of the tempo": TUNE.replace("K:C", "Q:1/0=120\nK:C"),
    "a zero denominator of a note": TUNE.replace("C", "C/0"),
    "a huge metre": TUNE.replace("M:4/4", f"M:{'9' * 400}/4"),
    "a huge tempo": TUNE.replace("K:C", f"Q:1/4={'9' * 400}\nK:C"),
    "a key that is none": TUNE.replace("K:C", "K:H##"),
    "a tuplet of nothing": TUNE.replace("CDEF", "(0CDEF"),
    "an octave beyond all": TUNE.replace("C", "C" + "," * 400),
    "an open chord": TUNE.replace("CDEF", "[CDEF"),
}


@pytest.mark.parametrize("what", BAD_ABC)
def test_a_tune_that_cannot_be_read_costs_no_other(what: str, tmp_path: Path) -> None:
    (tmp_path / "bad.abc").write_text(BAD_ABC[what])
    (tmp_path / "good.abc").write_text(TUNE)
    found = read_melodies(tmp_path)
    assert "good__1" in {song.name for song in found.songs}
    assert len(found.songs) + len(found.skipped) == 2
    for song in found.songs:
        assert song.hz is not None
        assert np.isfinite(song.hz).all()


def test_midi_with_an_impossible_key_is_one_that_is_skipped(tmp_path: Path) -> None:
    track = mido.MidiTrack([mido.MetaMessage("key_signature", key="C")])
    for note in range(60, 80):
        track += [mido.Message("note_on", note=note), mido.Message("note_off", note=note, time=480)]
    file = mido.MidiFile(tracks=[track])
    file.save(tmp_path / "good.mid")
    content = (tmp_path / "good.mid").read_bytes()
    at = content.index(b"\xff\x59\x02")
    (tmp_path / "bad.mid").write_bytes(content[: at + 3] + struct.pack("bB", 99, 7) + content[at + 5 :])
    found = read_melodies(tmp_path)
    assert [song.name for song in found.songs] == ["good"]
    assert [skip[0] for skip in found.skipped] == ["bad.mid"]


def part_of(file: Path, columns: dict[str, object]) -> Path:
    row = {"path": ["a.mp3"], "hop_s": [0.01], "hz": [[220.0, 221.0]], "confidence": [[1.0, 1.0]]}
    table = {**row, **columns}
    pq.write_table(pa.table(table), file)
    return file


BAD_PARTS: dict[str, tuple[dict[str, object], str]] = {
    "hop NaN": ({"hop_s": [float("nan")]}, "hop_s is nan"),
    "hop infinite": ({"hop_s": [float("inf")]}, "hop_s is inf"),
    "hop null": ({"hop_s": pa.array([None], pa.float64())}, "empty rows"),
    "hop 1e9": ({"hop_s": [1e9]}, "hop_s is"),
    "hop 0": ({"hop_s": [0.0]}, "hop_s is"),
    "hz 3e38": ({"hz": [[3e38, 220.0]]}, "no recording has"),
    "hz negative": ({"hz": [[-1.0, 220.0]]}, "negative"),
    "hz NaN": ({"hz": [[float("nan"), 220.0]]}, "NaN"),
    "a day": ({"hop_s": [0.5], "hz": [[220.0] * 172_800], "confidence": [[1.0] * 172_800]}, "24.0 hours"),
    "no confidence": ({"confidence": [[1.0]]}, "shape"),
    "a path of a megabyte": ({"path": pa.array(["a" * 10**6]).dictionary_encode()}, "text of 1,000,000 bytes"),
}


@pytest.mark.parametrize("what", BAD_PARTS)
def test_a_part_that_no_tracker_wrote_is_one_line(what: str, tmp_path: Path) -> None:
    columns, word = BAD_PARTS[what]
    with pytest.raises(InputError, match=word):
        list(read_part(part_of(tmp_path / "part-0000.parquet", columns), 0.5))


def test_a_column_that_is_there_twice_is_one_line(tmp_path: Path) -> None:
    names = ["path", "hop_s", "hz", "confidence", "hz"]
    values = [["a.mp3"], [0.01], [[220.0]], [[1.0]], [[440.0]]]
    pq.write_table(pa.Table.from_arrays([pa.array(value) for value in values], names), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="column hz is there 2 times"):
        list(read_part(tmp_path / "p.parquet", 0.5))


def test_a_small_part_of_huge_columns_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Kilobytes on the disk, gigabytes in memory: runs of one value."""
    count = 120_000_000
    zeros = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.array(np.zeros(count, np.float32)))
    table = pa.table({"path": ["a.mp3"], "hop_s": [0.01], "hz": zeros, "confidence": [[0.0]]})
    path = tmp_path / "part-0000.parquet"
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="120,000,000 values in a column"):
        list(read_part(path, 0.5))


def test_flac_of_unknown_length_is_read(tmp_path: Path) -> None:
    """A stream's encoder does not know the length; the header's 36 bits of it are 0 then."""
    path = tmp_path / "a.flac"
    soundfile.write(path, 0.5 * np.sin(np.arange(32_000) / 9), 16_000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the upper 4 bits of the count of samples; STREAMINFO begins at byte 8
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert len(load(path).samples) == 32_000
    require_readable(path)


def test_a_search_of_a_long_hum_at_a_high_rate_streams(tmp_path: Path) -> None:
    """The hum of five minutes at 192 kHz, 230 MB of samples, is tracked without holding them."""
    put_audio(tmp_path / "songs" / "a.wav", f0_of(melody(0)))
    with soundfile.SoundFile(tmp_path / "hum.flac", "w", 192_000, 1) as file:
        second = (0.4 * np.sin(2 * np.pi * 220 * np.arange(192_000) / 192_000)).astype(np.float32)
        for _ in range(300):
            file.write(second)
    index = ["index", "songs", "--model", "pretrained", "--tracker", "swiftf0", "--out", "index"]
    subprocess.run([sys.executable, "-m", "humfind", *index], cwd=tmp_path, check=True, capture_output=True)
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]\n"
        "from pathlib import Path; from humfind.retrieval.query import load_queries\n"
        "load_queries([Path('hum.flac')], Path('index'))\n"
        "from test_hostile_files import peak_mb; print(peak_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 700


def test_a_recording_is_not_unreadable_because_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a recording is kept: it would be left out of every later run."""

    def without_memory(*_: object) -> None:
        raise MemoryError("Unable to allocate 4.00 MiB")

    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16_000)
    monkeypatch.setattr("humfind.audio.load._mean", without_memory)
    with pytest.raises(MemoryError):
        load(tmp_path / "a.wav")


class Watched(io.FileIO):
    """A file that keeps which threads read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.threads: set[int] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.get_ident())
        return super().read(-1 if size is None else size)


def test_a_table_is_read_by_the_thread_that_asks(tmp_path, monkeypatch):
    """A thread of Arrow that still holds a file of Python aborts the process where it ends at that moment."""
    lines = [StoredF0(f"{i}.mp3", f"{i}", f0_of(melody(i)), "0" * 64) for i in range(50)]
    write_part(tmp_path, 0, lines)
    search.build_index([(Song(row.path), row.f0) for row in lines[:3]], PlainModel()).save(tmp_path / "index")
    opened: list[Watched] = []

    def watched(path: Path, mode: str = "r", *more: object, **named: object) -> object:
        if mode != "rb":
            return plain(path, mode, *more, **named)
        opened.append(Watched(path))
        return opened[-1]

    plain = Path.open
    monkeypatch.setattr(Path, "open", watched)
    assert len(list(read_part(tmp_path / "part-0000.parquet", 0.5))) == 50
    assert len(Index.load(tmp_path / "index").songs) == 3
    read = [one.threads for one in opened if one.name.suffix == ".parquet"]
    assert len(read) == 2
    assert read == [{threading.get_ident()}] * 2
