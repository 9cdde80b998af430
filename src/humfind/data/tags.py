"""What a recording's own tags say (ID3, Vorbis comments, MP4 atoms ...), by mutagen and the ffmpeg libraries."""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humfind.audio.containers import Container
from humfind.types import normal_form

# what mutagen raises for a damaged file, in addition to its own error
DAMAGED = (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, EOFError, struct.error)
MATROSKA = (".webm", ".mka", ".mkv")  # which mutagen does not know
LONGEST = 200  # letters of a tag
# what title, artist, album, genre and date are called: by mutagen's easy names; in the ID3 of wav and aiff; in wma
NAMES = (
    ("title", "TIT2", "Title"),
    ("artist", "TPE1", "Author"),
    ("album", "TALB", "WM/AlbumTitle"),
    ("genre", "TCON", "WM/Genre"),
    ("date", "TDRC", "WM/Year"),
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """Of a recording; each may be empty."""

    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    date: str = ""


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first value of the first of these that is there."""
    value = next((found[name] for name in names if found.get(name)), [""])
    return str(value[0] if isinstance(value, list) else value)


def read_tags(file: Path) -> Tags:
    """Empty for a file without tags that can be read."""
    import mutagen

    try:
        found: Mapping[str, Any] = mutagen.File(file, easy=True) or {}
        if file.suffix.lower() in MATROSKA:
            with Container(file) as container:
                found = container.tags
        named = [_first(found, names) for names in NAMES]
    except (mutagen.MutagenError, *DAMAGED) as error:
        log.info("%s: its tags cannot be read (%s)", file, error)
        return Tags()
    return Tags(*(normal_form(" ".join(text.split()))[:LONGEST] for text in named))
