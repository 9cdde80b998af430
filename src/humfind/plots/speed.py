"""How long things take, side by side and as the number of songs grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from humfind.plots import style


def side_by_side(bars: Mapping[str, tuple[float, float, float, bool]], claim: str) -> Figure:
    """bars: way -> (seconds, fastest, slowest, whether it is ours), the yardstick among them."""
    look = "Median seconds on a logarithmic axis, shorter is better; lines: fastest and slowest round. Orange: ours."
    figure, axes = style.canvas(claim, look, size=(10, 1.7 + 0.36 * len(bars)))
    axis = axes[0, 0]
    for i, (middle, low, high, ours) in enumerate(bars.values()):
        axis.plot([low, high], [i, i], color=style.MUTED, linewidth=3, solid_capstyle="round")
        axis.plot(middle, i, "o", color=style.HUM if ours else style.SONG, markersize=9, zorder=3)
        axis.annotate(f"{middle:.3g} s", (high, i), (8, -3), textcoords="offset points", fontsize=9)
    axis.set_xscale("log")
    axis.set_yticks(range(len(bars)), list(bars))
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.margins(x=0.15)
    axis.grid(axis="y", visible=False)
    style.panel(axis, "", "seconds", "")
    return figure


def grown(rows: Sequence[Mapping[str, float]], power: Mapping[str, float]) -> Figure:
    """Each measure against the number of songs, both axes logarithmic; power: its fitted exponent."""
    claim = "What grows with the number of songs, and how fast"
    look = "Full songs of three and a half minutes. In brackets: the exponent of a power law fitted to the points."
    figure, axes = style.canvas(claim, look, 1, 2, size=(11, 5.6))
    panels = {
        "seconds": [name for name in power if name.endswith(", s")],
        "gigabytes": [name for name in power if name.endswith("GB")],
    }
    for axis, (unit, names) in zip(axes[0], panels.items(), strict=True):
        for i, name in enumerate(names):
            label = f"{name.split(',')[0]} ({power[name]:.2f})"
            told = [(row["songs"], row[name]) for row in rows if name in row]
            again, color = divmod(i, len(style.CYCLE))
            line = "o--" if again else "o-"
            axis.loglog(*zip(*told, strict=True), line, color=style.CYCLE[color], markersize=5, label=label)
        style.panel(axis, unit, "songs", unit)
        axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2, frameon=False)
    return figure
