"""How a command ends: on Ctrl-C, when nobody reads on, and with one line on what the user can mend."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from humfind.runtime.printable import printable


def interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: an extension module that is interrupted while it is imported says ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def leave_quietly(status: int) -> None:
    """End: what is done is on disk, and what could not be printed is not tried again at the interpreter's end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def complaint(error: Exception) -> str | None:
    """One line on what the user can mend; None where the error is a bug."""
    from humfind.runtime.files import full_disk
    from humfind.types import InputError

    if isinstance(error, InputError):
        message = str(error)
    elif any(kind.__name__ == "NoArgsIsHelpError" for kind in type(error).__mro__):
        return str(error)  # the help itself
    elif any(kind.__name__ == "ClickException" for kind in type(error).__mro__):  # click's, or typer's own copy
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "humfind"
        said = getattr(error, "format_message", error.__str__)().strip().rstrip(".")
        message = f"{said}; see: {command} --help"
    elif isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("humfind"):
        package = error.name.partition(".")[0]
        message = f"{package}: not installed; in the project's folder give: pip install -r requirements.txt"
    elif (full := full_disk(error)) is not None:
        message = full
    elif isinstance(error, MemoryError) or "allocate memory" in str(error) or "can't start new thread" in str(error):
        what = "threads" if "thread" in str(error) else "memory"
        mend = "close other programs, or raise the limit (ulimit)"
        message = f"out of {what} ({str(error) or type(error).__name__:.120}); {mend}"
    elif any(kind.__name__ in ("BrokenExecutor", "TerminatedWorkerError") for kind in type(error).__mro__):
        message = (
            "a worker process was ended from outside; see that there is memory enough, then give the command again"
        )
    elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        message = f"{error.filename or 'files'}: too many files are open; raise the limit (ulimit -n 1024)"
    elif isinstance(error, FileNotFoundError) and not _has_working_folder():
        message = "the working folder is not there any more; go to one that is, then give the command again"
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror.lower()}; check the path and who may use it"
    else:
        return None
    return "humfind: " + printable(" ".join(message.split()))


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
