"""What the operating system grants this process, and what it has taken. None where the system does not tell."""

from __future__ import annotations

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]


def limit(name: str) -> int | None:
    """A limit that is set: ``RLIMIT_AS``, ``RLIMIT_NOFILE``, ``RLIMIT_FSIZE``; None for none."""
    if resource is None:
        return None
    value = resource.getrlimit(getattr(resource, name))[0]
    return None if value == resource.RLIM_INFINITY else value


def peak_memory_gb() -> float | None:
    """The most memory of this process, or of any child that it waited for."""
    if resource is None:
        return None
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) * 1024 / 1e9
