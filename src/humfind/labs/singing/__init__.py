"""Singing search by wavelet strings and by an attention network (2017 report).

strings    how long a wavelet string must be
cliques    the same tune in several books, keys, tempos, bands and leads
covers     which renditions belong together, by several methods
transfer   embeddings of hums as fixed features of a nearest-neighbour classifier
"""
