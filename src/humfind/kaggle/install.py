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


def install() -> None:
    """Raises SystemExit where a package has no wheel for this Python."""
    named = dict(line.split() for line in (WHEELS / "modules.txt").read_text().splitlines())
    missing = [name for name, module in named.items() if name == "humfind" or importlib.util.find_spec(module) is None]
    whole = SITE / "whole"  # made last: after a kill all is installed anew
    if not whole.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-warn-conflicts"]
        place = ["--upgrade", "--find-links", str(WHEELS), "--target", str(SITE)]
        if subprocess.run([*command, *place, *missing], check=False).returncode:
            python = ".".join(map(str, sys.version_info[:2]))
            raise SystemExit(
                f"{', '.join(missing)}: not to be installed on Python {python}; make the folder again with "
                f"humfind kaggle --python {python}, and upload its dataset"
            )
        whole.touch()
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SITE), *filter(None, [os.environ.get("PYTHONPATH")])])
    importlib.invalidate_caches()


if __name__ == "__main__":
    install()
