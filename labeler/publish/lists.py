"""Draws or extends the train and test lists of a dataset, and counts what is in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.layouts.clips_table import ClipRow
from labeler.layouts.mvps import open_dataset
from labeler.publish.manifest import renew_manifest
from labeler.publish.split import (
    SPLITS,
    TEST_SHARE,
    Split,
    parted_sources,
    read_split,
    split_clips,
    write_split,
)


@dataclass(frozen=True)
class SplitReport:
    """The lists of a dataset, and how they came to be.

    `rows` are its clips. `added` are the clips that were in no list before. `gone` are the names
    that were in a list but are no clip of the dataset. `parted` are the groups of clips of one
    source video that are in both lists, because earlier lists had them so.
    """

    split: Split
    rows: tuple[ClipRow, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]
    parted: tuple[tuple[str, ...], ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count clips, frames and masks in each list, and in all."""
        lists = dict(zip(SPLITS, (self.split.train, self.split.test), strict=True))
        names = lists | {"all": self.split.train + self.split.test}
        rows = {row.name: row for row in self.rows}
        return {
            key: {
                "clips": len(clips),
                "frames": sum(rows[clip].frames for clip in clips),
                "masks": sum(rows[clip].annotated for clip in clips),
            }
            for key, clips in names.items()
        }

    def lines(self) -> list[str]:
        """Format the table of the counts, and a sentence for each thing a curator should know."""
        table = [f"{'':5} {'clips':>8} {'frames':>8} {'masks':>8}"]
        for key, count in self.counts().items():
            numbers = " ".join(f"{number:8}" for number in count.values())
            table.append(f"{key:5} {numbers}")
        if self.added and len(self.added) < len(self.rows):
            table.append(f"Added to the lists: {', '.join(self.added)}; no other clip was moved.")
        if not self.added:
            table.append("The lists held every clip already and were left as they are.")
        if self.gone:
            table.append(f"No longer in the dataset, so removed: {', '.join(self.gone)}.")
        for group in self.parted:
            table.append(
                f"Clips of one source video are in both lists, as before: {', '.join(group)}; "
                "to have them in one list, draw the lists anew (--anew)."
            )
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON values, for scripts."""
        return {
            "train": self.split.train,
            "test": self.split.test,
            "counts": self.counts(),
            "added": self.added,
            "gone": self.gone,
            "parted": self.parted,
        }


def split_dataset(
    folder: Path,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    *,
    stratified: bool = False,
    anew: bool = False,
) -> SplitReport:
    """Write `ImageSets/train.txt` and `test.txt` of a dataset; a clip in a list is not moved.

    Args:
        folder: a dataset in the layout of MVPS or of DAVIS.
        test_share: the share of the clips to test on, 0 to 1 (see `split_clips`).
        seed: the seed of the split.
        stratified: give each scenario its share.
        anew: draw all clips again, and ignore the present lists.

    Raises:
        LabelerError: it is no dataset, a clip is in both lists (unless they are drawn anew), the
            share is not within 0 and 1, or the lists cannot be written.
    """
    rows = open_dataset(folder).clips
    before = (None if anew else read_split(folder)) or Split()
    split = split_clips(rows, test_share, seed, stratified=stratified, keep=before)
    if anew or split != before:
        write_split(folder, split)
    renew_manifest(folder, ["ImageSets"], {})
    listed = {*before.train, *before.test}
    names = {row.name for row in rows}
    return SplitReport(
        split=split,
        rows=rows,
        added=tuple(sorted(names - listed)),
        gone=tuple(sorted(listed - names)),
        parted=tuple(parted_sources(rows, split)),
    )
