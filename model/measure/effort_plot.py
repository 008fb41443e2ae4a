"""The curves of the effort as a picture."""

import io
from itertools import cycle
from pathlib import Path

from rich.console import Console

from labeler.files import write_atomically
from model.measure.effort import Effort, Order
from model.measure.effort_curve import SHARES

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, which colour-blind people tell apart."""

MARKERS = "osD^vPX"


def draw_effort(effort: Effort, path: Path) -> Path | None:
    """Draw mean J&F against the share of corrected frames, a line an engine; PNG.

    On the left over all key frames, on the right over those not corrected themselves. A dashed
    line is the same engine's first predictions left as they are: the gap between the two is
    what masking again is worth.

    Returns:
        The path, or None where matplotlib is not installed; a line on stderr says so.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        Console(stderr=True).print(
            f"{path.name} was not drawn: matplotlib is not installed here; the numbers of its "
            "curves are in the JSON."
        )
        return None
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for panel, uncorrected_only, title in (
        (left, False, "all key frames"),
        (right, True, "key frames not corrected themselves"),
    ):
        for engine, colour, marker in zip(
            effort.engines, cycle(COLOURS), cycle(MARKERS), strict=False
        ):
            curve = engine.curve(uncorrected_only=uncorrected_only)
            alone = engine.curve(Order.NO_PROPAGATION, uncorrected_only=uncorrected_only)
            q = effort.qualities[len(effort.qualities) // 2]
            label = f"{engine.name} (FC@{100 * q:g} {100 * engine.corrected_share(q):.0f} %)"
            panel.plot(
                100 * SHARES, 100 * curve, color=colour, marker=marker, markevery=10, label=label
            )
            panel.plot(100 * SHARES, 100 * alone, color=colour, linestyle="--", alpha=0.6)
        panel.set_title(f"Mean J&F over {title}")
        panel.set_xlabel("key frames corrected, worst first (%)")
        panel.set_xlim(0, 100)
        panel.grid(alpha=0.3)
    left.set_ylabel("J&F (%)")
    left.plot([], [], color="0.4", linestyle="--", label="first predictions left as they are")
    left.legend(loc="lower right")
    clips = len(effort.engines[0].clips)
    figure.suptitle(f"What corrections are worth: {clips} clips, mean of the clips")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
    return path
