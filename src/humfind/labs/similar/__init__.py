"""Lab similar: a sound finds its like, learned without labels (2019).

rendered     an hour of sound by instruments, drums, voices and noise, with labels that training never sees
study        recordings split, networks trained, and who finds what
trees        search by random hyperplanes, written to be read
search       the same beside Annoy, faiss and exact: overlap against time
"""
