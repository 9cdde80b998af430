"""The competition's layout, as it should be and as it comes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from humfind.data.zalo import Item, load_split, read_answers, read_table, read_titles, split_by_song, stem
from humfind.types import InputError

META = "music_id,song_path,hum_path\n"


@dataclass(frozen=True)
class Row:
    path: str
    music_id: str | None = None


@dataclass(frozen=True)
class Rows:
    """A store, as far as a split needs one."""

    song: tuple[Row, ...] = ()
    hum: tuple[Row, ...] = ()

    def read(self, split, kind):
        return list(getattr(self, kind))

    default = False

    def tracker(self, split, kind):
        return {}


def touch(data, *paths):
    for path in paths:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(b"")


def meta(data, text, **kwargs):
    touch(data, "train/train_meta.csv")
    (data / "train/train_meta.csv").write_bytes(text.encode(**kwargs))


PAIRS = META + "".join(
    f"{song},train/song/{recording},train/hum/{hum}.mp3\n"
    for song, recording, hum in [(1, "0000.mp3", "0000"), (1, "0000.mp3", "0001"), (2, "0002.wav", "0002")]
)


@pytest.mark.parametrize("text", [PAIRS, "\ufeff" + PAIRS, PAIRS.replace("\n", "\r\n"), PAIRS + "\n\n"])
def test_train(tmp_path, text):
    meta(tmp_path, text)
    touch(tmp_path, "train/song/0000.mp3")
    split = load_split(tmp_path, "train")
    assert [(item.path, item.music_id) for item in split.songs] == [
        ("train/song/0000.mp3", "1"),
        ("train/song/0002.wav", "2"),
    ]
    assert split.answers == {"0000.mp3": "1", "0001.mp3": "1", "0002.mp3": "2"}
    assert split.songs[0].audio == tmp_path / "train/song/0000.mp3"
    assert split.songs[1].audio is None
    part = split.of_songs({"2"})
    assert [item.name for item in part.hums] == ["0002.mp3"]
    assert part.answers == {"0002.mp3": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,song,hum\n1,a,b\n", "header is 'id,song,hum'; expected 'music_id,song_path,hum_path'"),
        (PAIRS.replace(",", ";"), "header is 'music_id;song_path;hum_path'"),
        ("", "header is ''"),
        (META + "1,a.mp3\n", "line 2: expected music_id,song_path,hum_path"),
        (META + "1,a.mp3,\n", "line 2"),
        (META + "1,../a.mp3,b.mp3\n", r"\.\./a.mp3 lies outside"),
        (META + "1,a.mp3,/etc/passwd\n", "/etc/passwd lies outside"),
        (META + "1,a.mp3,b.mp3\n2,a.mp3,c.mp3\n", "a.mp3 belongs to two songs"),
        (META + "1,x/a.mp3,b.mp3\n1,y/a.mp3,c.mp3\n", "have one stem"),
        (META, "no songs"),
    ],
)
def test_a_wrong_meta_file_is_told(tmp_path, text, message):
    meta(tmp_path, text)
    with pytest.raises(InputError, match=message):
        load_split(tmp_path, "train")


def test_a_link_that_leads_outside_is_told(tmp_path):
    (tmp_path / "secret.mp3").write_bytes(b"")
    data = tmp_path / "data"
    touch(data, "public_test/full_song/a.mp3", "public_test/hum/b.mp3")
    (data / "public_test/hum/c.mp3").symlink_to(tmp_path / "secret.mp3")
    with pytest.raises(InputError, match="lies outside"):
        load_split(data, "public_test")


def test_a_meta_file_in_another_encoding_is_told(tmp_path):
    meta(tmp_path, META + "1,a.mp3,ü.mp3\n", encoding="latin-1")
    with pytest.raises(InputError, match="UTF-8"):
        load_split(tmp_path, "train")


def test_public_test_from_audio(tmp_path):
    touch(tmp_path, "public_test/full_song/7.mp3", "public_test/full_song/8.ogg", "public_test/full_song/.DS_Store")
    touch(tmp_path, "public_test/full_song/notes.txt", "public_test/hum/Lạc trôi, 1.WAV", "public_test/hum/0001.mp3")
    split = load_split(tmp_path, "public_test")
    assert [(item.music_id, item.path) for item in split.songs] == [
        ("7", "public_test/full_song/7.mp3"),
        ("8", "public_test/full_song/8.ogg"),
    ]
    assert [item.name for item in split.hums] == ["0001.mp3", "Lạc trôi, 1.WAV"]
    assert split.answers is None


def test_public_test_from_the_store_alone(tmp_path):
    split = load_split(tmp_path, "public_test", Rows((Row("full_song/7.mp3"), Row("8", "eight")), (Row("h/0001.mp3"),)))
    assert [(item.music_id, item.audio) for item in split.songs] == [("eight", None), ("7", None)]
    assert [item.name for item in split.hums] == ["0001.mp3"]


def test_store_and_audio_join_by_stem(tmp_path):
    touch(tmp_path, "public_test/full_song/7.mp3", "public_test/hum/0001.mp3")
    split = load_split(
        tmp_path, "public_test", Rows((Row("7"), Row("8")), (Row("0002.mp3"), Row("elsewhere/0001.wav")))
    )
    assert [item.music_id for item in split.songs] == ["8", "7"]
    assert {item.name for item in split.hums} == {"0001.mp3", "0002.mp3"}
    assert len(split.hums) == 2


def test_train_from_a_store_without_a_meta_file(tmp_path):
    split = load_split(tmp_path, "train", Rows((Row("s1", "1"),), (Row("h1.mp3", "1"), Row("h2.mp3"))))
    assert split.answers == {"h1.mp3": "1"}


@pytest.mark.parametrize("hum", ["0001.mp3", "0001", "public_test/hum/0001.mp3"])
def test_answers_with_or_without_suffix_and_folder(tmp_path, hum):
    touch(tmp_path, "public_test/full_song/7.mp3", "public_test/hum/0001.mp3")
    (tmp_path / "public_test/answers.csv").write_text(f"hum,music_id\n{hum},7\n")
    assert load_split(tmp_path, "public_test").answers == {"0001.mp3": "7"}


def test_wrong_answers_are_told(tmp_path):
    touch(tmp_path, "public_test/full_song/7.mp3", "public_test/hum/0001.mp3")
    file = tmp_path / "public_test/answers.csv"
    file.write_text("hum,music_id\n0009,7\n")
    with pytest.raises(InputError, match="no hum 0009 in public_test"):
        load_split(tmp_path, "public_test")
    file.write_text("hum,music_id\n0001,7\n0001.mp3,8\n")
    with pytest.raises(InputError, match="two answers"):
        read_answers(file)


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match="split test: unknown; choose one of train"):
        load_split(tmp_path, "test")
    with pytest.raises(InputError, match="no such folder"):
        load_split(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match=r"train_meta\.csv: missing"):
        load_split(tmp_path, "train")
    with pytest.raises(InputError, match="public_test/full_song: no songs"):
        load_split(tmp_path, "public_test")
    touch(tmp_path, "public_test/full_song/7.mp3")
    with pytest.raises(InputError, match="public_test/hum: no hums"):
        load_split(tmp_path, "public_test")
    touch(tmp_path, "public_test/full_song/7.wav")
    with pytest.raises(InputError, match="have one stem"):
        load_split(tmp_path, "public_test")


@pytest.mark.parametrize(
    ("path", "key"),
    [("a/b/0001.mp3", "0001"), ("0001", "0001"), ("St. Anne's Reel", "St. Anne's Reel"), ("a.b.OGG", "a.b")],
)
def test_stem(path, key):
    assert stem(path) == Item(path, None, None).stem == key


def test_split_by_song_is_a_partition_that_order_does_not_change():
    ids = [f"{i:03d}" for i in range(50)]
    train, validation = split_by_song(ids * 3, 0.2, 0)
    assert (len(train), len(validation)) == (40, 10)
    assert sorted(train + validation) == ids
    assert split_by_song(ids[::-1], 0.2, 0) == (train, validation)
    assert split_by_song(ids, 0.2, 1) != (train, validation)


def test_split_by_song_leaves_both_sides_something():
    assert [len(part) for part in split_by_song("ab", 0.01, 0)] == [1, 1]
    assert [len(part) for part in split_by_song("ab", 0.99, 0)] == [1, 1]
    assert split_by_song("a", 0.5, 0)[0] in {("a",), ()}
    assert split_by_song("ab", 0.0, 0) == (("a", "b"), ())


def test_titles(tmp_path):
    assert read_titles(tmp_path) == {}
    (tmp_path / "songs.csv").write_text('music_id,title\n7,"Reel, the"\n')
    assert read_titles(tmp_path) == {"7": "Reel, the"}


def test_read_table_strips(tmp_path):
    (tmp_path / "t.csv").write_text("hum, music_id\n a , b \n")
    assert read_table(tmp_path / "t.csv", ("hum", "music_id")) == [("a", "b")]
