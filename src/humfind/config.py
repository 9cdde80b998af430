"""Every default of the project, one dataclass a stage. Notebooks and commands fill these."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from humfind.types import InputError


@dataclass(frozen=True)
class F0Config:
    """Audio -> f0."""

    tracker: str = "torchcrepe"  # torchcrepe | swiftf0
    model: str = "tiny"  # of torchcrepe: tiny | full
    decoder: str = "weighted"  # how CREPE's 360 probabilities become one pitch: weighted | viterbi
    hop_s: float = 0.01
    part_size: int = 64  # recordings a parquet part: what a kill can cost at most


@dataclass(frozen=True)
class ContourConfig:
    """f0 -> contour -> windows."""

    frame_s: float = 0.04  # a contour frame; a multiple of 10 ms
    scale: str = "semitones"  # semitones | hz (20-600 Hz onto 0-1, as in 2021)
    key: str = "median"  # median: subtract each window's median pitch | none
    voicing_channel: bool = True  # a second channel that says where was singing
    window_s: float = 8.0
    song_hop_s: float = 1.0  # between the starts of a song's windows
    query_hop_s: float = 1.0  # between the starts of a hum's windows
    query_tempos: tuple[float, ...] = (0.71, 0.84, 1.0, 1.19, 1.41)  # hum seconds a song second
    min_voiced_share: float = 0.1  # windows with less singing are dropped, unless all have less


@dataclass(frozen=True)
class EncoderConfig:
    """Windows -> embeddings."""

    name: str = "resnet1d"
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels a stage; all but the first halve the length
    blocks: tuple[int, ...] = (1, 1, 1, 1)  # residual blocks a stage
    kernel: int = 7
    embedding_dim: int = 128
    normalise: bool = True  # embeddings of length 1
    dropout: float = 0.0


@dataclass(frozen=True)
class AugmentConfig:
    """What training does to a contour before the encoder sees it; all off at 0."""

    tempo: float = 0.25  # stretch by a factor drawn from 1/(1+tempo) .. 1+tempo
    warp: float = 0.1  # slow drift of the tempo within a window, as a share
    detune: float = 0.3  # semitones, slow random drift of the pitch (standard deviation)
    note_error: float = 0.03  # share of 0.3 s spans moved by 1-2 semitones
    octave_error: float = 0.02  # share of 0.3 s spans moved by an octave, as a tracker would
    mask: float = 0.1  # share of a window that is silenced at most
    jitter: float = 0.1  # semitones, white


@dataclass(frozen=True)
class TrainConfig:
    """Pairs of contours -> checkpoint."""

    features: str = "f0"  # f0 | spectrogram: the control that asks what f0 is good for
    loss: str = "ntxent"  # ntxent | triplet | multisimilarity
    margin: float = 0.2  # of triplet: in the units of the embedding's distance
    miner: str = "none"  # none | semihard | hard: which triplets
    temperature: float = 0.1  # of ntxent
    songs_per_batch: int = 64  # P
    recordings_per_song: int = 4  # K: crops of hums and of the song itself
    steps: int = 800
    validate_every: int = 100  # steps
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    validation_share: float = 0.2  # of the songs, split by music_id
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    precision: str = "auto"  # auto: bf16 on a GPU, float32 elsewhere | 32 | bf16
    device: str = "auto"  # auto | cpu | gpu
    seed: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """What a checkpoint carries beside its weights."""

    contour: ContourConfig = field(default_factory=ContourConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class RankConfig:
    """Hits -> ranking."""

    ranker: str = "vote"  # nearest | vote
    vote_k: int = 10  # each query window's K nearest song windows vote
    top: int = 10  # answers a query


# The 2021 entry: 8 s of f0 in Hz, 512 numbers not normalised, triplet loss, margin 2.0, 66 M parameters.
ZALO2021 = ModelConfig(
    contour=ContourConfig(
        frame_s=0.01,
        scale="hz",
        key="none",
        voicing_channel=False,
        song_hop_s=2.0,
        query_hop_s=2.0,
        query_tempos=(1.0,),
    ),
    encoder=EncoderConfig(
        widths=(128, 256, 512, 1024),
        blocks=(2, 2, 2, 2),
        kernel=9,
        embedding_dim=512,
        normalise=False,
    ),
    train=TrainConfig(
        loss="triplet",
        margin=2.0,
        miner="semihard",
        songs_per_batch=32,
        recordings_per_song=2,
        learning_rate=1e-3,
        augment=AugmentConfig(tempo=0, warp=0, detune=0, note_error=0, octave_error=0, mask=0, jitter=0),
    ),
)
PRESETS: dict[str, ModelConfig] = {"small": ModelConfig(), "zalo2021": ZALO2021}


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values."""
    return asdict(config)


def from_dict(kind: type, values: dict[str, Any], where: str = "config") -> Any:
    """The dataclass ``kind`` from plain JSON values; unknown names are an error, missing ones a default."""
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    default = kind()
    made: dict[str, Any] = {}
    for name, value in values.items():
        current = getattr(default, name)
        if is_dataclass(current):
            made[name] = from_dict(type(current), value, f"{where}.{name}")
        else:
            made[name] = tuple(value) if isinstance(current, tuple) else value
    return kind(**made)
