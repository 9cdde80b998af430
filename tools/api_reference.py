"""docs/api.md, from the docstrings: what ``import humfind`` gives, and what a part of another package must have.

python tools/api_reference.py
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path

import humfind

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
HEAD = """# API reference

Made from the docstrings by `python tools/api_reference.py`; a test compares. What is not here is not promised.
"""
HANDED_OVER = ("Recording", "Contour", "Windows", "Embeddings", "Query", "Match", "Answer", "Ranking", "InputError")
SECTIONS: dict[str, list[str]] = {
    "From a file to a ranking: `import humfind`": [f"humfind:{name}" for name in humfind.__all__],
    "What is handed over: `humfind.types`": [f"humfind.types:{name}" for name in HANDED_OVER],
    "Data sets, indexes and submissions": [
        "humfind.data.zalo:load_split", "humfind.f0.load:load_f0", "humfind.retrieval.indexing:index_of",
        "humfind.retrieval.indexing:write_index", "humfind.index:Index",
        "humfind.retrieval.searcher:search_file", "humfind.retrieval.searcher:search_files",
        "humfind.retrieval.predict:predict", "humfind.retrieval.submission:read", "humfind.retrieval.submission:score",
    ],
    "Metrics: `humfind.metrics`": [
        f"humfind.metrics:{name}" for name in importlib.import_module("humfind.metrics").__all__
    ],
    "What a part of another package must have": [
        "humfind.f0:Tracker", "humfind.encoders:", "humfind.index.engines:Engine", "humfind.index.engines:Proposal",
        "humfind.rankers:Ranker", "humfind.training.loop:Task", "humfind.runtime.plugins:find",
    ],
}  # fmt: skip


def reference() -> str:
    """The page."""
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_entry(*name.split(":")) for name in names]
    return "\n".join(parts)


def _entry(module: str, name: str) -> str:
    part = getattr(importlib.import_module(module), name) if name else importlib.import_module(module)
    if not name:
        return f"### `{module}`\n\n{_text(part)}\n"
    if not callable(part):
        return f"### `{name}`\n\nA {type(part).__name__}: {', '.join(f'`{key}`' for key in part)}.\n"
    lines = [f"### `{_signature(name, part)}`", "", _where(part, module), "", _text(part), ""]
    if inspect.isclass(part) and not issubclass(part, Exception):
        for method, function in vars(part).items():
            public = inspect.isfunction(function) or isinstance(function, classmethod | property)
            if public and not method.startswith("_") and inspect.getdoc(getattr(part, method)):
                inner = getattr(part, method) if not isinstance(function, property) else function
                shown = method if isinstance(function, property) else _signature(method, inner)
                lines.append(f"- `{shown}`: {_text(inner, one=True)}")
        lines.append("")
    return "\n".join(lines)


def _signature(name: str, part: object) -> str:
    """With the annotations as they are written, without ``self``."""
    if inspect.isclass(part) and getattr(part, "_is_protocol", False):
        return f"class {name}(Protocol)"
    if inspect.isclass(part) and issubclass(part, Exception):
        return f"class {name}({part.__mro__[1].__name__})"
    try:
        signature = inspect.signature(part)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    inside = ", ".join(_parameter(one) for one in signature.parameters.values() if one.name != "self")
    given = "" if inspect.isclass(part) or signature.return_annotation in ("None", inspect.Signature.empty) else (
        f" -> {_annotation(signature.return_annotation)}"
    )  # fmt: skip
    return f"{'class ' if inspect.isclass(part) else ''}{name}({inside}){given}"


def _parameter(one: inspect.Parameter) -> str:
    text = one.name if one.annotation is one.empty else f"{one.name}: {_annotation(one.annotation)}"
    if one.default is one.empty:
        return text
    plain = one.default is None or isinstance(one.default, str | int | float | bool | tuple)
    return f"{text} = {one.default!r}" if plain else f"{text} = ..."


def _annotation(annotation: object) -> str:
    """As it is written."""
    return str(getattr(annotation, "__forward_arg__", annotation))


def _where(part: object, module: str) -> str:
    home = getattr(part, "__module__", module)
    return f"`{home}`"


def _text(part: object, one: bool = False) -> str:
    """The docstring; double backquotes are Markdown's single ones."""
    text = (inspect.getdoc(part) or "").replace("``", "`")
    if dataclasses.is_dataclass(part) and text.startswith(f"{getattr(part, '__name__', '')}("):
        text = ""
    return " ".join(text.split()) if one else text


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
