"""musicnn's networks: the original graph where TensorFlow is there, and what they hear in real instruments."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import REPOSITORY

from humfind.audio.load import resample
from humfind.audio.tonality import MAJOR, MINOR, mode_strengths, strengths
from humfind.encoders import musicnn
from humfind.encoders.musicnn import TAGS, Musicnn
from humfind.encoders.sound import MODES, SAME, Segment, SoundEncoder
from humfind.retrieval.sound import segments
from humfind.synth.soundfont import RATE_HZ, Played, Soundfont
from humfind.types import InputError, Recording

PROGRAMS = {"piano": 0, "harpsichord": 6, "violin": 40, "flute": 73}  # General MIDI


def mels(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, musicnn.FRAMES, musicnn.BANDS), dtype=np.float32)


@pytest.fixture(scope="module")
def encoder() -> SoundEncoder:
    return SoundEncoder()


@pytest.mark.parametrize("collection", TAGS)
def test_the_same_as_the_original_graph(collection):
    tensorflow = pytest.importorskip("tensorflow")
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

    folder = Path(find_spec("musicnn").origin).parent / f"{collection}_musicnn"
    meta = MetaGraphDef.FromString((folder / ".meta").read_bytes())
    nodes = [n for n in meta.graph_def.node if not n.name.startswith(("gradients", "save")) and "Adam" not in n.name]
    while True:  # without what fed on what is left out
        names = {node.name for node in nodes}
        kept = [n for n in nodes if all(one.lstrip("^").split(":")[0] in names for one in n.input)]
        if len(kept) == len(nodes):
            break
        nodes = kept
    plain = tensorflow.compat.v1.GraphDef()
    for node in nodes:
        copied = plain.node.add()
        copied.CopyFrom(node)
        copied.attr.pop("_output_shapes", None)
    graph = tensorflow.Graph()
    with graph.as_default():
        tensorflow.compat.v1.import_graph_def(plain, name="")
    weights = tensorflow.compat.v1.train.NewCheckpointReader(str(folder) + "/")
    values = mels(3)
    feed = {"model/Placeholder:0": values, "model/Placeholder_2:0": False}
    variables = [op.name for op in graph.get_operations() if op.type == "VariableV2"]
    feed |= {f"{name}/read:0": weights.get_tensor(name) for name in variables if weights.has_tensor(name)}
    with tensorflow.compat.v1.Session(graph=graph) as session:
        theirs = session.run("model/Sigmoid:0", feed)
    network = Musicnn(collection)
    with torch.inference_mode():
        ours = torch.sigmoid(network.output(network(torch.from_numpy(values)))).numpy()
    assert np.abs(ours - theirs).max() < 1e-5
    assert np.ptp(theirs) > 0.05  # or everything would be near everything


def test_it_names_the_instrument_that_plays(encoder):
    """Real samples of four instruments: each tag's odds are best where that instrument plays."""
    notes = [60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65]
    odds = {}
    for name, program in PROGRAMS.items():
        played = [Played(i * 0.5, i * 0.5 + 0.48, program, note, 100) for i, note in enumerate(notes)]
        samples = np.ascontiguousarray(Soundfont().play(played, len(notes) * 0.5).mean(axis=1))
        recording = resample(Recording(samples, RATE_HZ), musicnn.RATE_HZ)
        odds[name] = encoder.log_odds(encoder.embed(list(segments(iter([recording.samples])))).vectors).mean(axis=0)
    for tag in PROGRAMS:
        column = encoder.tags.index(tag)
        assert max(odds, key=lambda name: odds[name][column]) == tag, tag


def test_a_segment_is_the_same_alone_and_among_others(encoder):
    many = [Segment(mel, np.array([0.5, 0.1 * n], np.float32)) for n, mel in enumerate(mels(7))]
    together = encoder.embed(many).vectors
    assert together.shape == (7, 402)
    for row in (0, 3, 6):
        assert np.array_equal(encoder.embed([many[row]]).vectors[0], together[row])


def test_tags_of_several_names_are_one(encoder):
    assert len(set(encoder.tags)) == len(encoder.tags)
    names = {name for group in SAME.values() for name in group}
    assert not (names - set(SAME)) & set(encoder.tags)
    known = {name for tags in TAGS.values() for name in tags}
    assert known == (names & known) | (set(encoder.tags) - set(SAME) - set(MODES))


@pytest.mark.parametrize("page", ["labs/tags.md", "tutorials/own_music.md"])
def test_pages_count_the_tags_right(encoder, page):
    assert f"{len(encoder.tags)} tags" in (REPOSITORY / "docs" / page).read_text(encoding="utf-8")


def test_minor_is_told_from_major(encoder):
    """Chords of both, in three keys; and silence is neither."""
    column = encoder.tags.index("minor")
    for root in (57, 62, 67):
        odds = {}
        for name, third in (("major", 4), ("minor", 3)):
            steps = (0, third, 7, 12, 7, third)
            played = [Played(i * 0.5, i * 0.5 + 0.48, 0, root + steps[i % 6], 100) for i in range(12)]
            sound = np.ascontiguousarray(Soundfont().play(played, 6.0).mean(axis=1))
            samples = resample(Recording(sound, RATE_HZ), musicnn.RATE_HZ).samples
            odds[name] = encoder.log_odds(encoder.embed(list(segments(iter([samples])))).vectors)[:, column].mean()
        assert odds["minor"] > 0 > odds["major"], (root, odds)
    assert mode_strengths(np.zeros(50_000, np.float32), 16_000).tolist() == [0, 0]
    click = np.zeros(50_000, np.float32)
    click[100] = 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # librosa says that it has no tuning
        assert np.isfinite(mode_strengths(click, 16_000)).all()


def test_a_keys_own_profile_fits_it_best():
    for key in range(12):
        assert strengths(np.roll(MAJOR, key))[0] == pytest.approx(1)
        assert strengths(np.roll(MINOR, key))[1] == pytest.approx(1)
        assert strengths(np.roll(MAJOR, key))[1] < 0.95


def test_missing_and_damaged_weights_are_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(musicnn, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps musicnn"):
        Musicnn()
    package = tmp_path / "musicnn"
    (package / "MSD_musicnn").mkdir(parents=True)
    (package / "MSD_musicnn" / ".index").write_bytes(b"x" * 100)
    (package / "MSD_musicnn" / ".data-00000-of-00001").write_bytes(b"")
    monkeypatch.setattr(musicnn, "find_spec", lambda name: type("Spec", (), {"origin": str(package / "__init__.py")}))
    with pytest.raises(InputError, match="not the weights that are known"):
        Musicnn()
