"""The package imports on systems that are not POSIX: what only those have is imported where it is guarded."""

from __future__ import annotations

import ast

from tiny_world import REPOSITORY

SOURCE = REPOSITORY / "src" / "humfind"
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
PLACES = ("/dev/", "/proc/", "/tmp", "/sys/")


def unguarded(tree: ast.AST) -> list[str]:
    """POSIX-only modules that are imported outside of a ``try`` or a function."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.partition(".")[0] in POSIX_ONLY]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in POSIX_ONLY:
            found.append(str(node.module))
        elif not isinstance(node, ast.Try):
            found += unguarded(node)
    return found


def test_no_module_needs_posix_to_be_imported() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not unguarded(ast.parse(path.read_text("utf-8"))), path


def test_the_check_itself_finds_such_an_import() -> None:
    assert unguarded(ast.parse("import fcntl")) == ["fcntl"]
    assert unguarded(ast.parse("def f():\n    from resource import getrlimit")) == ["resource"]
    assert not unguarded(ast.parse("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None"))


def test_no_path_of_one_system_is_assumed() -> None:
    """But by the doctor, who looks which system it is."""
    for path in set(SOURCE.rglob("*.py")) - {SOURCE / "runtime" / "doctor.py"}:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                assert not node.value.startswith(PLACES), f"{path}: {node.value}"
