"""Sound out of notes: a melody becomes a song, or a human-like hum. Nothing here touches the disk.

Melody -> Arrangement -> song audio                     melody.py, song.py
Notes  -> Performance (f0 alone) -> hum audio           hum.py, voice.py
"""
