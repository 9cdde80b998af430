from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as library
from toy import toy_examples

from humfind import metrics
from humfind.config import AugmentConfig, ContourConfig, ModelConfig, RankConfig, ResNet1dConfig, TrainConfig
from humfind.encoders.checkpoint import Model
from humfind.melody import contour
from humfind.training import augment
from humfind.training.dataset import Example, batch, make_bank
from humfind.training.loop import learning_rate
from humfind.training.losses import make_loss
from humfind.training.margin import margin_experiment, triplet_margins
from humfind.training.sampler import draw
from humfind.training.state import State
from humfind.training.tasks.hums import train
from humfind.types import F0, InputError, Recording

OFF = AugmentConfig(
    tempo=0, warp=0, detune=0, note_error=0, octave_error=0, mask=0, jitter=0, crop_spread=1.0, mirror=0
)
TINY = ModelConfig(
    contour=ContourConfig(frame_s=0.08, window_s=4.0, query_tempos=(0.84, 1.0, 1.19)),
    encoder=ResNet1dConfig(widths=(8, 16), blocks=(1, 1), kernel=5, embedding_dim=16, dropout=0.1),
    train=TrainConfig(songs_per_batch=6, recordings_per_song=2, steps=6, validate_every=3, device="cpu"),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def on_circle(*degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


# --- losses: embeddings at known angles -------------------------------------------------------------


def test_triplet_loss_by_hand() -> None:
    # a and b are one song, c another; sides: ab = 1, ac = sqrt(2), bc = chord of 30 degrees = 0.5176
    song = torch.tensor([0, 0, 1])
    loss = make_loss(TrainConfig(loss="triplet", margin=1.0))(on_circle(0, 60, 90), song)
    expected = np.mean([1 + 1 - np.sqrt(2), 1 + 1 - 2 * np.sin(np.deg2rad(15))])
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_margin_is_in_the_embeddings_own_units() -> None:
    song = torch.tensor([0, 0, 1])
    long = make_loss(TrainConfig(loss="triplet", margin=1.0))(10 * on_circle(0, 10, 90), song)
    short = make_loss(TrainConfig(loss="triplet", margin=1.0))(0.1 * on_circle(0, 10, 90), song)
    assert float(long) == 0
    assert float(short) > 0.8


def test_ntxent_by_hand_and_as_the_library_has_it() -> None:
    song = torch.tensor([0, 0, 1])
    loss = make_loss(TrainConfig(loss="ntxent", temperature=0.5))(on_circle(0, 60, 90), song)
    first = -np.log(np.exp(0.5 / 0.5) / (np.exp(0.5 / 0.5) + np.exp(0 / 0.5)))
    cos30 = np.sqrt(3) / 2
    second = -np.log(np.exp(0.5 / 0.5) / (np.exp(0.5 / 0.5) + np.exp(cos30 / 0.5)))
    assert float(loss) == pytest.approx((first + second) / 2, abs=1e-5)
    many = torch.randn(24, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    label = torch.arange(24) // 3
    for temperature in (0.05, 0.5):
        mine = make_loss(TrainConfig(loss="ntxent", temperature=temperature))(many, label)
        theirs = library.NTXentLoss(temperature=temperature)(many, label)
        assert float(mine.detach()) == pytest.approx(float(theirs.detach()), rel=1e-4)
        (gradient,) = torch.autograd.grad(mine, many)
        (expected,) = torch.autograd.grad(theirs, many)
        assert torch.allclose(gradient, expected, atol=1e-5)


def test_miners_choose_by_hardness() -> None:
    song = torch.tensor([0, 0, 1])
    angles = on_circle(0, 40, 100)  # for a: positive 0.68, negative 1.53; for b: positive 0.68, negative 1.0
    chosen = {}
    for miner in ("semihard", "hard"):
        rows = make_loss(TrainConfig(loss="triplet", margin=0.5, miner=miner)).miner(angles, song)
        chosen[miner] = [tuple(int(part[i]) for part in rows) for i in range(len(rows[0]))]
    assert chosen == {"semihard": [(1, 0, 2)], "hard": []}


def test_losses_without_a_partner_are_zero_and_unknown_names_are_refused() -> None:
    alone = torch.tensor([0, 1, 2])
    for name in ("ntxent", "triplet", "multisimilarity"):
        value = make_loss(TrainConfig(loss=name))(on_circle(0, 120, 240), torch.tensor([0, 0, 1]))
        assert float(value) > 0
        assert float(make_loss(TrainConfig(loss=name))(on_circle(0, 120, 240), alone)) < 0.7
    with pytest.raises(InputError, match="ntxent"):
        make_loss(TrainConfig(loss="arcface"))
    with pytest.raises(InputError, match="semihard"):
        make_loss(TrainConfig(miner="soft"))


# --- sampler ----------------------------------------------------------------------------------------


def test_a_batch_is_p_songs_of_k_with_hums_and_songs() -> None:
    song = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    is_hum = np.array([True, True, False, True, False, False, False, True])
    for seed in range(20):
        picks = draw(song, is_hum, songs=3, per_song=4, rng=rng(seed)).reshape(3, 4)
        assert len({int(song[row[0]]) for row in picks}) == 3
        for row in picks:
            assert len(set(song[row])) == 1
            expected = {0: 2, 1: 2, 2: 0, 3: 4}[int(song[row[0]])]
            assert is_hum[row].sum() == expected
            if song[row[0]] == 0:
                assert set(row[is_hum[row]]) == {0, 1}  # both hums once before one comes twice


def test_fewer_songs_than_asked_for_give_all_of_them() -> None:
    picks = draw(np.array([0, 1]), np.array([True, False]), songs=9, per_song=3, rng=rng())
    assert sorted(picks) == [0, 0, 0, 1, 1, 1]


# --- augmentation -----------------------------------------------------------------------------------


def test_no_augmentation_is_the_identity() -> None:
    pitch = rng().normal(60, 5, (4, 50)).astype(np.float32)
    voiced = rng().random((4, 50)) < 0.7
    damaged, still = augment.crops(pitch, voiced, OFF, 0.04, rng(1))
    assert np.array_equal(damaged, pitch)
    assert np.array_equal(still, voiced)
    assert np.array_equal(augment.source_frames(2, 50, OFF, 0.04, rng()), np.tile(np.arange(50), (2, 1)))
    rows = rng().random((2, 50, 3)).astype(np.float32)
    assert np.array_equal(augment.mask_rows(rows, OFF, rng()), rows)


def test_training_crops_are_search_windows_when_augmentation_is_off() -> None:
    examples = toy_examples(songs=4, hums=1, seed=0)
    config = replace(TINY, train=replace(TINY.train, augment=replace(OFF, crop_spread=0.0)))
    values, _ = batch(make_bank(examples, config), config, step=3)
    every_frame = replace(config.contour, song_hop_s=config.contour.frame_s)
    assert isinstance(examples[0].source, F0)
    lines = [contour.from_f0(take.source, config.contour) for take in examples if isinstance(take.source, F0)]
    known = np.concatenate([contour.song_windows(line, every_frame).values for line in lines])
    for crop in values:
        assert (np.abs(known - crop).max(axis=(1, 2)) == 0).any()


def test_each_augmentation_does_what_it_says() -> None:
    pitch, voiced = np.full((200, 200), 60, np.float32), np.ones((200, 200), bool)
    octave, _ = augment.crops(pitch, voiced, replace(OFF, octave_error=0.1), 0.04, rng())
    assert set(np.unique(octave)) == {48, 60, 72}
    assert np.mean(octave != 60) == pytest.approx(0.1, abs=0.02)
    wrong, _ = augment.crops(pitch, voiced, replace(OFF, note_error=0.1), 0.04, rng())
    assert set(np.unique(wrong)) == {58, 59, 60, 61, 62}
    drift, _ = augment.crops(pitch, voiced, replace(OFF, detune=0.5), 0.04, rng())
    assert np.abs(np.diff(drift, axis=1)).max() < 0.2
    assert 0.3 < drift.std() < 0.5
    white, _ = augment.crops(pitch, voiced, replace(OFF, jitter=0.5), 0.04, rng())
    assert white.std() == pytest.approx(0.5, abs=0.02)
    _, still = augment.crops(pitch, voiced, replace(OFF, mask=0.2), 0.04, rng())
    assert 0.05 < 1 - still.mean() < 0.15
    assert (~still).sum(axis=1).max() < 0.2 * 200
    frames = augment.source_frames(500, 200, replace(OFF, tempo=0.25), 0.04, rng())
    assert frames[:, -1].min() >= 200 / 1.25 - 2
    assert frames[:, -1].max() <= 200 * 1.25
    assert (np.diff(augment.source_frames(50, 200, replace(OFF, warp=0.2), 0.04, rng()), axis=1) >= 0).all()


def test_a_mask_holds_the_last_pitch() -> None:
    pitch = np.tile(np.arange(40, dtype=np.float32), (30, 1))
    held, still = augment.crops(pitch, np.ones((30, 40), bool), replace(OFF, mask=0.5), 0.04, rng())
    filled = np.stack([contour.fill_gaps(row, sung) for row, sung in zip(pitch, still, strict=True)])
    assert np.array_equal(held, filled)


def test_a_mirrored_song_is_mirrored_with_all_its_hums() -> None:
    song = np.repeat(np.arange(300), 3)
    upside_down, backwards = augment.mirrored(song, 0.5, rng())
    for fate in (upside_down, backwards):
        assert (fate.reshape(300, 3) == fate[::3, None]).all()
        assert fate.mean() == pytest.approx(0.5, abs=0.1)
    assert (upside_down != backwards).any()
    assert not np.any(augment.mirrored(song, 0.0, rng()))


def test_upside_down_and_backwards_give_the_negated_and_reversed_crop() -> None:
    examples = toy_examples(songs=3, hums=1, seed=0, length_s=4)
    plain = replace(TINY, train=replace(TINY.train, augment=OFF))
    every = replace(TINY, train=replace(TINY.train, augment=replace(OFF, mirror=1.0)))
    bank = make_bank(examples, plain)
    straight, _ = batch(bank, plain, 0)
    turned, _ = batch(bank, every, 0)
    assert np.abs(straight[:, 0] + turned[:, 0, ::-1]).max() < 1e-5
    assert np.array_equal(straight[:, 1], turned[:, 1, ::-1])


def test_hidden_voicing_is_sung_throughout_and_changes_nothing_else() -> None:
    told = replace(TINY, train=replace(TINY.train, augment=OFF))
    bank = make_bank(toy_examples(songs=3, hums=1, seed=0, length_s=3), told)
    shares = {}
    for share in (0.0, 0.5, 1.0):
        hidden = replace(told, train=replace(told.train, augment=replace(OFF, voicing=share), songs_per_batch=3))
        values = np.concatenate([batch(bank, hidden, step)[0] for step in range(20)])
        shares[share] = values
    assert np.array_equal(shares[0.0][:, 0], shares[1.0][:, 0])
    silent = (shares[0.0][:, contour.VOICING] == 0).any(axis=1)
    assert silent.any()
    assert (shares[1.0][:, contour.VOICING] == 1).all()
    half = (shares[0.5][silent, contour.VOICING] == 1).all(axis=1)
    assert 0.3 < half.mean() < 0.7


def test_crops_of_a_song_start_together_or_anywhere() -> None:
    frames = np.tile(np.arange(50), (1000, 1))
    length, group = np.full(1000, 151), np.repeat(np.arange(10), 100)
    together = augment.starts(length, frames, group, 0.0, rng()).reshape(10, 100)
    assert (together == together[:, :1]).all()
    assert len(np.unique(together)) > 5
    anywhere = augment.starts(length, frames, group, 1.0, rng())
    assert (anywhere.min(), anywhere.max()) == (0, 101)
    assert not augment.starts(np.full(1000, 20), frames, group, 1.0, rng()).any()


# --- batches ----------------------------------------------------------------------------------------


def test_batches_are_a_function_of_seed_and_step() -> None:
    bank = make_bank(toy_examples(songs=8, hums=2, seed=0), TINY)
    fifth = batch(bank, TINY, step=5)[0]
    assert np.array_equal(fifth, batch(bank, TINY, step=5)[0])
    assert not np.array_equal(fifth, batch(bank, TINY, step=4)[0])
    other = replace(TINY, train=replace(TINY.train, seed=1))
    assert not np.array_equal(batch(bank, other, step=5)[0], fifth)


def test_a_transposed_hum_gives_the_same_crops() -> None:
    examples = toy_examples(songs=3, hums=1, seed=0)
    octave_up = [
        replace(take, source=F0(take.source.hz * 2, take.source.confidence, take.source.hop_s))
        for take in examples
        if isinstance(take.source, F0)
    ]
    ours, theirs = (batch(make_bank(part, TINY), TINY, 0)[0] for part in (examples, octave_up))
    assert np.abs(ours - theirs).max() < 1e-4


def test_one_song_or_the_wrong_source_is_refused() -> None:
    with pytest.raises(InputError, match="1 songs"):
        make_bank(toy_examples(songs=1, hums=1, seed=0), TINY)
    control = replace(TINY, features="spectrogram")
    with pytest.raises(InputError, match="needs audio"):
        make_bank(toy_examples(songs=2, hums=1, seed=0), control)
    with pytest.raises(InputError, match="f0 or spectrogram"):
        make_bank(toy_examples(2, 1, 0), replace(TINY, features="chroma"))


# --- training ---------------------------------------------------------------------------------------


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    config = TrainConfig(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] < 0.001


class Stopped(Exception):
    pass


def test_an_interrupted_run_ends_as_the_unbroken_one_and_two_runs_agree(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    whole = train(examples, TINY, tmp_path / "whole")
    again = train(examples, TINY, tmp_path / "again")

    def stop(row: dict) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train(examples, TINY, tmp_path / "broken", on_validation=stop)
    assert len(json.loads((tmp_path / "broken" / "history.json").read_text())["losses"]) == 3
    broken = train(examples, TINY, tmp_path / "broken")
    for other in (again, broken):
        assert (other.losses, other.history) == (whole.losses, whole.history)
        assert other.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
        assert other.checkpoint.with_suffix(".json").read_bytes() == (
            whole.checkpoint.with_suffix(".json").read_bytes()
        )
        states = [State.load(result.checkpoint.parent / "resume.safetensors") for result in (whole, other)]
        for part in ("module", "optimiser"):
            mine, theirs = (getattr(state, part) for state in states)
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert [row["step"] for row in whole.history] == [3, 6]
    finished = train(examples, TINY, tmp_path / "whole", on_validation=stop)  # nothing left to do
    assert finished.history == whole.history
    with pytest.raises(InputError, match="another config"):
        train(examples, replace(TINY, train=replace(TINY.train, learning_rate=1e-4)), tmp_path / "whole")
    with pytest.raises(InputError, match="another data"):
        train(toy_examples(songs=10, hums=2, seed=2, length_s=6), TINY, tmp_path / "whole")


def test_a_limit_of_hours_ends_with_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    first = train(examples, TINY, tmp_path, hours=1e-9)
    assert [row["step"] for row in first.history] == [1]
    assert first.checkpoint.is_file()
    second = train(examples, TINY, tmp_path, hours=1e-9)  # a limit that has passed already takes no step
    assert len(second.losses) == 1
    last = train(examples, TINY, tmp_path)
    assert [row["step"] for row in last.history] == [1, 3, 6]


def test_a_song_is_on_one_side_only(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    result = train(examples, replace(TINY, train=replace(TINY.train, steps=1)), tmp_path)
    assert not set(result.train_ids) & set(result.validation_ids)
    assert (len(result.train_ids), len(result.validation_ids)) == (8, 2)
    assert (result.train_hums, result.validation_hums) == (16, 4)
    facts = Model.load(result.checkpoint).facts
    assert facts["data"]["hums"] == 16
    assert facts["best"]["step"] == result.best_step == 1


def test_without_held_out_hums_training_does_not_start(tmp_path: Path) -> None:
    songs = [take for take in toy_examples(songs=10, hums=0, seed=1) if take.kind == "song"]
    with pytest.raises(InputError, match="0 hums"):
        train(songs, TINY, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("device", "tpu"), ("precision", "8"), ("precision", "bf16")])
def test_devices_and_precisions_that_are_not_there_are_refused(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        train(toy_examples(10, 1, 0), replace(TINY, train=replace(TINY.train, **{name: value})), tmp_path)


def test_training_learns_songs_that_it_has_never_heard(tmp_path: Path) -> None:
    examples = toy_examples(songs=24, hums=2, seed=3, length_s=7)
    learning = replace(
        TINY.train, songs_per_batch=12, recordings_per_song=4, steps=60, validate_every=60, validation_share=0.5
    )
    config = replace(TINY, encoder=replace(TINY.encoder, dropout=0.0), train=learning)
    result = train(examples, config, tmp_path, rank=RankConfig(ranker="nearest"))
    assert result.history[-1]["low"] > 2 * metrics.chance(12)
    assert np.mean(result.losses[-5:]) < 0.9 * np.mean(result.losses[:5])


def test_the_spectrogram_control_is_one_parameter_away(tmp_path: Path) -> None:
    examples = []
    for take in toy_examples(songs=6, hums=1, seed=0, length_s=5):
        assert isinstance(take.source, F0)
        hz = np.repeat(take.source.hz, 80)
        samples = 0.5 * np.sin(2 * np.pi * np.cumsum(hz) / 8000) * (hz > 0)
        examples.append(Example(take.name, take.music_id, take.kind, Recording(samples.astype(np.float32), 8000)))
    control = replace(TINY, features="spectrogram", train=replace(TINY.train, steps=2))
    result = train(examples, control, tmp_path)
    assert 0 <= result.history[-1]["validation_mrr"] <= 1
    model = Model.load(result.checkpoint)
    stem = model.network.state_dict()["stem.0.weight"]
    assert tuple(stem.shape) == (8, control.spectrogram.bands, 5)


# --- the margin question ----------------------------------------------------------------------------


def test_triplet_margins_by_hand() -> None:
    distance = np.array([[0, 1, 3], [1, 0, 4], [3, 4, 0]], np.float32)
    positive, negative, gap = triplet_margins(distance, np.array([0, 0, 1]))
    assert sorted(positive) == [1, 1]
    assert sorted(negative) == [3, 3, 4, 4]
    assert sorted(gap) == [2, 3]


def test_unit_vectors_are_at_most_so_far_apart_on_average() -> None:
    # the bound that margin.py's explanation stands on: mean squared distance <= 2n / (n - 1)
    for n, dim in ((3, 2), (50, 8), (200, 128)):
        vectors = rng(n).standard_normal((n, dim))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        squared = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
        assert squared.sum() / (n * (n - 1)) <= 2 * n / (n - 1) + 1e-9


def test_margin_experiment_has_a_row_a_choice() -> None:
    examples = toy_examples(songs=12, hums=1, seed=1, length_s=6)
    rows = margin_experiment(examples, TINY, margins=(0.2, 2.0), steps=3)
    assert [(row.normalise, row.margin) for row in rows] == [(True, 0.2), (True, 2.0), (False, 0.2), (False, 2.0)]
    for row in rows:
        assert row.low <= row.mrr <= row.high
        assert 0 <= row.satisfied <= 1
    assert rows[1].satisfied == 0
    assert rows[1].loss > 2 - np.sqrt(2 * 12 / 11)
