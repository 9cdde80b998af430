"""Work that is more than one process's: an index built by many, on this machine or on a cluster."""
