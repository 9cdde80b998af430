"""Words to music by metric learning (2020): a tag, how a track sounds and who it stands with, in one space.

tunes         tunes of the old books, rendered by real instruments and tagged by what is true of them
preparation   which tags and tracks are learned from, the split, and whether a tag leaks
culture       vectors of who stands with whom
words         vectors of tags: from music, or of general English
study         models compared, tag by tag
"""
