"""What a segment of a recording sounds like, as a vector, and which tags fit it: musicnn's networks, and the mode."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from humfind.encoders.musicnn import TAGS, Musicnn
from humfind.types import Embeddings, Floats

NAME = "musicnn"  # as an index names it
MODES = ("major", "minor")
# Log odds of minor: so many times how much better the best minor key fits than the best major, and more where both fit
# alike. Fitted by ``benchmarks/accuracy/tags.py --only mode``, major and minor taken as equally likely.
MINOR_ODDS = (12.7, 0.95)
BATCH = 4  # segments at a time: more do not fit the cache
# What the two collections call by several names; each is any of them.
SAME = {
    "beats": ("beat", "beats"),
    "chill": ("chill", "chillout"),
    "choir": ("choir", "choral"),
    "classical": ("classical", "classic"),
    "electronic": ("electronic", "electronica", "electro"),
    "female vocals": ("female", "female vocal", "female vocalist", "female vocalists", "female voice", "woman"),
    "indie": ("indie", "indie pop", "indie rock"),
    "instrumental": ("instrumental", "no vocal", "no vocals", "no voice"),
    "male vocals": ("male", "male vocal", "male vocalists", "male voice", "man"),
    "vocals": ("vocal", "vocals", "voice", "singing"),
}


class Segment(NamedTuple):
    """What is read of three seconds. mel: (187, 96), by ``audio.mel.compressed_mel``. mode: (2,), by
    ``audio.tonality.mode_strengths``."""

    mel: Floats
    mode: Floats


def _networks() -> dict[str, Musicnn]:
    return {collection: Musicnn(collection) for collection in TAGS}


@dataclass(frozen=True)
class SoundEncoder:
    """Segments -> vectors of 402 numbers: 200 of each network, and how major and how minor it is. Raises InputError
    where the networks' weights are missing."""

    networks: dict[str, Musicnn] = field(default_factory=_networks)

    @cached_property
    def checksum(self) -> str:
        """sha256 of all weights: vectors of one index are of one encoder."""
        digest = hashlib.sha256()
        for network in self.networks.values():
            for name, value in network.state_dict().items():
                digest.update(name.encode() + value.numpy().tobytes())
        digest.update(b"mode")
        return digest.hexdigest()

    @property
    def tags(self) -> tuple[str, ...]:
        """Sorted; of what has several names, the one in ``SAME``."""
        return tuple(sorted([*self._columns, *MODES]))

    @cached_property
    def _columns(self) -> dict[str, list[int]]:
        """Which outputs of both networks, laid end to end, say a tag."""
        called = {name: tag for tag, names in SAME.items() for name in names}
        columns: dict[str, list[int]] = {}
        for column, name in enumerate(name for network in self.networks.values() for name in network.tags):
            columns.setdefault(called.get(name, name), []).append(column)
        return columns

    def embed(self, segments: Sequence[Segment]) -> Embeddings:
        """A segment gives the same bytes alone and among others."""
        values = torch.from_numpy(np.stack([one.mel for one in segments]))
        with torch.inference_mode():
            rows = [self._embedded(values[at : at + BATCH]) for at in range(0, len(values), BATCH)]
        heard = torch.cat(rows).numpy()
        return Embeddings(np.concatenate([heard, np.stack([one.mode for one in segments])], axis=1))

    def _embedded(self, values: torch.Tensor) -> torch.Tensor:
        """Of a batch, filled up: the last bits of a sum depend on how many are summed together."""
        full = torch.cat([values, values[-1:].expand(BATCH - len(values), -1, -1)])
        return torch.cat([network(full) for network in self.networks.values()], dim=1)[: len(values)]

    def log_odds(self, vectors: Floats) -> Floats:
        """Vectors (n, 402) -> (n, tags) float32: log(p / (1 - p)) of each of ``tags``."""
        networks = list(self.networks.values())
        with torch.inference_mode():
            parts = torch.from_numpy(vectors[:, :-2]).split([network.output.in_features for network in networks], dim=1)
            odds = torch.cat([network.output(part) for network, part in zip(networks, parts, strict=True)], dim=1)
        found = {tag: odds[:, columns].amax(dim=1).numpy() for tag, columns in self._columns.items()}
        slope, at_equal = MINOR_ODDS
        found["minor"] = slope * (vectors[:, -1] - vectors[:, -2]) + at_equal
        found["major"] = -found["minor"]
        return np.stack([found[tag] for tag in self.tags], axis=1).astype(np.float32)
