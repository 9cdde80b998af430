"""A sick machine for each complaint: facts are made up, the diagnosis is real."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from humfind.config import F0Config
from humfind.f0 import TRACKERS
from humfind.runtime import doctor
from humfind.runtime.doctor import Facts, Requirement, diagnose, look, parse_requirement

MODULES = frozenset(name for sets in doctor.TRACKERS.values() for modules in sets for name in modules)
HEALTHY = Facts(
    python=(3, 11, 7),
    requirements=(Requirement("numpy", ">=1.26"), Requirement("torch", ">=2.4"), Requirement("pytest", ">=8", "dev")),
    versions={"numpy": "2.4.6", "torch": "2.13.0+cpu", "pytest": "9.2.0"},
    modules=MODULES,
    threads=2,
    gpus=(),
    torch_cuda="",
    memory_gb=8.0,
    disk_gb=50.0,
    home=Path("hum"),
    writable=True,
    has_notebooks=True,
    demos=("demo-small",),
    models=("demo-small",),
    stores=("demo-small/torchcrepe",),
)


def line(facts: Facts, area: str) -> tuple[str, str, str]:
    found = [finding for finding in diagnose(facts).findings if finding.area == area]
    assert len(found) == 1
    return found[0].state, found[0].text, found[0].mend


def test_a_healthy_machine_is_ready_with_nothing_to_mend():
    diagnosis = diagnose(HEALTHY)
    assert diagnosis.fit
    assert {finding.state for finding in diagnosis.findings} == {"ok"}
    assert not any(finding.mend for finding in diagnosis.findings)
    assert str(diagnosis).endswith("ready: make demo, or humfind run")


@pytest.mark.parametrize(
    ("change", "area", "text", "mend"),
    [
        ({"python": (3, 10, 12)}, "python", "3.10.12, too old", "make PYTHON=python3.11"),
        ({"versions": {"numpy": "2.4.6", "torch": None}}, "libraries", "torch missing", "requirements.txt"),
        (
            {"versions": {"numpy": "1.9", "torch": "2.4"}},
            "libraries",
            "numpy 1.9, not >=1.26",
            "requirements.txt",
        ),
        ({"modules": MODULES - {"torchcrepe"}}, "tracker torchcrepe", "torchcrepe cannot be", "requirements.txt"),
        ({"memory_gb": 0.5}, "memory", "0.5 GB left, 2 GB wanted", "close other programs"),
        ({"disk_gb": 0.1}, "disk", "0.1 GB left, 1 GB wanted", "make room"),
        ({"writable": False}, "home", "cannot be written", "HUMFIND_HOME"),
    ],
)
def test_what_stops_the_main_job_is_bad_and_has_a_mend(change, area, text, mend):
    sick = replace(HEALTHY, **change)
    state, told, advice = line(sick, area)
    assert state == "bad"
    assert text in told
    assert mend in advice
    assert not diagnose(sick).fit
    assert "not ready: 1 to mend" in str(diagnose(sick))


@pytest.mark.parametrize(
    ("change", "area", "text", "mend"),
    [
        ({"versions": {**HEALTHY.versions, "pytest": None}}, "extra dev", "pytest missing", "pip install -e '.[dev]'"),
        ({"modules": MODULES - {"swift_f0"}}, "tracker swiftf0", "swift_f0 cannot", "pip install swift-f0"),
        ({"gpus": ("NVIDIA H200",)}, "gpu", "NVIDIA H200, but torch is built without CUDA", "pytorch.org"),
        ({"memory_gb": None}, "memory", "unknown on this system", ""),
        ({"has_notebooks": False}, "home", "no notebooks here", "HUMFIND_HOME"),
        ({"requirements": ()}, "libraries", "not installed as a package", "pip install"),
    ],
)
def test_what_only_could_be_more_is_a_note(change, area, text, mend):
    state, told, advice = line(replace(HEALTHY, **change), area)
    assert state == "note"
    assert text in told
    assert mend in advice
    assert diagnose(replace(HEALTHY, **change)).fit


def test_one_of_several_ways_is_enough_for_a_tracker():
    """crepe: the original package, or its network in Keras."""
    by_keras = replace(HEALTHY, modules=MODULES - {"crepe"})
    assert line(by_keras, "tracker crepe")[0] == "ok"
    neither = replace(HEALTHY, modules=MODULES - {"tensorflow"})
    assert line(neither, "tracker crepe")[1].startswith("tensorflow cannot")


def test_a_gpu_that_torch_can_use():
    facts = replace(HEALTHY, gpus=("NVIDIA H200",), torch_cuda="12.8")
    assert line(facts, "gpu") == ("ok", "NVIDIA H200; torch for CUDA 12.8", "")


def test_what_is_not_there_yet_is_told_with_its_command():
    bare = replace(HEALTHY, demos=(), models=(), stores=())
    assert diagnose(bare).fit
    assert line(bare, "demo sets") == ("ok", "none yet", "humfind demo-data --size small --out data/demo-small")


def test_requirements_by_hand():
    assert parse_requirement("onnxruntime>=1.18") == Requirement("onnxruntime", ">=1.18")
    assert parse_requirement('ruff>=0.6; extra == "dev"') == Requirement("ruff", ">=0.6", "dev")
    assert parse_requirement("torch==2.13.0") == Requirement("torch", "==2.13.0")
    assert parse_requirement("faiss-cpu") == Requirement("faiss-cpu", "")


@pytest.mark.parametrize(
    ("found", "versions", "right"),
    [
        ("1.9", ">=1.26", False),
        ("2.4.6", ">=1.26", True),
        ("2.13.0+cpu", ">=2.13", True),
        ("8", ">=8.0.0", True),
        ("3.0.0rc1", ">=2", True),
        ("3.0", ">=2,<3", False),
        ("1", "", True),
    ],
)
def test_versions_by_hand(found, versions, right):
    facts = replace(HEALTHY, requirements=(Requirement("a", versions),), versions={"a": found})
    assert (line(facts, "libraries")[0] == "ok") is right


def test_every_tracker_is_known_and_the_default_is_the_main_one():
    assert set(TRACKERS) == set(doctor.TRACKERS)
    assert F0Config.tracker == doctor.MAIN_TRACKER


def test_this_machine_is_seen(tmp_path):
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "demo.json").write_text("{}")
    (tmp_path / "runs" / "a" / "model").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "model" / "model.safetensors").write_bytes(b"")
    (tmp_path / "crepe_freq" / "mine" / "swiftf0").mkdir(parents=True)
    (tmp_path / "crepe_freq" / "README.md").write_text("")
    facts = look(tmp_path)
    assert facts.python == tuple(sys.version_info[:3])
    assert {"numpy", "torch", "faiss-cpu"} <= {r.name for r in facts.requirements if not r.extra}
    assert facts.versions["torch"]
    assert (facts.demos, facts.models, facts.stores) == (("mine",), ("a",), ("mine/swiftf0",))
    assert facts.threads >= 1
    assert facts.disk_gb is not None


def test_a_checkout_that_is_not_installed_is_read_from_pyproject(monkeypatch):
    installed = {r for r in doctor.read_requirements() if not r.extra}

    def missing(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "requires", missing)
    read = doctor.read_requirements()
    assert {r.name for r in installed} <= {r.name for r in read}
    assert {"dev", "notebooks"} <= {r.extra for r in read}


def test_the_command_is_quick_light_and_says_2_when_not_ready(tmp_path):
    code = "import sys; from humfind.runtime.doctor import *; print(diagnose(look())); print('numpy' in sys.modules)"
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    assert done.stdout.splitlines()[-1] == "False"
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.5
    command = [sys.executable, "-m", "humfind", "doctor"]
    told = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HUMFIND_HOME": str(tmp_path)})
    assert told.returncode == 0, told.stdout
    assert "tracker torchcrepe" in told.stdout
    (tmp_path / "file").write_text("")
    gone = {**os.environ, "HUMFIND_HOME": str(tmp_path / "file" / "home")}
    told = subprocess.run(command, capture_output=True, text=True, env=gone)
    assert told.returncode == 2
    assert "cannot be written" in " ".join(told.stdout.split())
    assert told.stderr == ""
