"""Draws bar charts as SVG inside an HTML page, in the page's own colours, light or dark."""

import io
import re
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_PLACEHOLDERS = {"#010203": "ink", "#040506": "line", "#070809": "first", "#0a0b0c": "second"}
"""The colour that a plot is drawn with, and the page's CSS variable that replaces it."""

_INK, _LINE, *_SERIES = _PLACEHOLDERS


def draw_bars(
    labels: Sequence[str],
    series: Sequence[Sequence[float]],
    *,
    across: str,
    up: str,
    flat: bool = False,
    bins: bool = False,
) -> str:
    """Draw one bar per label, or two side by side, as an <svg> element.

    The page must define the CSS colours --ink, --line, --first and --second.

    Args:
        labels: the names of the bars; with `bins` their edges, one more than there are bars.
        series: one or two, each with a height for each bar; --first and --second in the page.
        across: what the labels are.
        up: what the heights are.
        flat: draw the bars horizontally, for long labels.
        bins: the labels are edges and are drawn between the bars.
    """
    settings: Any = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": f"{across} {up}",  # one page holds several plots
        "font.size": 10,
        "text.color": _INK,
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with rc_context(settings):
        figure = Figure(figsize=(6.2, 3.2), layout="constrained")
        panel = figure.subplots()
        count = len(labels) - bins
        width = 0.86 / len(series)
        for position, (heights, colour) in enumerate(zip(series, _SERIES, strict=False)):
            places = [bar + (position - (len(series) - 1) / 2) * width for bar in range(count)]
            draw = panel.barh if flat else panel.bar
            draw(places, list(heights), width, color=colour)
        ticks = [tick - bins / 2 for tick in range(len(labels))]
        panel.set_axisbelow(True)
        if flat:
            panel.set_yticks(ticks, labels)
            panel.invert_yaxis()
            panel.set_xlabel(up)
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=len(series) == 1))
            panel.grid(axis="x", color=_LINE, linewidth=0.6)
        else:
            panel.set_xticks(ticks, labels)
            panel.set_xlabel(across)
            panel.set_ylabel(up)
            panel.yaxis.set_major_locator(MaxNLocator(5, integer=len(series) == 1))
            panel.grid(axis="y", color=_LINE, linewidth=0.6)
        panel.tick_params(length=0)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(drawn.getvalue(), f"{up} by {across}")


def _for_page(svg: str, title: str) -> str:
    """Reduce an SVG file to its element, with a label for screen readers, in the page's style."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would apply to the whole page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # two plots would share these names
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for colour, name in _PLACEHOLDERS.items():
        svg = svg.replace(colour, f"var(--{name})")
    width_and_height = re.compile(r' (width|height)="[\d.]+pt"')
    head, rest = svg.split(">", 1)
    return f'{width_and_height.sub("", head)} role="img" aria-label="{title}">{rest}'.strip()
