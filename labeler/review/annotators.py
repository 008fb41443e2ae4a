"""Statistics per annotator: how many frames, how long each takes, and how good the masks are."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import mean, median

from labeler.review.report import ReviewedFrame, review_report
from labeler.revision import Provenance, Revision, standing_of
from labeler.text.valid import to_cell
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class AnnotatorStatistics:
    """The work of one person in a workspace; a share or time is None if there is nothing to count.

    `frames` is how many key frames the person has masked, and `seconds` the median of the times
    that one of them took. `untouched` is the share of these frames whose prediction the person
    submitted as it was. `judged` is how many of the masks another person has checked, and
    `first_pass` the share of them on which the two agreed without a third person. `region` and
    `boundary` are the means of J and F between the two masks. `checks` is how many masks of others
    the person has checked, and `check_seconds` the median time of a check.
    """

    annotator: str
    frames: int
    seconds: float | None
    untouched: float | None
    judged: int
    first_pass: float | None
    region: float | None
    boundary: float | None
    checks: int
    check_seconds: float | None


def annotator_statistics(workspace: Workspace) -> list[AnnotatorStatistics]:
    """Compute the statistics of each person who masked or checked a frame, by name.

    Raises:
        LabelerError: the file of a mask is missing or damaged.
    """
    masked: dict[str, list[Revision]] = defaultdict(list)
    checked: dict[str, list[Revision]] = defaultdict(list)
    for clip in workspace.clips():
        for revisions in workspace.revisions_by_frame(clip).values():
            for each in _last_of_each(revisions):
                kind = checked if each.provenance is Provenance.CHECKED else masked
                kind[each.author].append(each)
    judged: dict[str, list[ReviewedFrame]] = defaultdict(list)
    for frame in review_report(workspace).frames:
        if frame.agreement is not None:
            judged[frame.first].append(frame)
    return [
        _statistics(person, masked[person], checked[person], judged[person])
        for person in sorted(masked.keys() | checked.keys())
    ]


def to_csv(statistics: Iterable[AnnotatorStatistics]) -> str:
    """Return the statistics as CSV with a header; what there is nothing to count of is empty."""
    text = io.StringIO()
    names = [field.name for field in fields(AnnotatorStatistics)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for each in statistics:
        row = {name: _rounded(value) for name, value in asdict(each).items()}
        writer.writerow(row | {"annotator": to_cell(each.annotator)})
    return text.getvalue()


def _last_of_each(revisions: Sequence[Revision]) -> list[Revision]:
    """Return the last mask of a frame by each person, and the last check by each person."""
    last: dict[tuple[str, bool], Revision] = {}
    for each in sorted(standing_of(revisions), key=lambda each: each.created):
        if each.provenance is not Provenance.ACCEPTED:  # it repeats what others have masked
            last[each.author, each.provenance is Provenance.CHECKED] = each
    return list(last.values())


def _statistics(
    person: str,
    masked: Sequence[Revision],
    checked: Sequence[Revision],
    judged: Sequence[ReviewedFrame],
) -> AnnotatorStatistics:
    found = [each.agreement for each in judged if each.agreement is not None]
    untouched = [each.provenance is Provenance.CONFIRMED for each in masked]
    return AnnotatorStatistics(
        annotator=person,
        frames=len(masked),
        seconds=_median(masked),
        untouched=mean(untouched) if untouched else None,
        judged=len(judged),
        first_pass=mean(each.agreed for each in judged) if judged else None,
        region=mean(each.region for each in found) if found else None,
        boundary=mean(each.boundary for each in found) if found else None,
        checks=len(checked),
        check_seconds=_median(checked),
    )


def _median(revisions: Sequence[Revision]) -> float | None:
    times = [each.lead_time for each in revisions if each.lead_time is not None]
    return median(times) if times else None


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
