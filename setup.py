"""All is said in pyproject.toml but this: the notebooks travel in the wheel, as ``humfind/suite``."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNotebooks(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # a checkout has them
        suite = Path(self.build_lib) / "humfind" / "suite"
        (suite / "labs").mkdir(parents=True, exist_ok=True)
        for notebook in sorted(Path("notebooks").rglob("*.ipynb")):
            shutil.copy(notebook, suite / notebook.relative_to("notebooks"))


setup(cmdclass={"build_py": WithNotebooks})
