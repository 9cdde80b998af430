"""Figures of rankings, each with its count and a 95 % interval.

    intervals    a mean over queries and its bootstrap interval
    ranking      queries with one right answer: MRR@10, top-1, top-10
    relevance    queries with a set of right answers: MAP, precision@k, recall@k, NDCG@k
    overlap      Bhattacharyya coefficient of two samples

A metric never loads data and never changes what it is given.
"""

from humfind.metrics.intervals import Interval, bootstrap
from humfind.metrics.overlap import bhattacharyya
from humfind.metrics.ranking import Report, chance, paired_difference, ranks, reciprocal, report
from humfind.metrics.relevance import SetReport, set_report

__all__ = [
    "Interval",
    "Report",
    "SetReport",
    "bhattacharyya",
    "bootstrap",
    "chance",
    "paired_difference",
    "ranks",
    "reciprocal",
    "report",
    "set_report",
]
