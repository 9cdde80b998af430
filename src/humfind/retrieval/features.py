"""What an encoder reads of a recording: windows of its contour, or of its log-mel spectrogram.

``ModelConfig.features`` names it, so that a model says by itself what it is given, in training and in search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from humfind.audio import mel
from humfind.config import ModelConfig
from humfind.melody import contour
from humfind.melody.mains import without_mains
from humfind.types import F0, Contour, InputError, Recording, Windows


@dataclass(frozen=True)
class Extracted:
    """windows: for the encoder. contour: for alignment; None where the features are not f0. length_s: the
    recording's."""

    windows: Windows
    contour: Contour | None
    length_s: float


class Features(Protocol):
    """A recording's f0 or audio -> windows. name: of the recording, for messages."""

    def song(self, name: str, source: F0 | Recording) -> Extracted:
        """At the recorded tempo. Raises InputError where the source is of the wrong kind."""
        ...

    def hum(self, name: str, source: F0 | Recording) -> Extracted:
        """At every tempo that is tried. Raises InputError where the source is of the wrong kind."""
        ...


@dataclass(frozen=True)
class ContourFeatures:
    """f0 -> windows of the contour."""

    config: ModelConfig

    def song(self, name: str, source: F0 | Recording) -> Extracted:
        line = self._contour(name, source)
        return Extracted(contour.song_windows(line, self.config.contour), line, source.length_s)

    def hum(self, name: str, source: F0 | Recording) -> Extracted:
        line = self._contour(name, without_mains(source) if isinstance(source, F0) else source)
        return Extracted(contour.query_windows(line, self.config.contour), line, line.length_s)

    def _contour(self, name: str, source: F0 | Recording) -> Contour:
        if not isinstance(source, F0):
            raise InputError(f"{name}: this model reads f0, there is only audio; extract f0 first")
        return contour.from_f0(source, self.config.contour)


@dataclass(frozen=True)
class SpectrogramFeatures:
    """Audio -> windows of the log-mel spectrogram."""

    config: ModelConfig

    def song(self, name: str, source: F0 | Recording) -> Extracted:
        spectrogram = self._log_mel(name, source)
        return Extracted(mel.song_windows(spectrogram, self.config.contour), None, source.length_s)

    def hum(self, name: str, source: F0 | Recording) -> Extracted:
        spectrogram = self._log_mel(name, source)
        windows = mel.query_windows(spectrogram, self.config.contour)
        return Extracted(windows, None, len(spectrogram.values) * spectrogram.frame_s)

    def _log_mel(self, name: str, source: F0 | Recording) -> mel.Spectrogram:
        if not isinstance(source, Recording):
            raise InputError(f"{name}: this model reads audio, there is only f0; train one with features f0")
        return mel.log_mel(source, self.config.spectrogram, self.config.contour.frame_s)


FEATURES: dict[str, Callable[[ModelConfig], Features]] = {"f0": ContourFeatures, "spectrogram": SpectrogramFeatures}


def make_features(config: ModelConfig) -> Features:
    """What ``config.features`` names. Raises InputError for an unknown name."""
    if config.features not in FEATURES:
        raise InputError(f"features {config.features!r}: unknown; choose {' or '.join(FEATURES)}")
    return FEATURES[config.features](config)
