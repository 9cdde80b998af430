"""Recordings that libsndfile does not read: m4a, aac, webm, mp4, wma and the like, by the ffmpeg libraries (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from humfind.types import Floats

# Demuxers of what phones and browsers record and libraries hold. Nothing that opens other files or addresses, and
# nothing that libsndfile reads by itself.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,aac,matroska,webm,asf,amr,caf,wv,ape,mpc,mpc8,tta"


class Container:
    """The first audio stream of a file, read onwards. As ``soundfile.SoundFile`` as far as it goes: ``samplerate``,
    ``channels``, ``frames`` (0: the header does not say), ``read``.

    Raises RuntimeError for a file that is none of ``FORMATS``, or holds no audio.
    """

    frames = 0
    extra_info = ""

    def __init__(self, path: Path) -> None:
        import av

        self._file = path.open("rb")  # a file and no address, whatever the name looks like
        try:
            options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
            self._container = av.open(self._file, "r", options=options)
            if not self._container.streams.audio:
                raise RuntimeError("a container without sound")
            stream = self._container.streams.audio[0]
            self.samplerate, self.channels = int(stream.rate), int(stream.codec_context.channels)
            said = {**self._container.metadata, **stream.metadata}
            self.tags = {name.lower(): str(text) for name, text in said.items()}  # title, artist, album ...
            self.promised_s = (self._container.duration or 0) / av.time_base  # by the header; 0 where it says nothing
            if self.samplerate <= 0 or self.channels <= 0:
                raise RuntimeError("a container without sound")
        except (av.FFmpegError, ValueError, RuntimeError) as error:
            self._file.close()
            raise RuntimeError(getattr(error, "strerror", None) or str(error)) from error
        self._blocks = self._decoded()
        self._left = np.zeros((0, self.channels), np.float32)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> Floats:
        """At most so many frames, (n, channels) float32; none at the end."""
        parts, held = [self._left], len(self._left)
        while held < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            held += len(block)
        joined = np.concatenate(parts)
        self._left = joined[frames:].copy()
        return joined[:frames]

    def _decoded(self) -> Iterator[Floats]:
        """As far as the file goes: what is cut or damaged ends it."""
        import av

        resampler = av.AudioResampler(format="fltp", layout=f"{self.channels}c", rate=self.samplerate)
        frames = self._container.decode(audio=0)
        while True:
            try:
                frame = next(frames)
            except (StopIteration, av.FFmpegError):
                return
            for plain in resampler.resample(frame):
                yield np.ascontiguousarray(plain.to_ndarray().T, np.float32)

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
        self._file.close()
