"""What the five notebooks share, so that their cells stay thin. Each function is one cell's worth of work.

Notebook 03's are in ``suite.training``, which takes seconds to import.
"""

from humfind.notebooks.pairs import Pair, octave_jumps, spread, typical
from humfind.notebooks.ranking import (
    compare_models,
    compare_rankers,
    difference_claim,
    ranker_claim,
    submit,
    vote_curve,
    worst_queries,
)
from humfind.notebooks.run import Run, open_run, shipped
from humfind.notebooks.space import census, neighbours, window_map
from humfind.retrieval.trial import Trial

__all__ = [
    "Pair",
    "Run",
    "Trial",
    "census",
    "compare_models",
    "compare_rankers",
    "difference_claim",
    "neighbours",
    "octave_jumps",
    "open_run",
    "ranker_claim",
    "shipped",
    "spread",
    "submit",
    "typical",
    "vote_curve",
    "window_map",
    "worst_queries",
]
