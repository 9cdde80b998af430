"""Lab playlist: tables of tracks, features without the genre, relevance, losses, and how genres keep together."""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from librosa.feature import mfcc as librosa_mfcc
from sklearn.decomposition import PCA
from tiny_world import REPOSITORY, f0_of, melody, put_audio

from humfind.config import TrackModelConfig, TrainConfig
from humfind.data.importers import track_table
from humfind.data.importers.track_table import TrackTable
from humfind.encoders.track_network import TrackModel
from humfind.labs.playlist import embeddings, features, relevance, separation, study
from humfind.notebooks import runner
from humfind.training.tasks.tracks import Tracks, class_loss, train_tracks
from humfind.types import InputError, Recording

HEADER = "artist,song,year,genre,tempo,energy,explicit\n"


def put(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def table(count: int = 60, seed: int = 0) -> TrackTable:
    """Two genres, told apart by their energy; two decades."""
    rng = np.random.default_rng(seed)
    genre = np.arange(count) % 2
    energy = (genre + rng.normal(0, 0.2, count)).astype(np.float32)
    return TrackTable(
        tuple(f"t{i}" for i in range(count)),
        tuple(f"song {i}" for i in range(count)),
        tuple(f"artist {i % 7}" for i in range(count)),
        tuple((("rock", "pop")[g], "loud") if i % 3 else (("rock", "pop")[g],) for i, g in enumerate(genre)),
        1990 + (np.arange(count) // 2) % 20,
        {"energy": energy, "tempo": rng.uniform(60, 180, count).astype(np.float32)},
        {"explicit": tuple("yes" if one else "no" for one in rng.random(count) < 0.3)},
        ((),) * count,
    )


# --- tables


def test_a_table_in_the_manner_of_spotify(tmp_path):
    rows = HEADER + 'A,One,2004,"rock, pop",120.5,0.5,True\nB,Two,1999,set(),,x,False\nA,One,2004,rock,1,1,True\n'
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(rows.encode()))
    found = track_table.read(tmp_path / "t.csv.gz")
    assert found.ids == ("A - One", "B - Two")
    assert found.genres == (("rock", "pop"), ())
    assert found.main_genre == ("rock", "")
    assert found.years.tolist() == [2004, 1999]
    assert found.numbers["tempo"][0] == 120.5
    assert np.isnan(found.numbers["tempo"][1])
    assert np.isnan(found.numbers["energy"][1])
    assert found.categories["explicit"] == ("true", "false")
    assert found.playlists == ((), ())


def test_columns_may_be_called_otherwise(tmp_path):
    text = "Track_Name,track_artist,track_album_release_date,playlist_name,playlist_genre,danceability\n"
    text += "x,a,2019-06-14,mine,pop,0.1\nx,a,2019-06-14,yours,rock,0.1\ny,b,14/06/2001,mine,pop,0.2\nz,c,2012,,edm,0\n"
    found = track_table.read(put(tmp_path, text))
    assert found.years.tolist() == [2019, 2001, 2012]
    assert found.playlists == (("mine", "yours"), ("mine",), ())
    assert found.name(0) == "a - x"
    without = track_table.read(put(tmp_path, "name,genres\nx,\"['hip hop', 'pop']\"\n"))
    assert (without.artists, without.genres, without.years.tolist()) == (("",), (("hip hop", "pop"),), [0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no tracks"),
        (HEADER, "no tracks"),
        ("a,b\n1,2\n", "no column of titles"),
        ("song,artist\nx,y\n", "nothing to know a track by"),
        (HEADER + "A,One,2004\n", "line 2: 3 values, not 7"),
        ("song,song,tempo\nx,y,1\n", "column song is there twice"),
    ],
)
def test_a_bad_table_is_said(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        track_table.read(put(tmp_path, text))


def test_a_table_that_is_not_there_or_cut_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        track_table.read(tmp_path / "none.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((HEADER + "A,One,2004,rock,1,1,True\n" * 500).encode())[:60])
    with pytest.raises(InputError, match="cannot be read"):
        track_table.read(tmp_path / "t.csv.gz")


# --- features


def test_numbers_are_scaled_by_what_is_learned_and_genres_are_out():
    given = table()
    learned = np.arange(40)
    found = features.features(given, learned)
    assert not {name for name in found.names if "rock" in name or "pop" in name or "loud" in name}
    energy = found.values[:, found.names.index("energy")]
    assert energy[learned].mean() == pytest.approx(0, abs=1e-5)
    assert energy[learned].std() == pytest.approx(1, abs=1e-5)
    assert {"year", "explicit is yes", "artist is artist 3"} <= set(found.names)
    missing = replace(given, numbers={"energy": np.where(np.arange(60) == 5, np.nan, 1).astype(np.float32)})
    assert features.features(missing, learned).values[5, 0] == 0


def test_a_column_that_says_the_genre_is_refused():
    given = table()
    found = features.features(given, np.arange(60))
    features.require_no_leak(found, given)
    leaking = replace(given, categories={"style": given.main_genre})
    with pytest.raises(InputError, match=r"style is (pop|rock) says the same as genre (pop|rock)"):
        features.require_no_leak(features.features(leaking, np.arange(60)), leaking)


def test_principal_components_are_scikit_learns():
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((50, 8)) @ rng.standard_normal((8, 8))).astype(np.float32)
    theirs = PCA(0.9).fit(values)
    ours = features.principal(values, 0.9)
    assert len(ours.axes) == theirs.n_components_
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_, abs=1e-5)
    assert np.allclose(np.abs(ours.of(values)), np.abs(theirs.transform(values)), atol=1e-3)
    assert features.principal(values, most=3).axes.shape == (3, 8)


# --- relevance


def test_relevance_by_hand():
    given = TrackTable(
        ("a", "b", "c", "d"), ("",) * 4, ("x", "x", "y", ""),
        (("rock", "pop"), ("rock",), ("pop", "rock"), ()), np.array([2000, 2015, 1960, 0]), {}, {}, ((),) * 4,
    )  # fmt: skip
    found = relevance.Relevance.of(given).to(0)
    # same genre, one of two shared, same artist, half of thirty years; then the same two genres in another order
    assert found.tolist() == pytest.approx([0, 0.5 + 0.15 + 0.15 + 0.15, 0.3, 0])


def test_triples_are_of_the_relevant_and_of_the_less_relevant_half():
    found = relevance.Relevance.of(table(40))
    rng = np.random.default_rng(0)
    for row in range(0, 40, 7):
        score = found.to(row)
        others = np.sort(np.delete(score, row))
        for _ in range(10):
            near, far = found.triple(row, rng)
            assert row not in (near, far)
            assert score[near] >= score[far]
            assert score[far] <= others[len(others) // 2]


# --- the network


def test_losses_with_a_margin_of_nothing_are_softmax_of_scaled_cosines():
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(12, 6), dim=1)
    classes = torch.randint(4, (12,))
    for name in ("arcface", "additive", "softmax"):
        loss = class_loss(TrackModelConfig(loss=name, dim=6, margin=0.0, scale=16.0), 4)
        middles = torch.nn.functional.normalize(loss.W.detach(), dim=0)
        by_hand = torch.nn.functional.cross_entropy(16.0 * vectors @ middles, classes)
        assert float(loss(vectors, classes).detach()) == pytest.approx(float(by_hand), abs=1e-4), name


def test_margins_by_hand():
    vectors, classes = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    middles = torch.tensor([[0.8, 0.0], [0.6, 1.0]])  # cosines .8 and 0
    expected = {"arcface": math.cos(math.acos(0.8) + 0.5), "additive": 0.8 - 0.5}
    for name, cosine in expected.items():
        loss = class_loss(TrackModelConfig(loss=name, dim=2, margin=0.5, scale=10.0), 2)
        loss.W.data = middles
        by_hand = -math.log(math.exp(10 * cosine) / (math.exp(10 * cosine) + 1))
        assert float(loss(vectors, classes).detach()) == pytest.approx(by_hand, abs=1e-3), name


def learned_from(loss: str, folder: Path) -> tuple[TrackModel, features.Features, TrackTable]:
    given = table(80)
    found = features.features(given, np.arange(60))
    kind = np.array([("rock", "pop").index(genre) for genre in given.main_genre])
    parts = [Tracks(found.values[rows], kind[rows], kind[rows]) for rows in (np.arange(60), np.arange(60, 80))]
    train = TrainConfig(steps=200, validate_every=100, learning_rate=1e-2)
    config = TrackModelConfig(loss=loss, hidden=(16,), dim=8, batch=32, margin=0.2, train=train)
    triple = relevance.Relevance.of(given.take(np.arange(60))).triple
    return train_tracks(parts[0], parts[1], found.names, config, folder, triple)[1], found, given


@pytest.mark.parametrize("loss", ["arcface", "additive", "softmax", "triplet"])
def test_genres_come_together_and_what_the_loss_learned_returns(loss, tmp_path):
    model, found, given = learned_from(loss, tmp_path)
    before = separation.separation(found.values[60:], given.main_genre[60:]).cosine.value
    after = separation.separation(model.embed(found.values[60:]), given.main_genre[60:]).cosine.value
    assert after > before + 0.1
    assert model.facts["tracks"] == {"learned": 60, "held out": 20}
    if loss != "triplet":
        assert model.loss["W"].shape == (8, 2)
        first = class_loss(model.config, 2).W
        assert not torch.allclose(model.loss["W"], first)
    again = TrackModel.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.embed(found.values), model.embed(found.values))


def test_a_changed_checkpoint_is_refused(tmp_path):
    learned_from("softmax", tmp_path)
    about = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(about.replace('"dim": 8', '"dim": 9'))
    with pytest.raises(InputError):
        TrackModel.load(tmp_path / "model.safetensors")


# --- the metric


def test_separation_by_hand():
    near = np.array([[1, 0], [1, 0.1], [1, -0.1], [0.9, 0], [1.1, 0], [1, 0.05]], np.float32)
    apart = np.concatenate([near, near[:, ::-1]])
    names = ["a"] * 6 + ["b"] * 6
    found = separation.separation(apart, names)
    assert (found.euclidean.value, found.cosine.value) == (1, 1)
    assert found.within[0] < found.beyond[0]
    mixed = separation.separation(np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32), list("ab") * 30)
    assert 0.3 < mixed.cosine.value < 0.7
    with pytest.raises(InputError, match="fewer than two have 6 tracks"):
        separation.separation(apart, ["a"] * 12)


# --- playlists of a table


def test_a_playlist_is_continued_by_what_is_near():
    """Lists of tracks that lie together: the others are found by the given, not by popularity or at random."""
    rng = np.random.default_rng(0)
    kind = np.arange(120) % 12
    vectors = (np.eye(12)[kind] + rng.normal(0, 0.1, (120, 12))).astype(np.float32)
    lists = tuple((f"list {one}",) for one in kind)
    found = study.continued(replace(table(120), playlists=lists), vectors)
    assert found["the given"].recall.value > 0.95
    assert found["the given"].ndcg.value > 0.9
    assert max(found[way].ndcg.value for way in ("popularity", "random")) < 0.4
    hits = tuple(tuple(f"list {n}" for n in range(12)) if i < 6 else lists[i] for i in range(120))
    again = study.continued(replace(table(120), playlists=hits), rng.standard_normal((120, 4)).astype(np.float32))
    assert again["popularity"].recall.value > 2 * again["random"].recall.value
    with pytest.raises(InputError, match="no playlist has more than 3 tracks"):
        study.continued(table(120), vectors)


# --- by their sound


def test_mfcc_statistics_are_of_the_whole_recording():
    rng = np.random.default_rng(0)
    sound = Recording(rng.standard_normal(22_050).astype(np.float32), 22_050)
    found = embeddings.statistics(sound)
    values = librosa_mfcc(y=sound.samples, sr=22_050, n_mfcc=20)
    assert np.allclose(found, np.concatenate([values.mean(axis=1), values.std(axis=1)]), atol=1e-4)


def tunes_by_sound(count: int = 240, seed: int = 0) -> embeddings.Sounds:
    """A table whose features tell the genre; families at random; no sound."""
    given = study.material(table(count), seed)
    family = np.random.default_rng(seed).integers(len(embeddings.FAMILIES), size=count)
    both = given.kind * len(embeddings.FAMILIES) + family
    labels = {embeddings.DANCE: given.kind, embeddings.PLAYER: family, embeddings.BOTH: both}
    return embeddings.Sounds(
        replace(given, classes=both), labels, tuple(np.array(list(embeddings.FAMILIES))[family]), ()
    )


def test_metadata_and_sound_know_more_than_each(tmp_path):
    """The features tell the one label, a made-up sound the other: together they tell both."""
    sounds = tunes_by_sound()
    rng = np.random.default_rng(1)
    family = sounds.labels[embeddings.PLAYER]
    sound = (3 * np.eye(4)[family] + rng.normal(0, 0.3, (len(family), 4))).astype(np.float32)
    train = TrainConfig(steps=40, validate_every=40, learning_rate=3e-3)
    found = embeddings.together(sounds, sound, TrackModelConfig(train=train), tmp_path)
    assert found["sound"][embeddings.PLAYER].value > 0.9
    assert found["metadata"][embeddings.PLAYER].value < 0.4
    both = {
        name: found[f"{name}, learned"][embeddings.BOTH].value for name in ("metadata", "sound", "metadata and sound")
    }
    assert both["metadata and sound"] > max(both["metadata"], both["sound"]) + 0.1
    assert embeddings.chance(sounds)[embeddings.PLAYER] == pytest.approx(0.25, abs=0.08)
    cosines, names = embeddings.family_cosines(sounds, sound - sound.mean(axis=0))
    assert names == list(embeddings.FAMILIES)
    assert (np.diag(cosines) > 0.9).all()
    assert (cosines - np.diag(np.diag(cosines)) < 0.1).all()


def test_chance_is_that_of_neighbours_drawn_at_random():
    kind = np.array([0, 0, 0, 1, -1])
    assert study.chance(kind) == pytest.approx((3 * 2 + 0) / (4 * 4))


def test_the_notebook_runs_by_its_command(tmp_path):
    """A table of one's own, and tunes by their sound; the sweep is that of tests/experiment."""
    environment = os.environ | {"HUMFIND_HOME": str(tmp_path)}
    data = tmp_path / "data" / "named"  # the lab brings its own
    put_audio(data / "public_test" / "full_song" / "1.wav", f0_of(melody(1, notes=4)))
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    rows = [
        f"a{i % 9},s{i},{1990 + i % 20},{('rock', 'pop')[i % 2]},{60 + i},{i % 2 + i / 300},list {i % 7}"
        for i in range(140)
    ]
    path = put(tmp_path, "artist,song,year,genre,tempo,energy,playlist_name\n" + "\n".join(rows) + "\n")
    quickly = [f"table={path}", "steps=4", "sweep=False", "rendered=120", "length_s=2", "sound_steps=1"]
    command = [sys.executable, "-m", "humfind", "labs", "playlist", "--data", str(data)]
    asked = [part for one in quickly for part in ("-p", one)]
    done = subprocess.run([*command, *asked], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    page = Path(done.stdout.split("page: ")[1].strip())
    kept = json.loads((page.parents[1] / "results" / "playlist.json").read_text())
    assert set(kept["methods"]) >= {"features", "principal components", "triplet", "ArcFace"}
    assert set(kept["by sound"]) == {"ours, without labels", "musicnn", "MFCC statistics"}
    executed = nbformat.read(page.parents[1] / "playlist.ipynb", 4)
    pictures = [o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in str(o)]
    assert len(pictures) == 11


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"table": "none.csv"}, "table=none.csv: no such file"),
        ({"track_loss": "hinge"}, "track_loss=hinge: unknown; choose one of arcface"),
        ({"scale": "0"}, "scale=0.0: not from 0.001"),
        ({"networks": "encodec"}, "where weights are is missing"),
    ],
)
def test_what_the_lab_cannot_run_is_refused_at_once(parameters, message):
    with pytest.raises(InputError, match=message):
        runner.run_lab("playlist", parameters=parameters)
