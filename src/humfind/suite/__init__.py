"""What the five notebooks share, so that their cells stay thin. Each function is one cell's worth of work."""

from humfind.suite.pairs import Pair, octave_jumps, spread, typical
from humfind.suite.ranking import (
    compare_rankers,
    difference_claim,
    ranker_claim,
    submit,
    vote_curve,
    worst_queries,
)
from humfind.suite.run import Run, open_run
from humfind.suite.space import census, neighbours, window_map
from humfind.suite.training import (
    control_claim,
    features_experiment,
    margin_claim,
    margin_experiment,
    model_config,
    pair_distances,
    training_facts,
)
from humfind.suite.trial import Trial

__all__ = [
    "Pair",
    "Run",
    "Trial",
    "census",
    "compare_rankers",
    "control_claim",
    "difference_claim",
    "features_experiment",
    "margin_claim",
    "margin_experiment",
    "model_config",
    "neighbours",
    "octave_jumps",
    "open_run",
    "pair_distances",
    "ranker_claim",
    "spread",
    "submit",
    "training_facts",
    "typical",
    "vote_curve",
    "window_map",
    "worst_queries",
]
