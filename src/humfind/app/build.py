"""An index that is built while the page is open: by the command that anyone can give, in a process of its own."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from humfind.runtime.printable import printable

log = logging.getLogger(__name__)
BAR = re.compile(r"^(?P<step>.*?):?\s+(?P<percent>\d{1,3})%\|")  # as tqdm draws it
ENDS_IN_S = 5.0  # after each signal: what a shell has put in the background does not hear the first, nor do its own
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Build:
    """name: of the library. share: 0 to 1 of the step that it is at. error: why it failed, one line."""

    name: str
    command: Sequence[str]
    done: Callable[[], None]
    step: str = ""
    share: float = 0.0
    state: str = "building"  # done | failed
    error: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """``done`` is called when the command has ended well."""
        self._process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._thread = threading.Thread(target=self._follow, args=(self._process,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """As Ctrl-C does: what is done is kept, and the next build goes on from there."""
        if self._process is None:
            return
        for number in SIGNALS:
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_IN_S)
        self._process.kill()

    def join(self) -> None:
        """Until it has ended, and ``done`` has."""
        if self._thread is not None:
            self._thread.join()

    def told(self) -> dict[str, object]:
        """For the page."""
        return {"name": self.name, "step": self.step, "share": self.share, "state": self.state, "error": self.error}

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        line, last = b"", ""
        while block := os.read(process.stderr.fileno(), 4096):
            *lines, line = re.split(rb"[\r\n]+", line + block)
            for one in lines:
                last = self._read(one.decode("utf-8", "replace").strip()) or last
        last = self._read(line.decode("utf-8", "replace").strip()) or last
        status = process.wait()
        try:
            if status == 0:
                self.done()
                self.state, self.share = "done", 1.0
                return
            self.error = printable(last.removeprefix("humfind: ")) or f"it ended with status {status}"
        except Exception as error:  # of what was built: the server goes on
            log.exception("%s: was built, but cannot be opened", self.name)
            self.error = str(error)
        self.state = "failed"

    def _read(self, line: str) -> str:
        """How far it is, of a bar; any other line is returned."""
        if bar := BAR.match(line):
            self.step, self.share = bar["step"], min(int(bar["percent"]), 100) / 100
            return ""
        return line
