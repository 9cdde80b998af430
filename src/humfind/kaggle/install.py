"""In a Kaggle kernel: what its image lacks is installed from the attached dataset, where this file lies, too.

``humfind kaggle`` copies it there. The standard library alone: it runs before anything is installed. Kernels that are
started from the notebook find the packages through PYTHONPATH.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

WHEELS = Path(__file__).resolve().parent
SITE = Path.cwd() / ".humfind"


def module_of(wheel: str) -> str:
    """The module that a wheel brings, by the list beside the wheels."""
    named = dict(line.split() for line in (WHEELS / "modules.txt").read_text().splitlines())
    return named[wheel]


def install() -> None:
    """Raises SystemExit where a package has no wheel for this Python."""
    for path in (str(SITE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if path and path not in sys.path:
            sys.path.insert(0, path)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])])
    packages = [line.split()[0] for line in (WHEELS / "modules.txt").read_text().splitlines()]
    missing = [name for name in packages if name == "humfind" or importlib.util.find_spec(module_of(name)) is None]
    if (SITE / "humfind").is_dir():  # the kernel was started again
        missing.remove("humfind")
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-warn-conflicts"]
        done = subprocess.run([*command, "--find-links", str(WHEELS), "--target", str(SITE), *missing], check=False)
        if done.returncode:
            python = ".".join(map(str, sys.version_info[:2]))
            raise SystemExit(
                f"{', '.join(missing)}: not to be installed on Python {python}; make the folder again with "
                f"humfind kaggle --python {python}, and upload its dataset"
            )
    importlib.invalidate_caches()


if __name__ == "__main__":
    install()
