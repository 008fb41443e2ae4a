"""The page on which annotators work: its label config and the tabs of its Data Manager."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from backend.studio.annotation import (
    DECISION,
    FIRST_IS_RIGHT,
    FIRST_MASK,
    FROM_NAME,
    LABEL,
    NOBODY,
    PRESENCE,
    REASON,
    REJECTED,
    SECOND_IS_RIGHT,
    SECOND_MASK,
    TO_NAME,
    VERDICT,
)
from labeler.inspect.preview import FIRST, SECOND
from labeler.review.standing import Stage

_QUIET = "font-size: 13px; font-weight: 400; line-height: 18px; margin: 0; padding-right: 52px"

WATCH = "<!-- the link to the clip's page -->"
"""Where a label config has the link, as soon as `with_watch_link` puts it there."""


BESIDE = "<!-- the key frames before and after, with their masks -->"
"""Where it has their picture, as soon as `with_watch_link` puts it there."""


CONFLICT = "<!-- both masks, and where they differ -->"
"""Where it has the picture of two masks in conflict, likewise."""


def with_watch_link(config: str, address: str) -> str:
    """Put the link to the page of the task's clip into a label config, and pictures from there.

    Args:
        config: the label config.
        address: the address at which people reach the service.
    """
    base = escape(address, {"'": "%27"})
    to_page = f"<a href='{base}$watch#$frame' target='_blank' rel='noreferrer'>"
    link = _markdown(f"{to_page}Watch the clip</a>", 'style="white-space: nowrap"')
    config = config.replace(WATCH, link)
    for place, name in ((BESIDE, "beside"), (CONFLICT, "conflict")):
        picture = f"<img alt='' src='{base}$watch&amp;{name}=$frame'/>"
        shown = _markdown(f"{to_page}{picture}</a>", f'className="{name}"')
        config = config.replace(place, shown)
    return config


def _markdown(text: str, more: str) -> str:
    return f"<Markdown value={quoteattr(text)} {more}/>"


def _config(quiet: str, more: str = "", beside: str = BESIDE) -> str:
    return f"""\
<View>
  <Style>
    canvas[style*="opacity: 0.6"] {{ opacity: 0.4 !important; }}
    .lsf-toolbar {{ margin-bottom: -100px !important; }}
    .beside p {{ display: flex; gap: 12px; margin: 4px 0 0; }}
    .beside img {{ height: 18vh; width: auto; max-width: 100%; object-fit: contain; }}
    .beside img[src=""], .beside img:not([src]) {{ display: none; }}
  </Style>
  <View style="display: flex; flex-wrap: wrap; column-gap: 16px; align-items: center">
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
         maxWidth="calc(100% - 80px)" maxHeight="calc(82vh - 302px)"
         brightnessControl="true" contrastControl="true" rotateControl="false"/>
  <Header style="{_QUIET}" value="{quiet}"/>
  {beside}
</View>"""


def _colour(blue_green_red: tuple[int, int, int]) -> str:
    blue, green, red = blue_green_red
    return f"#{red:02x}{green:02x}{blue:02x}"


_FIRST, _SECOND = _colour(FIRST), _colour(SECOND)

DECIDE_CONFIG = f"""\
<View>
  <Style>
    canvas[style*="opacity: 0.6"] {{ opacity: 0.4 !important; }}
    .lsf-toolbar {{ margin-bottom: -100px !important; }}
    .conflict img {{ max-width: 100%; max-height: 30vh; object-fit: contain; }}
  </Style>
  <View style="display: flex; flex-wrap: wrap; column-gap: 16px; align-items: center">
    <Header value="$clip, frame $frame: which mask is right?" size="5"/>
    {WATCH}
    <Choices name="{DECISION}" toName="{TO_NAME}" choice="single-radio" showInline="true"
             required="true" requiredMessage="Choose which mask is right.">
      <Choice value="{FIRST_IS_RIGHT}" hotkey="1"/>
      <Choice value="{SECOND_IS_RIGHT}" hotkey="2"/>
    </Choices>
    <TextArea name="{REASON}" toName="{TO_NAME}" placeholder="why (if you like)" rows="1"
              maxSubmissions="1" editable="true"/>
    <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">
      <Label value="{FIRST_MASK}" background="{_FIRST}"/>
      <Label value="{SECOND_MASK}" background="{_SECOND}"/>
    </BrushLabels>
  </View>
  {CONFLICT}
  <Image name="{TO_NAME}" value="$image" zoom="true" zoomControl="true"
         maxWidth="calc(100% - 80px)" maxHeight="calc(82vh - 30vh - 150px)"
         brightnessControl="true" contrastControl="true" rotateControl="false"/>
  <Header style="{_QUIET}" value="$question"/>
</View>"""
"""Both masks are regions, which can be hidden one by one (the eye in the list of regions). What is
painted does not count, only the choice."""


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

_ERASING = "Paint at once; before you erase, select the mask."

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

BLIND_CONFIG = _config(
    f"Paint the portrait; no mask is shown on purpose. {_KEYS}",
    beside=_markdown(
        "<img alt='' src='$previous'/><img alt='' src='$next'/>", 'className="beside"'
    ),
)


_WHAT_BELONGS = """\
<b>What belongs to the mask</b><ul>
<li>The whole person: hair, also loose strands that are seen as hair; clothes; everything worn, such
as glasses, hats, headphones and bags on the body.</li>
<li>What a person holds only if the rules of your project say so.</li>
<li>All people of the portrait, in one mask; not passers-by far behind, pictures of people, mirrors
or shadows.</li>
<li>No background: not what is seen between arm and body, or through hair.</li></ul>
<b>The seven scenarios</b> and where to look twice<ul>
<li>entertainment: stage light, costumes and instruments</li>
<li>indoor-handwork: fingers and tools</li>
<li>interview: several people, microphones before the body</li>
<li>lecture: screens and boards with people on them, lecterns</li>
<li>news: hair before a keyed background, desks</li>
<li>online-shopping: goods that are held, clothes that are tried on</li>
<li>outdoor-activity: fast limbs, bags and sports gear</li></ul>
<b>Keys</b>: """


def instruction(todo: str) -> str:
    """What Label Studio shows as a project's instruction: what to do, the rules, and the keys."""
    return f"<p>{todo}</p>\n{_WHAT_BELONGS}{_KEYS}"


LABEL_INSTRUCTION = instruction(
    "Correct the mask and submit; if it is right, submit it as it is. Nobody is there: tick "
    "<b>Nobody is in this frame</b> and submit."
)

CHECK_INSTRUCTION = instruction(
    "This is somebody else's mask. Submit it as it is, or repair it and submit; or choose "
    "<b>Reject</b>, say why, and submit."
)

DECIDE_INSTRUCTION = instruction(
    "Two people do not agree on the mask of this frame. Choose the one that is right, and submit. "
    "If you are one of the two, skip the task: a third person decides. If neither mask is right, "
    "skip it, too, and correct the frame in the project in which masks are corrected."
)

BLIND_INSTRUCTION = instruction(
    "Paint the whole portrait yourself and submit. No mask is shown, on purpose."
)


_NOT_SHOWN = (
    "annotations_ids",
    "annotations_results",
    "avg_lead_time",
    "cancelled_annotations",
    "completed_at",
    "created_at",
    "data.first",
    "data.image",
    "data.next",
    "data.previous",
    "data.revision",
    "data.scenario",
    "data.seconds",
    "data.second",
    "data.watch",
    "data.weights",
    "draft_exists",
    "file_upload",
    "ground_truth",
    "inner_id",
    "predictions_model_versions",
    "predictions_results",
    "predictions_score",
    "storage_filename",
    "total_annotations",
    "total_predictions",
    "updated_at",
    "updated_by",
)
"""Columns of the Data Manager that are of little use to an annotator: clip, frame, state and order
are to be seen at once. The score is that of predictions of the project's model version alone."""


def tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which masks are corrected, as the Data Manager's API has them."""
    corrected = _filter("provenance", "regex", "^(corrected|confirmed)$")
    untouched = _filter("provenance", "regex", "^(predicted|none)$")
    return [
        _tab("Correct next", ["-tasks:data.priority"], untouched),
        _tab("All frames", ["tasks:id"]),
        _tab("Corrected", ["tasks:id"], corrected),
    ]


def check_tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which the first person's masks are confirmed."""
    return [
        _tab("To check", ["tasks:id"], _filter("stage", "equal", Stage.UNCHECKED.value)),
        _tab("In conflict", ["tasks:id"], _filter("stage", "equal", Stage.CONFLICT.value)),
    ]


def decide_tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which a third person decides between two masks."""
    return [_tab("To decide", ["tasks:id"], _filter("stage", "equal", Stage.CONFLICT.value))]


def blind_tabs() -> list[dict[str, Any]]:
    """The tabs of the project in which people mask frames without seeing any mask."""
    return [_tab("To mask unseen", ["tasks:id"], _filter("stage", "equal", WANTED))]


FORMER_TITLES = {
    "By priority": "Correct next",
    "By clip and frame": "All frames",
    "To check": "Corrected",
}
"""What tabs were called in earlier versions, and their titles now."""

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
