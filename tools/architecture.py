"""The way of the data through the library, read from the annotations of its functions: docs/architecture.png, and the
table below it in docs/architecture.md.

    python tools/architecture.py
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from matplotlib.axes import Axes

from humfind.plots import style

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "humfind"
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.png"
BEGIN, END = "<!-- the way of the data: python tools/architecture.py -->", "<!-- end -->"
# hand-over -> hand-over, as DESIGN has them; which function makes the step is read from the code
STEPS = [
    ("Path", "Recording"), ("Recording", "F0"), ("F0", "Contour"), ("Contour", "Windows"), ("Windows", "Embeddings"),
    ("Entry", "Index"), ("Recording", "Query"), ("Query", "Ranking"), ("Ranking", "Rows"),
]  # fmt: skip
MOST = 6  # functions named on a step
PLACES = {  # of a hand-over in the picture: column and row
    "Path": (0, 1), "Recording": (1, 1), "F0": (2, 1), "Contour": (3, 1), "Windows": (4, 1), "Embeddings": (5, 1),
    "Index": (6, 2), "Query": (6, 0), "Ranking": (7, 1), "Rows": (8, 1),
}  # fmt: skip
SHOWN = {"Path": "a file", "Rows": "submission.csv"}
ARROWS = [
    ("Path", "Recording"), ("Recording", "F0"), ("F0", "Contour"), ("Contour", "Windows"), ("Windows", "Embeddings"),
    ("Embeddings", "Index"), ("Embeddings", "Query"), ("Index", "Ranking"), ("Query", "Ranking"), ("Ranking", "Rows"),
]  # fmt: skip
LABEL_OF = {("Embeddings", "Index"): ("Entry", "Index"), ("Embeddings", "Query"): ("Recording", "Query")}


def functions() -> dict[tuple[str, str], list[str]]:
    """(type taken, type given) -> ``room/file.py: function``, for every public function of the library."""
    known = {name for step in STEPS for name in step}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(set(SOURCE.rglob("*.py")) - set((SOURCE / "labs").rglob("*.py"))):  # labs go ways of their own
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or (node.name.startswith("_") and node.name != "__call__"):
                continue
            if isinstance(last := node.body[-1], ast.Expr) and getattr(last.value, "value", None) is ...:
                continue  # of a protocol: what others do
            taken = {name for argument in node.args.args for name in _names(argument.annotation, known)}
            name = f"{file.relative_to(SOURCE)}" + ("" if node.name == "__call__" else f": {node.name}")
            for given in _names(node.returns, known):
                for one in sorted(taken - {given}):
                    if name not in found[one, given]:
                        found[one, given].append(name)
    return dict(found)


def _names(annotation: ast.expr | None, known: set[str]) -> set[str]:
    """The hand-overs that an annotation names."""
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)} & known if annotation else set()


def table() -> str:
    """A row a step: what makes it."""
    made = functions()
    rows = ["| from | to | by |", "|---|---|---|"]
    for step in STEPS:
        names = ", ".join(f"`{name}`" for name in made[step])
        rows.append(f"| {SHOWN.get(step[0], step[0])} | {SHOWN.get(step[1], step[1])} | {names} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with today's table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def draw() -> None:
    """The picture."""
    figure, axes = style.canvas(
        "A song and a hum take the same way, up to the index",
        "Boxes: what is handed over (types.py). On the arrows: the files of src/humfind that make the step.",
        size=(15, 5),
    )
    axis = axes[0, 0]
    axis.set_axis_off()
    axis.set_xlim(-0.5, 8.6)
    axis.set_ylim(-0.8, 2.8)
    made, boxes = functions(), {}
    for name, (x, y) in PLACES.items():
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": style.INK, "linewidth": 1.2}
        at = {"ha": "center", "va": "center", "bbox": box, "zorder": 3}
        boxes[name] = axis.text(x, y, SHOWN.get(name, name), fontsize=10.5, fontweight="bold", **at)
    for start, end in ARROWS:
        files = dict.fromkeys(name.partition(":")[0] for name in made.get(LABEL_OF.get((start, end), (start, end)), []))
        _label(axis, PLACES[start], PLACES[end], list(files))
        colour = style.SONG if "Index" in (start, end) else style.HUM if "Query" in (start, end) else style.INK
        ends = {"patchA": boxes[start].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
        how = {"arrowstyle": "-|>", "color": colour, "shrinkA": 2, "shrinkB": 2, "linewidth": 1.5, **ends}
        axis.annotate("", PLACES[end], PLACES[start], arrowprops=how, zorder=1)
    axis.text(6, 2.4, "songs", ha="center", color=style.SONG, fontsize=11, fontweight="bold")
    axis.text(6, -0.5, "hums", ha="center", color=style.HUM, fontsize=11, fontweight="bold")
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight")


def _label(axis: Axes, start: tuple[float, float], end: tuple[float, float], files: list[str]) -> None:
    """The files that make a step: below a level arrow, outside of a slanting one."""
    shown = files[:MOST] + ([f"and {len(files) - MOST} more"] if len(files) > MOST else [])
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    up = end[1] - start[1]
    where = {"ha": "center", "va": "top"}
    if up:
        above = max(start[1], end[1]) > 1
        left = (up > 0) == above
        x, where = (
            x + (-0.08 if left else 0.08),
            {"ha": "right" if left else "left", "va": "bottom" if above else "top"},
        )
    axis.text(x, y - (0 if up else 0.28), "\n".join(shown), fontsize=8, color=style.CAPTION, zorder=2, **where)


if __name__ == "__main__":
    draw()
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
