"""Lab playlist: tracks by their metadata, and playlists from a few of them (2024).

tunes        the tune books as a table of tracks: dance as genre, numbers from the notes
features     one-hot categories and scaled numbers, without the genre that the metric asks for; principal components
relevance    how much two tracks have to do with each other, and the triples drawn by it
separation   whether tracks of a genre lie nearer to each other than to others
"""
