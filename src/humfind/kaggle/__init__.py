"""Kaggle: a folder that uploads as it stands (``folder``), and what its kernels do there (``install``, ``session``)."""
