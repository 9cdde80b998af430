"""A map of sounds as one HTML page: similar segments lie together, and what one points at is played.

The page is whole in itself but for the recordings, which it plays from where they lie.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from humfind.encoders import musicnn
from humfind.index import Index, Song
from humfind.runtime.files import atomic_write
from humfind.types import Floats

MOST, MOST_ASKED = 2_000, 50  # segments on a map; of a query's
PERPLEXITY, COMPONENTS, SEED = 30.0, 50, 0  # of t-SNE; principal components that it starts from
GROUPS = 8  # with a colour of their own
TEMPLATE = Path(__file__).with_name("sound_map.html")


@dataclass(frozen=True)
class Segment:
    """A point of the map. group: what its colour says. url: of the recording, as the page reaches it; empty where there
    is none."""

    name: str
    group: str
    url: str
    start_s: float
    length_s: float
    asked: bool = False


def write_map(index: Index, page: Path, file: Path, vectors: Floats, at_s: float) -> int:
    """A page of an index's segments, evenly thinned, and of those of a query. Returns how many points it shows."""
    rows = np.unique(np.linspace(0, len(index.vectors) - 1, MOST).astype(int))
    groups = [group_of(song) for song in index.songs]
    shown = []
    for row in rows.tolist():
        number = int(index.recording[row])
        song = index.songs[number]
        name = " - ".join(part for part in (song.artist, song.title) if part) or song.music_id
        source = Path(song.source)
        url = url_of(source, page) if source.is_absolute() and source.is_file() else ""
        shown.append(Segment(name, groups[number], url, float(index.start_s[row]), float(index.length_s[row])))
    asked = np.unique(np.linspace(0, len(vectors) - 1, MOST_ASKED).astype(int))
    length_s = musicnn.SEGMENT_S
    for row in asked.tolist():
        shown.append(Segment(file.name, "", url_of(file, page), at_s + row * length_s, length_s, True))
    places = flattened(np.concatenate([index.vectors[rows], vectors[asked]]))
    atomic_write(page, page_of(places, shown, f"Sounds like {file.name}").encode())
    return len(shown)


def flattened(vectors: Floats, seed: int = SEED) -> Floats:
    """(n, d) -> (n, 2) float32 in [0, 1]: t-SNE (van der Maaten and Hinton 2008) of cosines, alike near each other."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if len(unit) < 4:  # too few for neighbourhoods
        return np.stack([np.linspace(0, 1, len(unit)), np.full(len(unit), 0.5)], axis=1).astype(np.float32)
    kept = PCA(min(COMPONENTS, *unit.shape), random_state=seed).fit_transform(unit)
    near = min(PERPLEXITY, (len(kept) - 1) / 3)
    flat = TSNE(2, perplexity=near, init="pca", random_state=seed).fit_transform(kept)
    low, high = flat.min(axis=0), flat.max(axis=0)
    places: Floats = ((flat - low) / np.maximum(high - low, 1e-9)).astype(np.float32)
    return places


def page_of(places: Floats, segments: Sequence[Segment], title: str) -> str:
    """The page. places: (n, 2) in [0, 1], of each segment."""
    count: dict[str, int] = {}
    for one in segments:
        if one.group:
            count[one.group] = count.get(one.group, 0) + 1
    groups = sorted(count, key=lambda name: (-count[name], name))[:GROUPS]
    names = list(dict.fromkeys(one.name for one in segments))
    urls = list(dict.fromkeys(one.url for one in segments))
    row = {name: i for i, name in enumerate(names)}, {url: i for i, url in enumerate(urls)}
    points = [
        [
            round(float(x), 4),
            round(float(y), 4),
            row[0][one.name],
            groups.index(one.group) if one.group in groups else -1,
            row[1][one.url],
            round(one.start_s, 2),
            round(one.length_s, 2),
            int(one.asked),
        ]
        for (x, y), one in zip(places, segments, strict=True)
    ]
    values = json.dumps({"names": names, "groups": groups, "urls": urls, "points": points}, ensure_ascii=False)
    safe = values.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    before, after = (part.replace("TITLE", escape(title)) for part in TEMPLATE.read_text("utf-8").split("VALUES"))
    return before + safe + after


def group_of(song: Song) -> str:
    """Who plays it, else the folder that it lies in."""
    return song.artist or Path(song.source).parent.name


def url_of(file: Path, page: Path) -> str:
    """From the page to the recording; on another drive, by its whole path."""
    try:
        way = os.path.relpath(file.resolve(), page.resolve().parent)
    except ValueError:
        return file.resolve().as_uri()
    return quote(Path(way).as_posix())
