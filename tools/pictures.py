"""The pictures of docs/how_it_works.md, from the small data set that comes with the repository.

python tools/pictures.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure

from humfind import notebooks
from humfind.config import F0Config, ModelConfig
from humfind.notebooks import training as lab
from humfind.plots import embedding, pairs, training, transform, way

HUMS_TRIED = 20
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "how_it_works"


def pictures(folder: Path) -> Iterator[tuple[str, Figure]]:
    """Each by the name of its file; ``folder``: where the run may write."""
    run = notebooks.open_run("demo-tiny", str(folder), F0Config())
    model = notebooks.shipped()
    if found := notebooks.whole_way(run, model):
        yield "way", way.way(*notebooks.way_of(run, found))
        if aligned := notebooks.found_alignment(run, found):
            yield "alignment", pairs.alignment(*aligned)
        tried = (notebooks.window_distances(found.trial, model, seed) for seed in range(HUMS_TRIED))
        clear = next((one for one in tried if one and one[0][0][1].min() < one[0][1][1].min()), None)
        if clear:  # the encoder alone puts its song first
            yield "windows", embedding.window_distances(*clear)
    (pair,) = notebooks.typical(notebooks.all_pairs(run), 1)
    if rated := notebooks.activations(run, pair.hum):
        yield "activations", transform.activations(*rated)
    song = notebooks.most_sung_song(run)
    title = f"{run.title(song.music_id)}: its first seconds, and the voice in them"
    yield "separation", transform.f0_over_spectrogram(notebooks.separation(run, song), title, True)
    yield "pair", pairs.raw(run.f0(pair.hum), run.f0(pair.song), f"{pair.title}: a song and a hum of it")
    claim = f"{pair.title}: without key and tempo, {pair.error:.1f} semitones apart"
    yield "aligned", pairs.aligned(pair.hum_contour, pair.song_contour, pair.match, claim)
    yield "augmentations", training.augmentations(*lab.augmentations(run, ModelConfig()))


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        for name, figure in pictures(Path(folder)):
            figure.savefig(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
