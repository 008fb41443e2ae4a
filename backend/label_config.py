"""The page on which annotators work: its label config and the tabs of its Data Manager."""

from typing import Any

from backend.annotation import FROM_NAME, LABEL, TO_NAME

_QUIET = "font-size: 13px; font-weight: 400; margin: 0"

_BESIDE = (
    f'<Header style="{_QUIET}" value="{{1}}"/>'
    '<Image name="{0}" value="${0}" zoom="false" zoomControl="false" brightnessControl="false" '
    'contrastControl="false" rotateControl="false" selectionControl="false" width="100%"/>'
)

LABEL_CONFIG = f"""\
<View>
  <Style>
    canvas[style*="opacity: 0.6"] {{ opacity: 0.4 !important; }}
  </Style>
  <View style="display: flex; gap: 16px; align-items: center">
    <Header value="$clip, frame $frame" size="5"/>
    <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">
      <Label value="{LABEL}" background="#ff2d95" hotkey="1"/>
    </BrushLabels>
  </View>
  <Image name="{TO_NAME}" value="$image" zoom="true" zoomControl="true"
         brightnessControl="true" contrastControl="true" rotateControl="false"/>
  <Header style="{_QUIET}" value="Select the mask. B paints, E erases, [ and ] set the size,
    Ctrl+Z undoes, Ctrl+Enter submits, Alt+Enter updates."/>
  <View style="display: flex; gap: 16px; margin-top: 8px">
    <View style="flex: 0 0 300px">
      {_BESIDE.format("previous", "key frame before")}
    </View>
    <View style="flex: 0 0 300px">
      {_BESIDE.format("next", "key frame after")}
    </View>
  </View>
</View>"""
"""Label Studio paints at an opacity of 0.6, under which no edge can be judged, and has no setting
for it; so its style is overruled."""


_NOT_SHOWN = (
    "annotations_ids",
    "annotations_results",
    "avg_lead_time",
    "cancelled_annotations",
    "created_at",
    "data.image",
    "data.next",
    "data.previous",
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
"""Columns of the Data Manager that say nothing to an annotator."""


def tabs(project: int) -> list[dict[str, Any]]:
    """The tabs of the Data Manager, as its API takes them."""
    hidden = [f"tasks:{name}" for name in _NOT_SHOWN]

    def tab(title: str, ordering: list[str], *filters: dict[str, Any]) -> dict[str, Any]:
        return {
            "title": title,
            "type": "list",
            "target": "tasks",
            "ordering": ordering,
            "hiddenColumns": {"explore": hidden, "labeling": hidden},
            "filters": {"conjunction": "and", "items": list(filters)},
        }

    def provenance(operator: str, value: str) -> dict[str, Any]:
        return {
            "filter": "filter:tasks:data.provenance",
            "operator": operator,
            "type": "String",
            "value": value,
        }

    corrected = provenance("regex", "^(corrected|confirmed)$")
    untouched = provenance("regex", "^(predicted|none)$")
    return [
        tab("By clip and frame", ["tasks:id"]),
        tab("By priority", ["-tasks:data.priority"], untouched),
        tab("To check", ["tasks:id"], corrected),
    ]
