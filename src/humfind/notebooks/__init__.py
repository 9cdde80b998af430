"""What the notebooks share, so that their cells stay thin. Each function is one cell's worth of work.

Notebook 03's are in ``notebooks.training``, which takes seconds to import.
"""

import warnings

from humfind.notebooks.difficulty import difficulty_of, with_and_without
from humfind.notebooks.hum_yourself import (
    found_alignment,
    found_table,
    hum_player,
    hum_yourself,
    player_at_match,
    way_of,
    whole_way,
    worst_players,
)
from humfind.notebooks.pairs import Pair, all_pairs, example_pair, gallery, hums_per_song, octave_jumps, spread, typical
from humfind.notebooks.ranking import (
    aligned_query,
    compare_models,
    compare_rankers,
    difference_claim,
    ranker_claim,
    submit,
    vote_curve,
    worst_queries,
)
from humfind.notebooks.run import Run, open_run, shipped
from humfind.notebooks.space import census, neighbours, window_distances, window_map
from humfind.notebooks.tracking import (
    activations,
    by_group,
    example_song,
    most_sung_song,
    player,
    separation,
    skipped,
    sound_player,
    tracker_speeds,
    transform,
)
from humfind.retrieval.trial import Trial

warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's bars are text here, and need no widgets

__all__ = [
    "Pair",
    "Run",
    "Trial",
    "activations",
    "aligned_query",
    "all_pairs",
    "by_group",
    "census",
    "compare_models",
    "compare_rankers",
    "difference_claim",
    "difficulty_of",
    "example_pair",
    "example_song",
    "found_alignment",
    "found_table",
    "gallery",
    "hum_player",
    "hum_yourself",
    "hums_per_song",
    "most_sung_song",
    "neighbours",
    "octave_jumps",
    "open_run",
    "player",
    "player_at_match",
    "ranker_claim",
    "separation",
    "shipped",
    "skipped",
    "sound_player",
    "spread",
    "submit",
    "tracker_speeds",
    "transform",
    "typical",
    "vote_curve",
    "way_of",
    "whole_way",
    "window_distances",
    "window_map",
    "with_and_without",
    "worst_players",
    "worst_queries",
]
