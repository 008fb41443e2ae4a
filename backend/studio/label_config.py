"""The page on which annotators work: its label config and the tabs of its Data Manager."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from backend.studio.annotation import (
    FROM_NAME,
    LABEL,
    NOBODY,
    PRESENCE,
    REASON,
    REJECTED,
    TO_NAME,
    VERDICT,
)
from labeler.review.standing import Stage

_QUIET = "font-size: 13px; font-weight: 400; margin: 0"

_BESIDE = (
    f'<Header style="{_QUIET}" value="{{1}}"/>'
    '<Image name="{0}" value="${0}" zoom="false" zoomControl="false" brightnessControl="false" '
    'contrastControl="false" rotateControl="false" selectionControl="false" width="100%"/>'
)


WATCH = "<!-- the link to the clip's page -->"
"""Where a label config has the link, as soon as `with_watch_link` puts it there."""


def with_watch_link(config: str, address: str) -> str:
    """Put the link to the page of the task's clip into a label config.

    Args:
        config: the label config.
        address: the address at which people reach the service.
    """
    target = escape(f"{address}$watch#$frame", {"'": "%27"})
    link = f"<a href='{target}' target='_blank' rel='noreferrer'>Watch the clip</a>"
    return config.replace(WATCH, f'<Markdown value={quoteattr(link)} style="white-space: nowrap"/>')


def _config(quiet: str, more: str = "") -> str:
    return f"""\
<View>
  <Style>
    canvas[style*="opacity: 0.6"] {{ opacity: 0.4 !important; }}
  </Style>
  <View style="display: flex; gap: 16px; align-items: center">
    <Header value="$clip, frame $frame" size="5"/>
    {WATCH}
    <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">
      <Label value="{LABEL}" background="#ff2d95" hotkey="1" selected="true"/>
    </BrushLabels>
    <Choices name="{PRESENCE}" toName="{TO_NAME}" choice="multiple" showInline="true">
      <Choice value="{NOBODY}"/>
    </Choices>{more}
  </View>
  <Image name="{TO_NAME}" value="$image" zoom="true" zoomControl="true"
         brightnessControl="true" contrastControl="true" rotateControl="false"/>
  <Header style="{_QUIET}" value="{quiet}"/>
  <View style="display: flex; gap: 16px; margin-top: 8px">
    <View style="flex: 0 0 300px">
      {_BESIDE.format("previous", "key frame before")}
    </View>
    <View style="flex: 0 0 300px">
      {_BESIDE.format("next", "key frame after")}
    </View>
  </View>
</View>"""


KEYS = {
    "selects the mask": ("Alt+.", "Alt+."),
    "paints": ("B", "B"),
    "erases": ("E", "E"),
    "moves and clicks": ("V", "V"),
    "smaller, larger": ("[ ]", "[ ]"),
    "pans": ("H", "H"),
    "fits the picture": ("Shift+1", "Shift+1"),
    "undoes": ("Ctrl+Z", "Cmd+Z"),
    "submits or updates": ("Ctrl+Enter", "Cmd+Enter"),
    "skips": ("Ctrl+Space", "Alt+Enter"),
}
"""What keys of Label Studio 1.23 do, on Linux and Windows and on a Mac, as docs/annotating.md has
them, too. `Alt+Enter` on a Mac skips the task."""


def _key_line() -> str:
    """All keys in one line; where a Mac has another key, both."""
    pairs = (
        (linux if linux == mac else f"{linux} (Mac: {mac})", what)
        for what, (linux, mac) in KEYS.items()
    )
    return ", ".join(f"{key} {what}" for key, what in pairs) + "."


_KEYS = _key_line()

_ERASING = "Paint at once. Before you erase, press Alt+. : it selects the mask."

LABEL_CONFIG = _config(f"{_ERASING} {_KEYS}")
"""The label is selected from the start, so a stroke with no mask selected is a region of its own
and counts; without that it would do nothing. The eraser needs a selected mask. Label
Studio paints masks at an opacity of 0.6, which hides the edges below, and has no setting for it; so
this config overrides the style."""

CHECK_CONFIG = _config(
    f"Is $masked_by right? Submit it as it is, or repair it; or reject it and say why. {_KEYS}",
    f"""
    <Choices name="{VERDICT}" toName="{TO_NAME}" choice="single-radio" showInline="true">
      <Choice value="Accept or repair" selected="true"/>
      <Choice value="{REJECTED}"/>
    </Choices>
    <TextArea name="{REASON}" toName="{TO_NAME}" placeholder="why it is rejected" rows="1"
              maxSubmissions="1" editable="true"/>""",
)

BLIND_CONFIG = _config(f"Paint the portrait; no mask is shown on purpose. {_KEYS}")


_NOT_SHOWN = (
    "annotations_ids",
    "annotations_results",
    "avg_lead_time",
    "cancelled_annotations",
    "created_at",
    "data.image",
    "data.next",
    "data.previous",
    "data.watch",
    "draft_exists",
    "file_upload",
    "ground_truth",
    "inner_id",
    "predictions_model_versions",
    "predictions_results",
    "storage_filename",
    "updated_at",
    "updated_by",
)
"""Columns of the Data Manager that are of no use to an annotator."""


def tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which masks are corrected, as the Data Manager's API has them."""
    corrected = _filter("provenance", "regex", "^(corrected|confirmed)$")
    untouched = _filter("provenance", "regex", "^(predicted|none)$")
    return [
        _tab("By clip and frame", ["tasks:id"]),
        _tab("By priority", ["-tasks:data.priority"], untouched),
        _tab("To check", ["tasks:id"], corrected),
    ]


def check_tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which the first person's masks are confirmed."""
    return [
        _tab("To check", ["tasks:id"], _filter("stage", "equal", Stage.UNCHECKED.value)),
        _tab("In conflict", ["tasks:id"], _filter("stage", "equal", Stage.CONFLICT.value)),
    ]


def blind_tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which people mask frames without seeing any mask."""
    return [_tab("To mask unseen", ["tasks:id"], _filter("stage", "equal", WANTED))]


WANTED, DONE, OUTDATED = "wanted", "done", "outdated"
"""Values of the field `stage` of a cross-check's task, beside the stages of its frame."""


def _tab(title: str, ordering: list[str], *filters: dict[str, Any]) -> dict[str, Any]:
    hidden = [f"tasks:{name}" for name in _NOT_SHOWN]
    return {
        "title": title,
        "type": "list",
        "target": "tasks",
        "ordering": ordering,
        "hiddenColumns": {"explore": hidden, "labeling": hidden},
        "filters": {"conjunction": "and", "items": list(filters)},
    }


def _filter(field: str, operator: str, value: str) -> dict[str, Any]:
    name = f"filter:tasks:data.{field}"
    return {"filter": name, "operator": operator, "type": "String", "value": value}
