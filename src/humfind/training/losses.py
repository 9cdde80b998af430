"""Loss and miner by name, from pytorch-metric-learning (Musgrave et al. 2020).

Distances are Euclidean in the embedding's own units: ``margin`` of a triplet loss means what it says,
normalised or not. NT-Xent (Sohn 2016; Chen et al. 2020) and multi-similarity (Wang et al. 2019) compare
directions alone.
"""

from __future__ import annotations

import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor, nn

from humfind.config import TrainConfig
from humfind.types import InputError

LOSSES = ("ntxent", "triplet", "multisimilarity")
SMALL = 1e-12  # under a root, whose slope at 0 has no end
MINERS = ("none", "semihard", "hard")


def make_loss(config: TrainConfig) -> MetricLoss:
    """The loss that ``config`` names, behind the miner that it names."""
    if config.loss not in LOSSES:
        raise InputError(f"loss {config.loss!r}: unknown; choose one of {', '.join(LOSSES)}")
    if config.miner not in MINERS:
        raise InputError(f"miner {config.miner!r}: unknown; choose one of {', '.join(MINERS)}")
    euclidean = LpDistance(normalize_embeddings=False, p=2)
    loss: nn.Module
    if config.loss == "ntxent":
        loss = NTXent(temperature=config.temperature)
    elif config.loss == "triplet":
        loss = losses.TripletMarginLoss(margin=config.margin, distance=euclidean)
    else:
        loss = losses.MultiSimilarityLoss()
    if config.miner == "none":
        return MetricLoss(loss, None)
    miner = miners.TripletMarginMiner(config.margin, type_of_triplets=config.miner, distance=euclidean)
    return MetricLoss(loss, miner)


class MetricLoss(nn.Module):
    """embeddings (B, dim), song (B,) -> one number, 0 where the miner leaves nothing to learn."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, song: Tensor) -> Tensor:
        chosen = self.miner(embeddings, song) if self.miner is not None else None
        value: Tensor = self.loss(embeddings, song, chosen)
        return value


class NTXent(losses.NTXentLoss):
    """The library's NT-Xent, its sum over negatives made once an anchor instead of once a positive pair.

    The same number at a fiftieth of the time: the library lays out positives x negatives, which for 64
    songs x 4 crops is 50 million exponentials.
    """

    def _compute_loss(self, pos_pairs: Tensor, neg_pairs: Tensor, indices_tuple: tuple[Tensor, ...]) -> dict:
        anchor, positive, anchor_of_negative, _ = indices_tuple
        if len(anchor) == 0 or len(anchor_of_negative) == 0:
            zero: dict = self.zero_losses()
            return zero
        highest = 1 / self.temperature  # of a cosine: exponents stay at or below 0
        near = torch.exp(pos_pairs / self.temperature - highest)
        far = torch.exp(neg_pairs / self.temperature - highest)
        anchors = int(torch.max(anchor.max(), anchor_of_negative.max())) + 1
        total = far.new_zeros(anchors).index_add(0, anchor_of_negative, far)[anchor] + near
        per_pair = torch.log(total.clamp_min(1e-30)) - (pos_pairs / self.temperature - highest)
        return {"loss": {"losses": per_pair, "indices": (anchor, positive), "reduction_type": "pos_pair"}}


class PairLoss(nn.Module):
    """Pull matching pairs together, push others apart (2017 report): embeddings (B, dim), clique (B,) -> one number.

    mean over matching pairs of d^2 + ``weight`` * mean over others of max(0, ``threshold`` - d)^2, d the Euclidean
    distance; with ``inverse`` the second part is the mean of 1 / (d^2 + ``threshold``) instead. entropy: times the mean
    of the squared embedding, added, as in the code that the report was built on.
    """

    def __init__(self, threshold: float, weight: float, inverse: bool = False, entropy: float = 0.0) -> None:
        super().__init__()
        self.threshold, self.weight, self.inverse, self.entropy = threshold, weight, inverse, entropy

    def forward(self, embeddings: Tensor, clique: Tensor) -> Tensor:
        first, second = torch.triu_indices(len(clique), len(clique), 1, device=clique.device)
        squared = (embeddings[first] - embeddings[second]).square().sum(dim=1)
        same = clique[first] == clique[second]
        far = 1 / (squared + self.threshold)
        if not self.inverse:
            far = (self.threshold - (squared + SMALL).sqrt()).clamp_min(0).square()
        value = embeddings.new_zeros(())
        if same.any():
            value = value + squared[same].mean()
        if not same.all():
            value = value + self.weight * far[~same].mean()
        return value + self.entropy * embeddings.square().mean()
