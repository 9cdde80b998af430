"""What a recording's own tags say (ID3, Vorbis comments, MP4 atoms ...), by mutagen."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from pathlib import Path

from humfind.types import normal_form

# what mutagen raises for a damaged file, in addition to its own error
DAMAGED = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, struct.error)
LONGEST = 200  # letters of a tag
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """Of a recording; each may be empty."""

    title: str = ""
    artist: str = ""
    album: str = ""


def read_tags(file: Path) -> Tags:
    """Empty for a file without tags that can be read."""
    import mutagen

    try:
        found = mutagen.File(file, easy=True) or {}
        named = [str((found.get(key) or [""])[0]) for key in ("title", "artist", "album")]
    except (mutagen.MutagenError, *DAMAGED) as error:
        log.info("%s: its tags cannot be read (%s)", file, error)
        return Tags()
    return Tags(*(normal_form(" ".join(text.split()))[:LONGEST] for text in named))
