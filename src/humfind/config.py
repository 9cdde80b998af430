"""Every default of the project, one dataclass a stage. Notebooks and commands fill these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from humfind.types import InputError, did_you_mean

HOPS_S = (0.0005, 0.5)  # of an f0; outside, a hop is a slip: samples, or milliseconds
MOST_FRAMES = 20_000  # of a window
RANKER_NAMES = (
    "nearest",
    "vote",
    "sequence",
    "dtw",
    "fusion",
    "wavelet",
)  # of humfind.rankers, which takes a second to import
INDEX_PARTS = ("melody", "sound", "tracks")  # of an index
# of recordings: what libsndfile reads, and what the ffmpeg libraries do
SOUNDFILE_SUFFIXES = frozenset({".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au"})
CONTAINER_SUFFIXES = frozenset(
    {".m4a", ".m4b", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".3gp", ".caf", ".wv", ".ape", ".mpc"}
)
AUDIO_SUFFIXES = SOUNDFILE_SUFFIXES | CONTAINER_SUFFIXES
# of sound that is not read: such files in a folder of music are named, where others are passed over
UNREAD_SUFFIXES = frozenset(
    {".aa", ".aax", ".ac3", ".dff", ".dsf", ".dts", ".it", ".m4p", ".mod", ".musicxml", ".mxl", ".ra", ".rm", ".s3m"}
    | {".sid", ".tak", ".xm"}
)
TRACKER_FIELDS = ("tracker", "model", "decoder", "hop_s", "part_size")  # that say how an f0 was made


@dataclass(frozen=True)
class F0Config:
    """Audio -> f0."""

    tracker: str = "torchcrepe"  # torchcrepe | crepe | swiftf0 | pyin | mix
    model: str = "tiny"  # of torchcrepe and crepe: tiny | full
    decoder: str = "weighted"  # how CREPE's 360 probabilities become one pitch: weighted | viterbi
    hop_s: float = 0.01
    part_size: int = 64  # recordings a parquet part: what a kill can cost at most
    threads: int = 0  # 0: one a core; the result is the same

    @classmethod
    def of(cls, tracker: Mapping[str, Any]) -> F0Config:
        """What an index or a manifest names; defaults for what it does not. Raises InputError for what no tracker
        has."""
        config: F0Config = from_dict(
            cls, {name: tracker[name] for name in TRACKER_FIELDS if name in tracker}, "tracker"
        )
        if not (HOPS_S[0] <= config.hop_s <= HOPS_S[1] and config.part_size >= 1):
            raise InputError(f"tracker: {config} is none; give hop_s within {HOPS_S} seconds")
        return config


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
class SpectrogramConfig:
    """Audio -> log-mel frames, the input of the control that does without f0; its frames are the contour's."""

    bands: int = 48
    low_hz: float = 60.0
    high_hz: float = 4000.0
    rate_hz: int = 16000
    floor_db: float = -80.0  # below the loudest frame; what is quieter counts as silence


@dataclass(frozen=True)
class ResNet1dConfig:
    """Windows -> embeddings, by a residual network over time."""

    name: str = "resnet1d"
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels a stage; all but the first halve the length
    blocks: tuple[int, ...] = (1, 1, 1, 1)  # residual blocks a stage
    kernel: int = 7
    embedding_dim: int = 128
    normalise: bool = True  # embeddings of length 1
    dropout: float = 0.0
    stem_stride: int = 2  # of the first convolution, in frames
    segments: int = 1  # time is averaged in this many parts: above 1, the embedding knows their order


@dataclass(frozen=True)
class AttentionConfig:
    """Windows of any length -> embeddings, by 2-D convolutions and attention over time (2017 report)."""

    name: str = "attention"
    widths: tuple[int, ...] = (16, 32, 64)  # channels of the convolutions; all but the last are followed by pooling
    kernel: int = 3
    heads: int = 1  # attention layers, side by side
    hidden: int = 256  # of the first dense layer
    embedding_dim: int = 128
    normalise: bool = False  # embeddings of length 1


@dataclass(frozen=True)
class AugmentConfig:
    """What training does to a contour before the encoder sees it; all but crop_spread are off at 0."""

    tempo: float = 0.25  # stretch by a factor drawn from 1/(1+tempo) .. 1+tempo
    warp: float = 0.1  # slow drift of the tempo within a window, as a share
    detune: float = 0.3  # semitones, slow random drift of the pitch (standard deviation)
    note_error: float = 0.03  # share of 0.3 s spans moved by 1-2 semitones
    octave_error: float = 0.02  # share of 0.3 s spans moved by an octave, as a tracker would
    mask: float = 0.1  # share of a window that is silenced at most
    voicing: float = 0.0  # share of windows that do not tell where is singing
    jitter: float = 0.1  # semitones, white
    crop_spread: float = 0.3  # crops of one song: 0 start at the same share of it, 1 anywhere (as in 2021)
    mirror: float = 0.5  # share of songs turned upside down, and of songs played backwards: hums and all


@dataclass(frozen=True)
class TrainConfig:
    """Pairs of contours -> checkpoint."""

    loss: str = "ntxent"  # ntxent | triplet | multisimilarity
    margin: float = 0.2  # of triplet: in the units of the embedding's distance
    miner: str = "none"  # none | semihard | hard: which triplets
    temperature: float = 0.1  # of ntxent
    songs_per_batch: int = 32  # P
    recordings_per_song: int = 4  # K: crops of hums and of the song itself
    steps: int = 600
    validate_every: int = 100  # steps
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    validation_share: float = 0.2  # of the songs, split by music_id
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    precision: str = "auto"  # auto: bf16 on a GPU, float32 elsewhere | 32 | bf16
    device: str = "auto"  # auto | cpu | gpu
    processes: int = 1  # that share every batch: one a GPU, or one or more cores each
    seed: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """What a checkpoint holds apart from its weights. encoder: the configuration of the encoder that it names."""

    features: str = "f0"  # what the encoder reads: f0 (contours) | spectrogram (the control without f0)
    contour: ContourConfig = field(default_factory=ContourConfig)
    spectrogram: SpectrogramConfig = field(default_factory=SpectrogramConfig)
    encoder: Any = field(default_factory=ResNet1dConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class DtwConfig:
    """The alignment of a whole hum with a song. Costs are minus logarithms of likelihoods."""

    frame_s: float = 0.12  # of hum and song; a multiple of the contour's
    rescore_top: int = (
        100  # recordings that are aligned in such frames, the best of a first look in frames twice as long
    )
    error_semitones: float = 0.6  # spread of a sung pitch about the song's
    stray_share: float = 0.15  # of the likelihood that does not care for pitch: slips, wrong notes
    hold_s: float = 0.3  # a pitch is held so long into a rest; the remainder of the rest is left out
    faster: float = 0.3  # cost of a frame in which the hum runs at double the song's tempo
    slower: float = 0.4  # at half
    off_start: float = 6.0  # cost of beginning elsewhere than a phrase of the song does
    off_end: float = 3.0  # of ending so
    # where a hum pauses, it may go on later in the song, by so many seconds at most: a mix's line has fills there
    skip: float = 8.0
    skip_s: float = 4.0
    # and, where it has gone on for so long and will, anywhere in the song: people repeat and leave out
    jump: float = 8.0
    piece_s: float = 4.0
    # hum seconds a song second, about which the tempo may wander by 2; the last two are for sheets of unknown tempo
    tempos: tuple[float, ...] = (1.0, 0.5, 2.0, 0.25, 4.0)
    other_tempo: float = 3.0  # added to the log E-value for each octave of tempo from 1
    # share of hums in the song's own key, to a quarter tone: who has just heard a song, or knows it well, often keeps
    # its pitch (Levitin 1994); 0: all keys alike
    own_key: float = 0.4
    length_correction: bool = True  # E-values: a long song has more places to match by chance


@dataclass(frozen=True)
class FusionConfig:
    """Weights of the log E-values, fitted by ``benchmarks/accuracy/fit_fusion.py``. none: of "no song of the index",
    where it has 1,000."""

    exhaustive: int = 4000  # recordings that are all aligned; of more, the shortlist alone
    directions: int = 32  # along which every other window is compared first
    likely: int = 10_000  # places of 8 s: the best of these, compared along all directions
    shortlist: int = 1000  # the best of those, where the hum is aligned
    dtw: float = 0.668
    sequence: float = 0.587
    none: float = -9.549


@dataclass(frozen=True)
class WaveletConfig:
    """Ranker wavelet: contours as strings of wavelet coefficients."""

    wavelet: str = "db2"  # one of pywt.wavelist(kind="discrete")
    discarded: int = 2  # of the finest details; a symbol stands for 2^discarded frames of 40 ms
    per_octave: float = 6.0  # symbols tell whole tones apart
    tempos: tuple[float, ...] = (0.71, 0.84, 1.0, 1.19, 1.41)  # hum seconds a song second
    places: int = 8  # of a song that are compared, in the length of the hum


@dataclass(frozen=True)
class IndexConfig:
    """Embeddings -> index."""

    folder_tracker: str = "mix"  # of a folder of audio files, where nothing else is asked for: songs are mixes there
    engine: str = "exact"  # what finds neighbours: exact | ivf | ivfpq | milvus; for many songs ivfpq


@dataclass(frozen=True)
class RankConfig:
    """Hits -> ranking."""

    ranker: str = "fusion"  # nearest | vote | sequence | dtw | fusion | wavelet
    vote_k: int = 4  # each query window's K nearest song windows vote
    top: int = 10  # answers a query
    dtw: DtwConfig = field(default_factory=DtwConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    wavelet: WaveletConfig = field(default_factory=WaveletConfig)


@dataclass(frozen=True)
class SongConfig:
    """Melody -> song audio."""

    rate_hz: int = 16000
    notes_per_s: tuple[float, float] = (1.7, 3.2)  # fiddle tunes are slowed to what people sing
    tempo_spread: float = 0.08  # songs are that much slower or faster, as a share
    lead_median_midi: tuple[float, float] = (58.0, 74.0)  # where the lead lies
    intro_bars: tuple[int, int] = (0, 2)  # accompaniment alone, before the tune and between its rounds
    accompaniment_db: tuple[float, float] = (-10.0, -1.0)  # below the lead: full songs
    excerpt_accompaniment_db: tuple[float, float] = (-20.0, -8.0)  # training excerpts are cleaner
    lead_swell_db: float = 4.0  # the level of a played lead wanders by so much
    sung_share: float = 0.5  # chance that the lead is sung, not played
    reverb: tuple[float, float] = (0.05, 0.25)  # share of room in the sound


@dataclass(frozen=True)
class HummerConfig:
    """Notes -> a human-like hum. Ranges are drawn from once a hum, spreads once a note.

    Fitted by ``benchmarks/accuracy/hum_realism.py`` to 577 singers of MASTmelody (pitch error, wobble, drift, glide,
    voicing) and 2,295 transcribed hums of HumTrans (wrong and missing notes, note lengths); tempo and
    breath are wider than theirs, since they sang along with, or right after, what they heard.
    """

    rate_hz: int = 16000
    tempo_ratio: tuple[float, float] = (0.7, 1.4)  # hum seconds a song second, log-uniform
    tempo_drift: float = 0.06  # share, over the hum
    timing: tuple[float, float] = (0.04, 0.20)  # spread of a note's length, log
    centre_midi: tuple[float, float] = (47.0, 66.0)  # a comfortable middle, low men to children
    wrong: tuple[float, float] = (0.0, 0.10)  # share of notes sung a step or more off
    merged: tuple[float, float] = (0.0, 0.10)  # share of notes that are swallowed by the one before
    skipped: tuple[float, float] = (0.0, 0.04)
    intonation_cents: tuple[float, float] = (8.0, 55.0)  # spread of a note's pitch
    drift_cents_per_s: float = 3.0  # spread, of the key
    interval_scale: float = 0.02  # spread: some sing all intervals too narrow or too wide
    glide_s: tuple[float, float] = (0.06, 0.26)  # from one note's pitch to the next
    scoop_cents: float = 180.0  # spread of how far below a note begins after silence
    vibrato_hz: tuple[float, float] = (4.5, 6.5)
    vibrato_cents: tuple[float, float] = (0.0, 45.0)
    jitter_cents: float = 20.0  # spread of the slow wobble within a note
    breath_every_s: tuple[float, float] = (2.5, 7.0)
    breath_s: tuple[float, float] = (0.2, 0.6)
    da_share: float = 0.5  # hums sung "da da"; the others with a closed mouth
    da_gap_s: tuple[float, float] = (0.01, 0.06)  # silence before each "da"
    snr_db: tuple[float, float] = (15.0, 40.0)  # microphone and room noise


@dataclass(frozen=True)
class DemoConfig:
    """One size of the embedded data set; lengths in seconds, ranges (low, high). None: as many as there are."""

    train_songs: int | None
    train_hums: int | None
    public_songs: int | None
    public_hums: int | None
    public_song_s: tuple[float, float]
    books: str = "all"  # all | aird1: the first book of Aird's Airs alone, read in two seconds
    excerpt_s: tuple[float, float] = (10.0, 12.0)
    hum_s: tuple[float, float] = (8.0, 12.0)
    hums_per_song: int = 8  # at most; the fewest is 1
    bitrate_kbps: int = 64
    seed: int = 0
    song: SongConfig = field(default_factory=SongConfig)
    hummer: HummerConfig = field(default_factory=HummerConfig)


DEMO_SIZES: dict[str, DemoConfig] = {
    "tiny": DemoConfig(8, 12, 12, 12, (20.0, 35.0), books="aird1"),
    "small": DemoConfig(92, 140, 24, 60, (60.0, 66.0)),
    "full": DemoConfig(None, None, None, None, (60.0, 180.0)),
}


@dataclass(frozen=True)
class TagModelConfig:
    """Words and music in one space (2020)."""

    song: str = "gated"  # what a track is known by: spec (its sound) | cf (who it stands with) | hybrid | gated (both)
    acoustic: str = "musicnn"  # how its sound is heard: musicnn (a frozen network) | cnn (learned from log-mel)
    words: str = "music"  # vectors of tags: music (who stands with whom) | general (English, an extra)
    sampling: str = "balanced-weighted"  # of triplets: random | balanced | balanced-weighted
    margin: float = 0.4  # of the triplet loss, in cosines
    triplets: int = 128  # a batch
    hidden: int = 512
    dim: int = 256  # of the space
    dropout: float = 0.5
    channels: int = 16  # of the cnn's first layers
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(steps=800, validate_every=200, learning_rate=1e-3, weight_decay=0.0)
    )


@dataclass(frozen=True)
class MorletConfig:
    """A segment of sound -> a vector, learned without labels: a bank of Morlet wavelets, then convolutions (2019)."""

    rate_hz: int = 11_025
    samples: int = 8_192  # of a segment
    filters: int = 128
    taps: int = 512
    spacing: str = "log"  # how the wavelets' centres are spaced: log | mel
    low_hz: float = 60.0
    high_hz: float = 5_000.0
    cycles: float = 12.0  # of a wavelet, within three deviations of its envelope to either side
    stride: int = 32  # samples from one reading of a wavelet to the next
    learnable: bool = False  # whether the bank changes in training
    frames: int = 64  # that are left after pooling
    channels: int = 16  # of the four convolutions; 128 in 2019
    dim: int = 128
    positives: str = "both"  # what an anchor is drawn to: deformed (a copy) | near (in time) | both
    mining: str = "semihard"  # which of the batch's negatives an anchor is pushed from: semihard | random
    margin: float = 0.25  # of the triplet loss, in cosines
    triplets: int = 32  # a batch
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(steps=300, validate_every=75, learning_rate=5e-4, weight_decay=0.0)
    )


@dataclass(frozen=True)
class TagsLabConfig:
    """Lab tags: the material, and what is compared on it."""

    table: str = ""  # MTG-Jamendo's tables (a.tsv.gz,b.tsv.gz), an MSD500-like folder; empty: tunes of the old books
    tracks: int = 320  # tunes that are rendered
    length_s: float = 9.0  # of each
    least_tracks: int = 0  # of a tag; 0: a fiftieth of the tracks, a hundred at most
    seed: int = 0


@dataclass(frozen=True)
class TrackModelConfig:
    """Metadata of a track -> a vector (2024)."""

    loss: str = "arcface"  # triplet (by relevance) | arcface | additive | softmax (classes of genre and decade)
    hidden: tuple[int, ...] = (64, 128)
    dim: int = 64  # of the space
    batch_norm: bool = True
    scale: float = 30.0  # of cosines, before the softmax
    margin: float = 0.5  # of arcface in radians; of additive and triplet in cosines
    batch: int = 128
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(steps=600, validate_every=150, learning_rate=1e-3, weight_decay=1e-4)
    )


@dataclass(frozen=True)
class SimilarLabConfig:
    """Lab similar: the material, and what is compared on it."""

    sounds: str = ""  # a folder of recordings, with labels in its folders' names or in a CSV; empty: rendered
    minutes: float = 60.0  # that are rendered
    seed: int = 0  # of everything


@dataclass(frozen=True)
class SingingLabConfig:
    """Lab singing: cover cliques, and the attention network that learns from them."""

    covers: str = ""  # a CSV clique,track,path of recordings of your own; empty: tunes of the old books
    tunes: int = 64  # learned from; an eighth as many are held out, a quarter are asked
    renditions: int = 4  # of each tune
    length_s: float = 16.0  # of each recording
    lead: str = "both"  # of what is learned from: both | sung | played
    features: str = "spectrogram"  # what the network reads: spectrogram | f0
    window_s: float = 12.0  # of a recording, in training
    heads: int = 1  # attention layers
    threshold: float = 1.0  # distance from which on other tunes are far enough
    weight: float = 1.0  # of other tunes
    inverse: bool = False  # push others by the inverse of their distance, in place of the threshold
    entropy: float = 0.0  # times the mean squared embedding, added to the loss
    steps: int = 300  # batches of ten pairs
    learning_rate: float = 5e-4  # the highest, after warm-up
    seed: int = 0  # of everything


@dataclass(frozen=True)
class NotebookConfig:
    """Parameters that only notebooks have."""

    data: str = "demo-tiny"  # demo-tiny | demo-small | demo-full | a folder in the competition's layout
    run_dir: str = ""  # where results go; empty: runs/<name of data>
    preset: str = "small"  # small | zalo2021
    checkpoint: str = ""  # a model.safetensors; empty: the run's own, or one trained on the spot
    split: str = "public_test"  # public_test | private_test
    hum: str = ""  # a recording of your own; empty: the first hum of the split
    resume: bool = True  # go on with a training that was stopped; False begins anew
    train_hours: float = 0.0  # stop training after so many, to go on another time; 0: no limit
    experiment_steps: int = 40  # of each training of notebook 03's two experiments; 0 leaves them out


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
    encoder=ResNet1dConfig(
        widths=(128, 256, 512, 1024),
        blocks=(3, 4, 6, 3),
        kernel=7,
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
        augment=AugmentConfig(
            tempo=0,
            warp=0,
            detune=0,
            note_error=0,
            octave_error=0,
            mask=0,
            jitter=0,
            crop_spread=1.0,
            mirror=0,
        ),
    ),
)
PRESETS: dict[str, ModelConfig] = {"small": ModelConfig(), "zalo2021": ZALO2021}


# what a parameter may be, by its name in notebooks and commands
CHOICES: dict[str, tuple[str, ...]] = {
    "tracker": ("torchcrepe", "crepe", "swiftf0", "pyin", "mix"),
    "crepe_model": ("tiny", "full"),
    "decoder": ("weighted", "viterbi"),
    "preset": ("small", "zalo2021"),
    "features": ("f0", "spectrogram"),
    "loss": ("ntxent", "triplet", "multisimilarity"),
    "miner": ("none", "semihard", "hard"),
    "precision": ("auto", "32", "bf16"),
    "device": ("auto", "cpu", "gpu"),
    "split": ("public_test", "private_test"),
    "ranker": RANKER_NAMES,
    "lead": ("both", "sung", "played"),
    "parts": INDEX_PARTS,
    "song": ("spec", "cf", "hybrid", "gated"),
    "acoustic": ("musicnn", "cnn"),
    "words": ("music", "general"),
    "sampling": ("random", "balanced", "balanced-weighted"),
    "track_loss": ("arcface", "additive", "softmax", "triplet"),
    "spacing": ("log", "mel"),
    "positives": ("deformed", "near", "both"),
    "mining": ("semihard", "random"),
}
LARGEST_SEED = 2**63 - 1
RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10**7),
    "validate_every": (1, 10**7),
    "experiment_steps": (0, 10**7),
    "train_hours": (0, 10**4),
    "songs_per_batch": (2, 10**5),
    "recordings_per_song": (2, 1000),
    "learning_rate": (1e-12, 10.0),
    "weight_decay": (0.0, 10.0),
    "margin": (0.0, 1000.0),
    "temperature": (1e-4, 1000.0),
    "validation_share": (1e-6, 0.999),
    "seed": (0, LARGEST_SEED),
    "vote_k": (1, 10**6),
    "top": (1, 10),
    "tunes": (2, 10_000),
    "renditions": (2, 1000),
    "length_s": (2.0, 600.0),
    "heads": (1, 64),
    "tracks": (40, 100_000),
    "least_tracks": (0, 10**6),
    "triplets": (2, 10**5),
    "dropout": (0.0, 0.95),
    "minutes": (0.5, 100_000),
    "channels": (1, 1024),
    "rendered": (0, 100_000),
    "sound_steps": (1, 10**7),
    "scale": (1e-3, 1e4),
}


def require_valid(name: str, value: Any, others: Sequence[str] = ()) -> None:
    """Raises InputError where a parameter of this name cannot be ``value``; a name without rules takes anything.

    others: choices that other packages add.
    """
    if name in CHOICES and value not in (known := (*CHOICES[name], *others)):
        raise InputError(f"{name}={value!s:.60}: unknown; choose one of {', '.join(known)}{did_you_mean(value, known)}")
    if name in RANGES:
        low, high = RANGES[name]
        if not low <= value <= high:  # also for what is no number
            raise InputError(f"{name}={value!s:.60}: not from {low:g} to {high:g}; choose one that is")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values."""
    return asdict(config)


def from_dict(kind: type, values: dict[str, Any], where: str = "config") -> Any:
    """The dataclass ``kind`` from plain JSON values; unknown names are an error, missing ones a default."""
    if not isinstance(values, dict):
        raise InputError(f"{where}: {values!r:.40} is no table of names and values; copy it again")
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
        elif not _is_like(value, current):
            raise InputError(f"{where}.{name}: {value!r:.40} is not of the kind of {current!r}; correct it")
        else:
            made[name] = tuple(value) if isinstance(current, tuple) else value
    return kind(**made)


def require_sane(config: ModelConfig, where: str) -> None:
    """Windows that can be cut, and features that are known. Raises InputError.

    The bounds are far from any use; they keep a forged or mistyped number from asking for hours or for all memory.
    """
    line = config.contour
    tempos = 1 <= len(line.query_tempos) <= 100 and all(0.1 <= tempo <= 10 for tempo in line.query_tempos)
    hops = all(max(line.frame_s, 0.01) <= hop_s <= 600 for hop_s in (line.song_hop_s, line.query_hop_s))
    cut = 0.001 <= line.frame_s <= 1 and line.frame_s <= line.window_s <= 600 and 0 <= line.min_voiced_share <= 1
    if not (cut and line.window_s / line.frame_s <= MOST_FRAMES and tempos and hops):
        raise InputError(f"{where}.contour: {line} cuts no windows; copy the file again")
    if config.features not in CHOICES["features"]:
        raise InputError(
            f"{where}.features: {config.features!r:.40} is unknown; choose {' or '.join(CHOICES['features'])}"
        )


def _is_like(value: Any, default: Any) -> bool:
    """Of the type of ``default``; a whole number will do for a fraction."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and (not default or all(_is_like(one, default[0]) for one in value))
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)
