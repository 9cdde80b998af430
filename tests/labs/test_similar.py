"""Lab similar: wavelets, deformations, triplets, trees, labels, and the notebook by its command."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.miners import TripletMarginMiner
from sklearn.metrics import average_precision_score
from tiny_world import REPOSITORY, f0_of, melody, put_audio

from humfind.config import MorletConfig, TrainConfig
from humfind.data.chorales import read_chorale
from humfind.data.importers import labelled_sounds
from humfind.encoders.morlet import MorletBank, SoundModel, bandwidths_hz, bank, centres_hz, deviations_s
from humfind.index import engines
from humfind.index.engines.exact import Exact
from humfind.index.vectors import VectorTable
from humfind.labs.similar import rendered, search, study
from humfind.labs.similar.trees import Forest
from humfind.notebooks import runner
from humfind.training import deformations
from humfind.training.tasks.sounds import Copies, Place, Sounds, SoundTask, mine, train_sounds
from humfind.types import InputError

RATE = MorletConfig.rate_hz


def quick(**changes: object) -> MorletConfig:
    learning = TrainConfig(steps=8, validate_every=4, learning_rate=1e-3, weight_decay=0.0)
    return replace(MorletConfig(channels=4, dim=8, triplets=6, train=learning), **changes)


def tone(hz: float, seconds: float = 2.0, partials: int = 4, seed: int = 0) -> np.ndarray:
    """A tone of several partials under a swell."""
    rng = np.random.default_rng([round(hz), seed])
    at = np.arange(round(seconds * RATE)) / RATE
    made = sum(np.sin(2 * np.pi * k * hz * at + rng.uniform(0, 6)) / k for k in range(1, partials + 1))
    return (0.2 * made * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(1, 4) * at))).astype(np.float32)


def clips(count: int = 8, seed: int = 0) -> list[np.ndarray]:
    return [tone(220 * 1.15**i, seed=seed) for i in range(count)]


# --- the bank


@pytest.mark.parametrize("spacing", ["log", "mel"])
def test_centres_are_spaced_as_they_say(spacing):
    centres = centres_hz(quick(spacing=spacing)).astype(np.float64)
    axis = np.log2(centres) if spacing == "log" else 2595 * np.log10(1 + centres / 700)
    assert np.allclose(np.diff(axis), np.diff(axis).mean(), rtol=1e-3)
    assert centres[[0, -1]] == pytest.approx([60, 5000], rel=1e-4)


@pytest.mark.parametrize("spacing", ["log", "mel"])
def test_a_wavelet_passes_its_own_tone_and_half_at_the_edges_of_its_band(spacing):
    """Measured by its spectrum: gain 1 at the centre, half the power half a bandwidth to either side."""
    config = quick(spacing=spacing)
    real, imaginary = bank(config)
    centres, wide = centres_hz(config), bandwidths_hz(config)
    for row in range(4, config.filters, 9):
        at = np.arange(config.taps) / RATE
        gains = []
        for hz in (centres[row], centres[row] - wide[row] / 2, centres[row] + wide[row] / 2):
            gains.append(abs(((real[row] + 1j * imaginary[row]) * np.exp(-2j * np.pi * hz * at)).sum()) / 2)
        assert gains == pytest.approx([1, 0.5**0.5, 0.5**0.5], abs=0.02), centres[row]


def test_a_wavelet_has_as_many_cycles_as_its_taps_hold():
    config = quick()
    centres, deviations = centres_hz(config), deviations_s(config)
    assert (6 * deviations * RATE <= config.taps * (1 + 1e-6)).all()
    full = 6 * deviations * centres
    assert full[centres > 12 * RATE / 512] == pytest.approx(config.cycles, rel=1e-4)
    assert (np.diff(bandwidths_hz(config)) >= -1e-4).all()


def test_the_bank_hears_a_tone_where_it_is():
    config = quick()
    layer, centres = MorletBank(config), centres_hz(config)
    at = np.arange(config.samples) / RATE
    for hz in (120.0, 440.0, 1760.0, 4000.0):
        with torch.inference_mode():
            heard = layer(torch.from_numpy(np.sin(2 * np.pi * hz * at).astype(np.float32))[None])[0]
        assert heard.shape == (128, 64)
        middle = heard[:, 20:40].mean(dim=1)
        assert centres[int(middle.argmax())] == pytest.approx(hz, rel=0.04)
        assert float(10 ** middle.max()) == pytest.approx(1, abs=0.06)


def test_the_bank_is_learned_only_where_it_is_asked():
    for learnable in (False, True):
        network = SoundModel.untrained(quick(learnable=learnable)).network
        named = {name for name, _ in network.named_parameters()}
        assert ({"bank.real", "bank.imaginary"} <= named) == learnable


def test_a_checkpoint_is_whole_or_refused(tmp_path):
    model = SoundModel.untrained(quick())
    model.save(tmp_path / "m.safetensors")
    sounds = np.stack([one[:8192] for one in clips(3)])
    vectors = model.embed(sounds)
    assert np.array_equal(SoundModel.load(tmp_path / "m.safetensors").embed(sounds), vectors)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(model.embed(sounds[1:2])[0], vectors[1]), "the same bytes alone and among others"
    about = json.loads((tmp_path / "m.json").read_text())
    about["config"]["filters"] = 10**9
    (tmp_path / "m.json").write_text(json.dumps(about))
    with pytest.raises(InputError):
        SoundModel.load(tmp_path / "m.safetensors")


# --- deformations


@pytest.mark.parametrize("kind", deformations.KINDS)
def test_a_copy_is_as_long_and_as_loud_as_the_segment(kind):
    rng = np.random.default_rng(0)
    sound, other = tone(300, 2.0), tone(911, 1.0)[:8192]
    for _ in range(4):
        copy, said = deformations.deform(kind, sound, 8192, RATE, other, rng)
        assert copy.shape == (8192,)
        assert copy.dtype == np.float32
        assert deformations.rms(copy) == pytest.approx(deformations.LEVEL, rel=1e-3)
        assert said


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


@pytest.mark.parametrize("semitones", [-10, -1, 9])
def test_pitch_is_moved_by_semitones(semitones):
    sound = tone(400, 2.0, partials=1)
    assert peak_hz(deformations.pitched(sound, RATE, semitones)) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.01)


def test_tempo_is_moved_and_pitch_is_not():
    at = np.arange(2 * RATE) / RATE
    swelling = (np.sin(2 * np.pi * 500 * at) * (1 + 0.8 * np.sin(2 * np.pi * 4 * at))).astype(np.float32)
    fast = deformations.stretched(swelling, RATE, 2.0)
    assert peak_hz(fast) == pytest.approx(500, rel=0.02)
    power = np.square(fast).reshape(-1, 105).mean(axis=1)
    assert np.abs(np.fft.rfft(power - power.mean())).argmax() == 8, "four swells a second become eight"


def test_noise_and_mixture_are_as_strong_as_they_say():
    rng = np.random.default_rng(0)
    one, other = (deformations.levelled(tone(hz)[:8192]) for hz in (300, 1111))
    noisy = deformations.noisy(one, 0.03, rng)
    gain = float(noisy @ one / (one @ one))
    assert deformations.rms(noisy / gain - one) == pytest.approx(0.03, rel=0.05)
    mixed = deformations.mixed(one, other, 0.5)
    a, b = (float(mixed @ part / (part @ part)) for part in (one, other))
    assert b / a == pytest.approx(0.5, rel=0.02)


def test_silence_stays_silent():
    assert not deformations.levelled(np.zeros(100, np.float32)).any()


# --- triplets


def test_positives_are_of_the_recording_and_negatives_of_another():
    for positives, said in (("near", "s from it"), ("deformed", ""), ("both", "")):
        sounds = Sounds(tuple(clips()), quick(positives=positives, triplets=20))
        drawn = sounds.triplets(np.random.default_rng(0))
        assert (drawn.clip != drawn.other).all()
        assert all(said in one for one in drawn.said)
        kinds = {"s from it" in one for one in drawn.said}
        assert kinds == ({True, False} if positives == "both" else {positives == "near"})


def test_near_is_within_ten_seconds_and_silence_is_passed_over():
    long = np.concatenate([np.zeros(30 * RATE, np.float32), tone(300, 30.0)])
    sounds = Sounds((long, tone(200)), quick())
    rng = np.random.default_rng(0)
    starts = [sounds.draw(rng, within=Place(0, 35 * RATE)).start / RATE for _ in range(50)]
    assert min(starts) >= 25
    assert max(starts) <= 45
    assert np.mean([one >= 29 for one in starts]) > 0.95
    assert {sounds.draw(rng, without=1).clip for _ in range(5)} == {0}


def test_one_recording_is_mixed_with_itself():
    sounds = Sounds((tone(200),), quick())
    assert sounds.deformed(Place(0, 0), "mixture", np.random.default_rng(0))[0].shape == (8192,)


def test_mining_by_hand():
    positive = torch.tensor([0.8, 0.1, 0.5])
    cosines = torch.tensor([[0.9, 0.7, 0.2], [0.6, 0.3, 0.4], [0.4, 0.1, 0.45]])
    allowed = torch.tensor([[True, True, True], [True, True, True], [True, True, False]])
    # the nearest that is farther than the positive; where none is, the farthest; never one that is not allowed
    assert mine(positive, cosines, allowed).tolist() == [1, 1, 0]


def test_mined_negatives_are_semihard_to_pytorch_metric_learning():
    """Where its miner has semi-hard triplets within the margin, ours is the one with the nearest negative."""
    generator = torch.Generator().manual_seed(1)
    anchors = torch.nn.functional.normalize(torch.randn(24, 6, generator=generator), dim=1)
    positives = torch.nn.functional.normalize(anchors + 0.5 * torch.randn(24, 6, generator=generator), dim=1)
    negatives = torch.nn.functional.normalize(torch.randn(24, 6, generator=generator), dim=1)
    cosines = anchors @ negatives.T
    chosen = mine((anchors * positives).sum(dim=1), cosines, torch.ones(24, 24, dtype=torch.bool))
    miner = TripletMarginMiner(margin=0.25, type_of_triplets="semihard", distance=CosineSimilarity())
    together = torch.cat([positives, negatives])
    found = 0
    for row in range(24):
        labels = torch.tensor([0])
        others = torch.tensor([0] + [1] * 24)
        theirs = miner(anchors[row : row + 1], labels, torch.cat([together[row : row + 1], negatives]), others)
        semihard = (theirs[2] - 1).tolist()
        if semihard:
            found += 1
            assert int(chosen[row]) == max(semihard, key=lambda column: float(cosines[row, column]))
    assert found > 8


def test_the_loss_by_hand():
    task = SoundTask(Sounds(tuple(clips()), quick()), Sounds(tuple(clips(3, seed=1)), quick()), quick(margin=0.25))
    vectors = torch.tensor([[[1.0, 0], [0, 1]], [[0.8, 0.6], [0, 1]], [[0.6, 0.8], [0.28, 0.96]]])
    task.module = torch.nn.Identity()
    # anchor 1: .25 - .8 + .6 = .05 with its own negative, which is also the nearest that is farther; anchor 2: its own
    # is .25 - 1 + .96 = .21
    assert float(task.loss((vectors, torch.ones(2, 2, dtype=torch.bool)))) == pytest.approx((0.05 + 0.21) / 2, abs=1e-6)


def test_training_is_the_same_after_a_kill_and_never_sees_a_label(tmp_path):
    class StopError(Exception):
        pass

    def stop(row: dict) -> None:
        raise StopError

    learned, held_out = clips(), clips(3, seed=1)
    train_sounds(learned, held_out, quick(), tmp_path / "whole")
    with pytest.raises(StopError):
        train_sounds(learned, held_out, quick(), tmp_path / "parts", on_validation=stop)
    train_sounds(learned, held_out, quick(), tmp_path / "parts")
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_training_helps_to_find_copies(tmp_path):
    config = quick(channels=8, dim=16, triplets=16, train=replace(quick().train, steps=40, validate_every=40))
    sounds = Sounds(tuple(clips(6, seed=3)), config)
    copies = Copies.of(sounds, 0, 60)
    before = copies.found(SoundModel.untrained(config).embed).overall.value
    _, model = train_sounds(clips(12), clips(4, seed=1), config, tmp_path)
    assert copies.found(model.embed).overall.value > before + 0.05


def test_copies_that_are_the_segments_are_all_found():
    copies = Copies.of(Sounds(tuple(clips()), quick()), 0)
    same = replace(copies, copies=copies.segments[copies.right])
    assert same.found(lambda segments: np.abs(np.fft.rfft(segments))).overall.value == 1
    assert set(copies.kind) == set(deformations.KINDS)


def test_too_few_recordings_are_refused(tmp_path):
    with pytest.raises(InputError, match="needs three recordings or more"):
        train_sounds(clips(1), clips(1), quick(), tmp_path)
    with pytest.raises(InputError, match="are silent"):
        train_sounds(clips(2), [np.zeros(20_000, np.float32)], quick(), tmp_path)


# --- search


@pytest.fixture(scope="module")
def vectors() -> tuple[VectorTable, np.ndarray]:
    rng = np.random.default_rng(0)
    made = rng.standard_normal((3000, 16))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    table = VectorTable.of([made.astype(np.float16)])
    return table, (made[::60] + rng.normal(0, 0.1, (50, 16))).astype(np.float32)


def test_a_forest_that_searches_everything_is_exact(vectors):
    table, queries = vectors
    forest = Forest(table, trees=3, leaf=64, threshold=np.inf, pool=len(table))
    found, exact = (engines.nearest(table, engine, queries, 10) for engine in (forest, Exact(table)))
    assert np.array_equal(found[1], exact[1])
    assert np.array_equal(found[0], exact[0])


def test_a_tree_holds_every_row_once_in_leaves_of_the_size(vectors):
    for tree in Forest(vectors[0], trees=2, leaf=100).trees:
        assert sorted(np.concatenate(tree.leaves).tolist()) == list(range(3000))
        assert max(len(leaf) for leaf in tree.leaves) <= 100
        assert min(len(leaf) for leaf in tree.leaves) >= 40, "each plane halves what it cuts"


def test_more_trees_and_wider_pools_find_more(vectors):
    table, queries = vectors
    right = search.exact_rows(table[:], queries)

    def share(**settings: object) -> float:
        found = Forest(table, leaf=64, **settings).propose(queries, 10).rows
        return float(search.overlap(found, right).mean())

    few, many = share(trees=1, threshold=0.0), share(trees=32, threshold=0.0)
    near, wide = share(trees=1, threshold=0.2, pool=10_000), share(trees=1, threshold=1.0, pool=50)
    assert few < near
    assert few < wide
    assert few + 0.3 < many


def test_equal_vectors_make_no_endless_tree():
    table = VectorTable.of([np.ones((500, 4), np.float16)])
    assert engines.nearest(table, Forest(table, trees=2, leaf=10), np.ones((1, 4), np.float32), 7)[1].shape == (1, 7)


def test_engines_are_compared_on_the_same_rows(vectors):
    table, queries = vectors
    found = {(one.family, one.setting): one for one in search.compare(table[:], queries[:10], "faiss")}
    assert found["faiss exact", ""].overlap.mean() == 1
    assert found["faiss HNSW", "width 256"].overlap.mean() > 0.9
    assert all(one.ms > 0 for one in found.values())
    by_hand = search.overlap(np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 2, 9], [7, 8, 9]]))
    assert by_hand.tolist() == pytest.approx([2 / 3, 0])


# --- labels


def put_sounds(folder: Path, names: tuple[str, ...] = ("low", "high", "low+high"), each: int = 6) -> Path:
    """Two kinds of tones and their mixture, in folders of their names."""
    for n, name in enumerate(names):
        for i in range(each):
            parts = [tone(hz * 1.05**i, 1.6, 3, seed=i) for hz in ((180,), (1400,), (180, 1400))[n % 3]]
            file = folder / name / f"{name} {i}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, sum(parts) / 2, RATE)
    return folder


def test_labels_come_from_folders_or_from_a_table(tmp_path):
    folder = put_sounds(tmp_path / "a", each=2)
    found = labelled_sounds.read(folder)
    assert found.labels["category"] == ("high", "high", "low", "low", "low+high", "low+high")
    (folder / "meta").mkdir()
    rows = [("low 0.wav", "deep", "1"), ("high 1.wav", "shrill", "2")]
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("filename", "category", "fold"), *rows])
    found = labelled_sounds.read(folder)
    assert [path.name for path in found.files] == ["high 1.wav", "low 0.wav"]
    assert found.labels == {"category": ("shrill", "deep"), "fold": ("2", "1")}
    assert [len(study.beginning(file, RATE, 40_000)) for file in found.files] == [40_000] * 2, "repeated"
    assert len(study.beginning(found.files[0], RATE, 100, 0.5)) == RATE // 2, "cut"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n", "its first line has not filename and category"),
        ("filename,category\nnone.wav,x\n", "line 2: none.wav is no recording of the folder"),
        ("filename,category\nlow 0.wav,\n", "line 2: not a value a column, or no category"),
        ("filename,category\nlow 0.wav,x,y\n", "line 2: not a value a column"),
    ],
)
def test_a_bad_table_is_said_with_its_line(tmp_path, text, message):
    folder = put_sounds(tmp_path, each=1)
    (folder / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        labelled_sounds.read(folder)


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(InputError, match="no recordings"):
        labelled_sounds.read(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        labelled_sounds.read(tmp_path / "none")
    with pytest.raises(InputError, match="too few to learn from"):
        study.material(labelled_sounds.read(put_sounds(tmp_path / "few", each=2)), quick())


def test_a_split_takes_every_recording_once(tmp_path):
    given = study.material(labelled_sounds.read(put_sounds(tmp_path)), quick())
    assert Counter(given.part) == {"learned": 11, "held out": 2, "asked": 5}
    assert given.part == study.material(labelled_sounds.read(tmp_path), quick()).part


def test_same_label_is_scikit_learns_average_precision():
    rng = np.random.default_rng(0)
    vectors, labels = study.unit(rng.standard_normal((40, 6)).astype(np.float32)), list("abcd" * 9 + "efgh")
    report, precision = study.same_label(vectors, labels)
    theirs = []
    for row, label in enumerate(labels[:36]):
        others = [i for i in range(40) if i != row]
        right = [labels[i] == label for i in others]
        theirs.append(average_precision_score(right, vectors[others] @ vectors[row]))
    assert report.map.value == pytest.approx(np.mean(theirs), abs=1e-6)
    assert precision.tolist() == pytest.approx(theirs, abs=1e-6)
    assert report.queries == 36
    assert study.chance(labels) == pytest.approx(0.25, abs=0.06)
    with pytest.raises(InputError, match="of no label are two"):
        study.same_label(vectors[:3], ["a", "b", "c"])


def test_arithmetic_by_hand():
    """The sum of a and b lies at their duet; each alone lies nearer to the other duets with it."""
    eye = np.eye(3, dtype=np.float32)
    vectors = study.unit(np.stack([eye[0], eye[1], eye[2], eye[0] + eye[1], eye[1] + eye[2], 0.9 * eye[0] + eye[2]]))
    labels = ["a", "b", "c", "a+b", "b+c", "a+c"]
    found = study.arithmetic(vectors, labels)
    assert found["both, added"].tolist() == [1, 1, 1]
    by_hand = (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4  # one duet, among four
    assert found["random order"].tolist() == pytest.approx([by_hand] * 3)
    assert (found["one alone"] < 1).any()
    assert len(study.arithmetic(vectors[:3], labels[:3])["both, added"]) == 0


def test_the_first_of_several_by_chance():
    rng = np.random.default_rng(0)
    drawn = [1 / (1 + rng.permutation(30)[:3].min()) for _ in range(20_000)]
    assert study._first_by_chance(3, 30) == pytest.approx(np.mean(drawn), abs=0.006)


def test_neighbours_give_their_commonest_label():
    known = study.unit(np.array([[1, 0], [1, 0.1], [0, 1], [0.9, 0.2]], np.float32))
    asked = study.unit(np.array([[1, 0.05], [0, 1], [1, 1]], np.float32))
    found = study.named_by_neighbours(known, ["x", "x", "y", "x"], asked, ["x", "y", "unknown"], k=3)
    assert found.value == 0.5  # of three neighbours two are x for both


def test_mel_statistics_and_the_frozen_network_know_tones_apart(tmp_path):
    given = study.material(labelled_sounds.read(put_sounds(tmp_path)), quick())
    model = SoundModel.untrained(given.config)
    found = {name: study.judge(given, way) for name, way in study.ways(given, model).items()}
    for name, one in found.items():
        assert one.copies.overall.value > 0.05, name
    first, *_, last = found.values()
    assert first.gain(last).value == pytest.approx(first.same.map.value - last.same.map.value, abs=1e-6)
    assert set(study.variants(quick())) >= {"as it is", "negatives at random", "centres by mel"}


# --- what is rendered


def test_the_plan_holds_every_kind_and_instrument():
    clips = rendered.plan(60, 0)
    assert len(clips) == 360
    count = Counter(clip.category for clip in clips if clip.kind == "solo")
    assert set(count) == set(rendered.PROGRAM)
    assert max(count.values()) - min(count.values()) <= 1
    assert {clip.kind for clip in clips} == set(rendered.KINDS)
    assert all(len(set(clip.category.split("+"))) == 2 for clip in clips if clip.kind == "duet")
    assert rendered.plan(60, 0) == clips
    assert rendered.plan(60, 1) != clips


def test_what_is_rendered_is_read_back(tmp_path):
    folder = rendered.render(tmp_path, 1.0, 0)
    found = labelled_sounds.read(folder)
    assert set(found.labels) == {"category", "family", "kind"}
    assert set(found.labels["kind"]) == set(rendered.KINDS)
    for file in found.files:
        samples, rate_hz = soundfile.read(file)
        assert len(samples) == 10 * rate_hz
        assert np.abs(samples).max() == pytest.approx(0.7, abs=0.01)
    before = {file: file.read_bytes() for file in found.files}
    times = {file: file.stat().st_mtime_ns for file in found.files}
    rendered.render(tmp_path, 1.0, 0)
    assert {file: file.stat().st_mtime_ns for file in found.files} == times, "what is there is not made again"
    (tmp_path / "labels.csv").unlink()
    rendered.render(tmp_path, 1.0, 0)
    assert {file: file.read_bytes() for file in found.files} == before, "the same seed, the same bytes"


def test_a_chorale_has_four_voices():
    notes = read_chorale(3)
    assert {note.part for note in notes} == {0, 1, 2, 3}
    assert all(note.length_q > 0 and 30 < note.midi < 90 for note in notes)
    middle = [np.median([note.midi for note in notes if note.part == part]) for part in range(4)]
    assert middle == sorted(middle, reverse=True)


# --- the notebook


def test_the_notebook_runs_by_its_command(tmp_path):
    environment = os.environ | {"HUMFIND_HOME": str(tmp_path)}
    data = tmp_path / "data" / "named"  # the lab brings its own
    put_audio(data / "public_test" / "full_song" / "1.wav", f0_of(melody(1, notes=4)))
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    sounds = put_sounds(tmp_path / "sounds", each=8)
    quickly = ["-p", "steps=4", "-p", "channels=4", "-p", "triplets=6", "-p", f"sounds={sounds}"]
    command = [sys.executable, "-m", "humfind", "labs", "similar", "--data", str(data), *quickly]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    page = Path(done.stdout.split("page: ")[1].strip())
    kept = json.loads((page.parents[1] / "results" / "similar.json").read_text())
    assert set(kept["found"]) == {"learned without labels", "the same, untrained", "musicnn, frozen", "mel statistics"}
    assert kept["arithmetic"]
    assert {one["engine"] for one in kept["engines"]} >= {"trees", "faiss HNSW", "faiss exact"}
    executed = nbformat.read(page.parents[1] / "similar.ipynb", 4)
    pictures = [o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in str(o)]
    assert len(pictures) == 11
    assert "<audio" in page.read_text()
    assert "low%2Bhigh" in (page.parent / "similar_map.html").read_text()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sounds": "none"}, "sounds=none: no such folder"),
        ({"mining": "hard"}, "mining=hard: unknown"),
        ({"spacing": "mell"}, "did you mean mel"),
        ({"minutes": "0"}, "minutes=0.0: not from 0.5"),
    ],
)
def test_what_the_lab_cannot_run_is_refused_at_once(parameters, message):
    with pytest.raises(InputError, match=message):
        runner.run_lab("similar", parameters=parameters)
