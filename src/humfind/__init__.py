"""hum-to-find: hum ten seconds of a song, get the song."""

__version__ = "0.1.0"
