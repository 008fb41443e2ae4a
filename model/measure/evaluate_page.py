"""The HTML page of an evaluation: its tables, and its worst frames with prediction and truth.

It is written without a template engine, so that a machine with a GPU and little else writes it,
too.
"""

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from labeler.clip import Image
from labeler.mask import Mask
from model.measure.evaluate import WorstFrame

PREDICTION_COLOUR = (0, 128, 255)
TRUTH_COLOUR = (255, 200, 60)
"""In BGR: orange and sky blue, which colour-blind people tell apart, too."""

PICTURE_WIDTH = 480
"""Pixels; 24 frames then make a page of about 1 MB."""

Rows = Sequence[Sequence[str]]

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #1d1d1b; --quiet: #6b6b66;
  --line: #dcdcd8; --panel: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #171716; --ink: #ecece8; --quiet: #a1a19b; --line: #353532; --panel: #20201e; } }
body { margin: 0 auto; max-width: 1280px; padding: 24px 16px 64px; background: var(--paper);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 28px 0 8px; }
p { margin: 0 0 8px; color: var(--quiet); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tbody tr:last-child { font-weight: 600; }
.pair { margin-bottom: 14px; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: 7px 10px 9px; font-size: 13px; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; }
"""


def evaluation_page(
    title: str,
    sentences: Sequence[str],
    tables: Sequence[tuple[str, Sequence[str], Rows]],
    worst: Sequence[WorstFrame],
) -> str:
    """Write the page as one string that needs no other file.

    Args:
        title: the heading of the page.
        sentences: what was measured and how, a paragraph each.
        tables: heading, columns and rows of each table; the last row is the mean or the total.
        worst: the frames to show, in this order.
    """
    return page(
        title,
        "\n".join(
            [
                *(f"<p>{escape(sentence)}</p>" for sentence in sentences),
                *(table(*each) for each in tables),
                "<p>J, F, recall and decay are in percent.</p>",
                f"<h2>The {len(worst)} worst frames</h2>",
                '<main class="frames">',
                *(figure(frame) for frame in worst),
                "</main>",
            ]
        ),
    )


def page(title: str, body: str) -> str:
    """Make a page in our style, with a heading, a key to the colours, and a body."""
    prediction, truth = (
        f'<span class="key" style="background:rgb{colour[::-1]}"></span>'
        for colour in (PREDICTION_COLOUR, TRUTH_COLOUR)
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>In pictures: {prediction} prediction &emsp; {truth} outline of the truth</p>",
            body,
            "</body>\n</html>\n",
        ]
    )


def drawn(image: Image, prediction: Mask, truth: Mask) -> Image:
    """Draw a prediction as a tint and the truth as an outline, `PICTURE_WIDTH` pixels across.

    Args:
        image: H x W x 3 uint8 BGR.
        prediction: H x W bool.
        truth: H x W bool.
    """
    size = (PICTURE_WIDTH, max(1, round(PICTURE_WIDTH * image.shape[0] / image.shape[1])))
    picture = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    tinted, outlined = (
        cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
        for mask in (prediction, truth)
    )
    mixed = 0.55 * picture + 0.45 * np.array(PREDICTION_COLOUR)
    picture[tinted] = mixed[tinted].astype(np.uint8)
    contours, _ = cv2.findContours(outlined.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, TRUTH_COLOUR, 2)
    return picture


def table(heading: str, columns: Sequence[str], rows: Rows) -> str:
    """Make a table under a heading; its last row is the mean or the total."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<h2>{escape(heading.capitalize())}</h2>\n<div class="table"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(worst: WorstFrame, whose: str = "") -> str:
    """Make a figure of a frame, prediction, truth and scores; `whose` says who predicted."""
    scores = worst.scores
    picture = drawn(worst.frames[scores.frame], worst.prediction, worst.truth)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    name = escape(f"{worst.clip}, frame {scores.frame}" + (f", {whose}" if whose else ""))
    return (
        f'<figure><img alt="{name}" loading="lazy" src="data:image/jpeg;base64,'
        f'{base64.b64encode(jpeg.tobytes()).decode()}">'
        f"<figcaption><b>{name}</b>: J {100 * scores.region:.1f}, F {100 * scores.boundary:.1f}, "
        f"uncertainty {scores.uncertainty:.2f}</figcaption></figure>"
    )
