"""Wider systems, each a lab: small modules on the shared rooms, a notebook in ``notebooks/labs``, a page in
``docs/labs``.

singing    hums by wavelet strings and by an attention network (2017)
"""
