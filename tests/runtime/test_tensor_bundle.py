"""TensorFlow's checkpoints, read without it: against TensorFlow's own checksums, and against TensorFlow where it is."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from humfind.runtime import tensor_bundle

FOLDER = Path(find_spec("musicnn").origin).parent / "MSD_musicnn"
INDEX, DATA = FOLDER / ".index", FOLDER / ".data-00000-of-00001"


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum, masked as TensorFlow stores it."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_arrays_are_those_whose_checksums_tensorflow_wrote():
    found = tensor_bundle.read(INDEX, DATA)
    stored = {
        name.decode(): tensor_bundle._message(entry)[0] for name, entry in tensor_bundle._entries(INDEX.read_bytes())
    }
    small = [name for name, value in found.items() if value.size < 20_000]
    assert len(small) > 80
    for name in small:
        assert crc32c(found[name].tobytes()) == stored[name][6], name


def test_shapes_are_the_networks():
    found = tensor_bundle.read(INDEX, DATA)
    assert found["conv2d/kernel"].shape == (7, 38, 1, 204)
    assert found["dense_1/kernel"].shape == (200, 50)
    assert found["batch_normalization_9/moving_variance"].min() > 0


def test_whatever_is_cut_is_refused(tmp_path):
    whole = INDEX.read_bytes()
    cut = tmp_path / "cut"
    for length in (*range(0, len(whole), 97), len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError):  # noqa: PT011
            tensor_bundle.read(cut, DATA)
    cut.write_bytes(DATA.read_bytes()[:-1])
    with pytest.raises(ValueError, match="does not fit its file"):
        tensor_bundle.read(INDEX, cut)


def test_flipped_bytes_end_in_a_value_error_or_an_answer(tmp_path):
    rng = np.random.default_rng(0)
    whole, forged = bytearray(INDEX.read_bytes()), tmp_path / "forged"
    for _ in range(200):
        part = bytearray(whole)
        for place in rng.integers(0, len(part), 3):
            part[place] = int(rng.integers(256))
        forged.write_bytes(part)
        try:
            tensor_bundle.read(forged, DATA)
        except ValueError:
            continue


def test_the_same_as_tensorflow():
    tensorflow = pytest.importorskip("tensorflow")
    theirs = tensorflow.compat.v1.train.NewCheckpointReader(str(FOLDER) + "/")
    found = tensor_bundle.read(INDEX, DATA)
    assert set(found) == set(theirs.get_variable_to_shape_map())
    for name, value in found.items():
        assert np.array_equal(value, theirs.get_tensor(name)), name
