"""The table of rooms: who may import what. Imports of every file are read from its syntax tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import REPOSITORY

SOURCE = REPOSITORY / "src" / "humfind"
GROUND = {"types", "config", "runtime.cores", "runtime.printable", "runtime.compiled", "metrics"}
PURE = {"numpy", "scipy", "numba"}
TABULAR = {"numpy", "pandas", "pyarrow"}
TORCH = {"numpy", "torch", "pytorch_metric_learning"}
AUDIO = {"soundfile", "av", "mutagen", "soxr", "tqdm", "lameenc"}
TRACKER_LIBRARIES = {
    "numpy",
    "torch",
    "onnxruntime",
    "swift_f0",
    "tensorflow",
    "keras",
    "librosa",
    "torchcrepe",
    "crepe",
}
DISK = {"runtime.files", "runtime.lock", "runtime.paths"}  # whole files, one writer a folder, where they are
SCREEN = {"numpy", "pandas", "scipy", "sklearn", "tqdm", "IPython"}
ANY: set[str] = {"*"}
LIGHT = GROUND | DISK | {"runtime.logs", "runtime.limits"}
CORE = {"audio", "melody", "data", "encoders", "index", "rankers", "f0", "retrieval"}

# room -> (rooms of the project, libraries); what a room may not import is everything else
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "__init__": (ANY, set()),  # by name, when first used
    "types": (set(), {"numpy"}),
    "config": ({"types"}, {"numpy"}),
    "metrics": ({"types"}, {"numpy"}),
    "runtime.lock": ({"types"}, {"filelock"}),
    "runtime.compiled": (set(), {"filelock"}),
    "runtime.pickled": (set(), {"numpy"}),
    "runtime.tensor_bundle": (set(), {"numpy"}),
    "runtime.doctor": ({"types"}, {"packaging"}),
    "runtime": ({"types"}, set()),
    "melody.wavelet_string": (GROUND, PURE | {"pywt"}),
    "melody": (GROUND, PURE),
    "audio.separate": (GROUND | {"audio", "runtime.pickled"}, {"numpy", "torch"}),
    "audio.mel": (GROUND | {"melody", "audio"}, PURE | {"librosa"}),
    "audio.tonality": (GROUND, PURE | {"librosa"}),
    "audio.rhythm": (GROUND, PURE | {"librosa"}),
    "audio": (GROUND | {"melody"}, AUDIO | PURE),
    "synth.soundfont": (GROUND, {"numpy", "tinysoundfont"}),
    "synth": (GROUND | {"melody"}, PURE),
    "rankers.wavelet": (GROUND | {"melody"}, PURE | {"rapidfuzz"}),
    "rankers": (GROUND | {"runtime.plugins"}, PURE),
    "f0.store": (LIGHT | {"data"}, TABULAR),
    "f0.columns": (GROUND, TABULAR),
    "f0.extract": (LIGHT | {"audio", "data"}, AUDIO),
    "f0.load": (LIGHT | {"data"}, {"numpy", "tqdm"}),
    "f0.salience": (GROUND | {"audio"}, {"numpy", "torch", "safetensors"}),
    "f0": (GROUND | {"audio", "runtime.plugins"}, TRACKER_LIBRARIES | AUDIO | PURE),
    "encoders": (GROUND | DISK | {"melody", "runtime.plugins"}, TORCH | {"safetensors"}),
    "encoders.musicnn": (GROUND | {"runtime.tensor_bundle"}, TORCH),
    "encoders.minilm": (GROUND, TORCH | {"safetensors", "tokenizers"}),
    "data.audit": (LIGHT | {"melody", "f0", "retrieval"}, {"numpy", "tqdm"}),
    "data.tags": (GROUND | {"audio"}, AUDIO),
    "data": (LIGHT | {"synth", "melody", "runtime.pickled"}, TABULAR | AUDIO | {"music21", "mido", "scipy", "joblib"}),
    "index.engines.milvus": (GROUND | {"index"}, {"numpy", "pymilvus"}),
    "index": (GROUND | DISK | {"runtime.plugins"}, TABULAR | {"faiss", "numba", "safetensors"}),
    "training.losses": (GROUND, TORCH),
    "training.sampler": (GROUND, TORCH),
    "training.augment": (GROUND | {"melody"}, PURE),
    "training.deformations": (GROUND, PURE | {"librosa"}),
    "training.pretrain_salience": (LIGHT | {"audio", "f0", "synth"}, TORCH | {"safetensors", "tqdm"}),
    "training.pretrain": (LIGHT | {"data", "synth"}, TORCH | {"tqdm"}),
    "training.tasks.cliques": (GROUND | {"encoders", "training"}, TORCH | {"scipy"}),
    "training": (LIGHT | CORE, TORCH | {"safetensors", "tqdm"}),
    "retrieval": (LIGHT | CORE | {"training.dataset"}, TABULAR | {"tqdm"}),
    "retrieval.sound": (LIGHT | CORE, {"numpy", "tqdm", "torch"}),
    "retrieval.sound_map": (LIGHT | CORE, {"numpy", "sklearn"}),
    "plots": (GROUND | {"melody"}, {"numpy", "matplotlib", "cycler", "scipy"}),
    "labs.tags.culture": (GROUND | {"data"}, PURE | {"sklearn"}),
    "index.tracks": (GROUND | DISK | {"index"}, {"pyarrow"}),
    "labs.playlist.embeddings": (GROUND | {"audio", "encoders", "index", "training", "labs"}, {"numpy"}),
    "labs.playlist": (GROUND | {"data", "encoders", "index", "training", "labs"}, {"numpy"}),
    "labs.similar.rendered": (LIGHT | {"data", "synth"}, PURE | {"joblib", "soundfile"}),
    "labs.similar.search": (GROUND | {"index", "labs"}, {"numpy", "annoy", "faiss"}),
    "labs": (LIGHT | CORE | {"synth", "training"}, TORCH | TABULAR | PURE | {"joblib"}),
    # the doors: above all others
    "notebooks.report": (LIGHT, {"bs4", "nbconvert"}),
    "notebooks.runner": (
        LIGHT | {"data", "f0", "retrieval", "runtime.plugins", "notebooks.report"},
        {"papermill", "nbformat", "nbconvert"},
    ),
    "notebooks.singing": (LIGHT | CORE | {"training", "plots", "labs"}, SCREEN | {"torch"}),
    "notebooks.playlist": (LIGHT | CORE | {"training", "plots", "labs", "experiment"}, SCREEN),
    "notebooks.similar": (LIGHT | CORE | {"training", "plots", "labs"}, SCREEN | {"torch"}),
    "notebooks.tags": (LIGHT | CORE | {"training", "plots", "labs"}, SCREEN),
    "notebooks": (LIGHT | CORE | {"training", "plots"}, SCREEN),
    "experiment": (
        LIGHT | CORE | {"training", "labs", "notebooks", "plots", "runtime.plugins"},
        {"torch", "hydra", "omegaconf", "mlflow", "filelock", "joblib"},
    ),
    "app": (
        LIGHT | CORE | {"synth"},
        {"numpy", "fastapi", "pydantic", "uvicorn", "soundfile"},
    ),
    "scale": (LIGHT | CORE, {"numpy", "torch", "dask", "distributed", "tqdm"}),
    "kaggle.install": (set(), set()),  # runs before anything is installed
    "kaggle": (LIGHT | {"data", "retrieval", "notebooks"}, set()),
    "cli": (ANY, {"typer", "numpy"}),
    "__main__": ({"cli"}, set()),
}
DOORS = {"cli", "__main__", "notebooks", "experiment", "kaggle", "app", "scale"}  # nothing below imports these
STANDARD = set(sys.stdlib_module_names)


def room_of(module: str) -> str:
    """``f0.store`` -> ``f0.store``; ``rankers.vote`` -> ``rankers``."""
    return module if module in ROOMS else module.split(".")[0]


def modules() -> dict[str, Path]:
    names = {path: path.relative_to(SOURCE).with_suffix("").parts for path in sorted(SOURCE.rglob("*.py"))}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in names.items()}


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "humfind":
                found |= {f"humfind.{alias.name}" for alias in node.names}
            elif node.module:
                inner = SOURCE.joinpath(*node.module.split(".")[1:])
                files = {alias.name for alias in node.names if (inner / f"{alias.name}.py").is_file()}
                found |= {f"{node.module}.{name}" for name in files} if files else {node.module}
    return found


@pytest.mark.parametrize("module", modules())
def test_a_room_imports_only_what_its_row_allows(module):
    room = room_of(module)
    assert room in ROOMS, f"{module} has no row: enter its room above, and in DESIGN.md's table"
    rooms, libraries = ROOMS[room]
    for name in imports(modules()[module]):
        top, _, inner = name.partition(".")
        if top == "humfind":
            parts = inner.split(".")
            within = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}  # f0.store is in f0 and in f0.store
            assert within & (rooms | {room.split(".")[0], "__version__"}) or rooms is ANY, f"{module} imports {name}"
        else:
            assert top in libraries | STANDARD, f"{module} imports {name}"


@pytest.mark.parametrize("module", modules())
def test_only_f0_knows_the_trackers(module):
    if module.startswith("f0") or module == "f0":
        return
    trackers = {"torchcrepe", "swift_f0", "tensorflow", "keras", "crepe", "onnxruntime"}
    assert not {name.split(".")[0] for name in imports(modules()[module])} & trackers


def test_librosa_is_compiled_by_one_process():
    """Two that compile it at once leave files that crash every later process."""
    for module, path in modules().items():
        if any(name.split(".")[0] == "librosa" for name in imports(path)):
            text = path.read_text("utf-8")
            uses = r"( *)(?:from|import) librosa.*\n(?:\{}(?:from|import) librosa.*\n)*"
            every = re.findall(f"^{uses.format(1)}", text, re.MULTILINE)
            made = re.findall(rf"^( *)make_librosa\(\)\n{uses.format(2)}", text, re.MULTILINE)
            assert len(every) == len(made), f"{module}: librosa before make_librosa()"


@pytest.mark.parametrize("module", modules())
def test_nothing_below_a_door_opens_it(module):
    if room_of(module).split(".")[0] not in DOORS:  # a door may lead to another
        opened = {name.partition(".")[2].split(".")[0] for name in imports(modules()[module]) if "humfind." in name}
        assert not opened & DOORS, f"{module} imports {opened & DOORS}"


def test_one_tracker_library_a_file():
    """crepe's original, TensorFlow and Keras are one; what all trackers share knows none of them."""
    families = [{"torch"}, {"swift_f0", "onnxruntime"}, {"crepe", "tensorflow", "keras"}, {"librosa"}]
    for module, path in modules().items():
        named = {name.split(".")[0] for name in imports(path)}
        if room_of(module).startswith("f0"):
            assert sum(bool(named & family) for family in families) <= 1, module


def test_every_row_has_its_room():
    """A row without a file is a room that was renamed."""
    present = {part for module in modules() for part in (module, module.split(".")[0])} | {"__init__"}
    assert not set(ROOMS) - present


def test_the_table_can_fail(tmp_path):
    """A planted import is seen, also inside a function."""
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n    import torch.nn\n    from humfind import cli\n")
    assert imports(planted) == {"torch.nn", "humfind.cli"}


def test_the_door_is_light():
    """``import humfind`` and the help load nothing heavy."""
    heavy = ["torch", "faiss", "music21", "matplotlib", "librosa", "pandas", "pyarrow", "numpy", "numba"]
    code = f"import sys, humfind, humfind.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_pickle_is_ever_read():
    for module, path in modules().items():
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & {"pickle", "dill", "shelve", "marshal"}, module
