"""The title that a recording's own tags give (ID3, Vorbis comments, MP4 atoms ...), by mutagen."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

from humfind.types import normal_form

# what mutagen raises for a damaged file, beside its own error
DAMAGED = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, struct.error)
LONGEST = 200  # letters of a title
log = logging.getLogger(__name__)


def read_title(file: Path) -> str:
    """``Artist - Title``, or what of the two there is; empty for a file without tags that can be read."""
    import mutagen

    try:
        tags = mutagen.File(file, easy=True) or {}
        named = [str((tags.get(key) or [""])[0]) for key in ("artist", "title")]
    except (mutagen.MutagenError, *DAMAGED) as error:
        log.info("%s: its tags cannot be read (%s)", file, error)
        return ""
    return " - ".join(part for text in named if (part := normal_form(" ".join(text.split()))))[:LONGEST]
