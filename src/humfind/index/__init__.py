"""The searchable songs: a folder on disk, an engine of nearest neighbours in memory."""

from humfind.index.folder import Entry, Index, IndexInfo, Song
from humfind.index.parts import index_folder, read_about

__all__ = ["Entry", "Index", "IndexInfo", "Song", "index_folder", "read_about"]
