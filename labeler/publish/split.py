"""Splits clips into those that train the network and those that test it."""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.mvps import read_list

SPLITS = ("train", "test")
"""The lists of the MVPS layout, each `ImageSets/<name>.txt`."""

TEST_SHARE = 0.4
"""The share of the clips to test on: 40 of the 101 clips of MVPS (PDNet paper, section 3.1)."""


@dataclass(frozen=True)
class Split:
    """The clips to train on and the clips to test on, each by name; no clip is in both."""

    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def extended(self, other: "Split") -> "Split":
        """Return these lists with the clips of other lists that are in none of these."""
        known = {*self.train, *self.test}
        return Split(
            train=tuple(sorted({*self.train, *set(other.train) - known})),
            test=tuple(sorted({*self.test, *set(other.test) - known})),
        )


def split_clips(
    clips: Iterable[ClipRow],
    test_share: float = TEST_SHARE,
    seed: int = 0,
    *,
    stratified: bool = False,
    keep: Split | None = None,
) -> Split:
    """Split clips at random into train and test, whole clips only (PDNet paper, section 3.1).

    Clips of one source video stay together. Each such group is ranked by a hash of the seed and
    its first name; in the order of the ranking, a group goes to test where that brings the number
    of test clips nearer to the share. So the split depends on nothing but the clips, the share
    and the seed, on every machine, and not on their order.

    Args:
        clips: the clips; one given twice counts once.
        test_share: the share of the clips to test on, 0 to 1, rounded to whole clips; one clip
            is always left to train on.
        seed: another seed gives another split.
        stratified: give each scenario its share, as nearly as whole clips allow.
        keep: lists to extend. Their clips stay where they are, and another clip of the same source
            video joins them; if both lists have clips of that video, it joins train.

    Raises:
        LabelerError: there is no clip, or the share is not within 0 and 1.

    >>> row = lambda name, source: ClipRow(name, None, 9, 2, None, 64, 48, source)
    >>> split_clips([row("lucia", "a.mp4"), row("hike", "b.mp4"), row("swing", "c.mp4")])
    Split(train=('lucia', 'swing'), test=('hike',))
    """
    if not 0 <= test_share <= 1:
        raise LabelerError(f"A test share of {test_share} is not within 0 and 1; try 0.4.")
    rows = {row.name: row for row in clips}
    if not rows:
        raise LabelerError("There are no clips to split; export or import some first.")
    keep = keep or Split()
    test, train = set(keep.test) & rows.keys(), set(keep.train) & rows.keys()
    strata: dict[str, _Stratum] = {}
    for group in source_groups(rows.values()):
        scenario = str(rows[group[0]].scenario or "") if stratified else ""
        stratum = strata.setdefault(scenario, _Stratum())
        stratum.clips += len(group)
        if train.isdisjoint(group) and test.isdisjoint(group):
            stratum.free.append(group)
        elif train.isdisjoint(group):
            test.update(group)
            stratum.tested += len(group)
        else:
            stratum.tested += len(test.intersection(group))
            train.update(set(group) - test)
    wanted = min(int(test_share * len(rows) + 0.5), len(rows) - 1) - len(test)
    ordered = [strata[scenario] for scenario in sorted(strata)]
    for stratum, share in zip(ordered, _shares(ordered, test_share, wanted), strict=True):
        spare = len(rows) - 1 - len(test)
        test |= _nearest(sorted(stratum.free, key=partial(_rank, seed)), share, spare)
    return Split(train=tuple(sorted(rows.keys() - test)), test=tuple(sorted(test)))


def published_lists(clips: Iterable[Clip]) -> Split:
    """Return the lists of the datasets from which clips were imported."""
    lists = {clip.name: clip.split for clip in clips}
    train, test = ([name for name, of in lists.items() if of == each] for each in SPLITS)
    return Split(tuple(train), tuple(test))


def source_groups(clips: Iterable[ClipRow]) -> list[tuple[str, ...]]:
    """Group the names of clips that must stay together; groups and names are sorted.

    Clips are of one source video if clips.csv gives them the same `sha256` or the same `source`: a
    video that was cut into clips or encoded again often keeps one of the two.
    """
    group_of: dict[str, set[str]] = {}
    first_with: dict[tuple[str, str], str] = {}
    for row in clips:
        group_of.setdefault(row.name, {row.name})
        for sign in (("sha256", row.sha256), ("source", row.source)):
            if not sign[1]:
                continue
            other = group_of[first_with.setdefault(sign, row.name)]
            if other is not group_of[row.name]:
                other |= group_of[row.name]
                group_of.update(dict.fromkeys(other, other))
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def parted_sources(clips: Iterable[ClipRow], split: Split) -> list[tuple[str, ...]]:
    """List the groups of clips of one source video that are in both lists of a split."""
    return [
        group
        for group in source_groups(clips)
        if not set(group).isdisjoint(split.train) and not set(group).isdisjoint(split.test)
    ]


def list_files(folder: Path) -> dict[str, Path]:
    """Return the file of each list of a dataset, which may not exist.

    They are `ImageSets/train.txt` and `test.txt`; in DAVIS's layout `ImageSets/2017/train.txt` and
    `val.txt`.
    """
    lists = folder / "ImageSets"
    own = {name: lists / f"{name}.txt" for name in SPLITS}
    davis = {"train": lists / "2017" / "train.txt", "test": lists / "2017" / "val.txt"}
    is_davis = all(path.is_file() for path in davis.values())
    return davis if is_davis and not any(path.is_file() for path in own.values()) else own


def read_split(folder: Path) -> Split | None:
    """Read the lists of a dataset; return None if it has neither. A missing list is empty.

    Raises:
        LabelerError: a clip is in both lists.
    """
    paths = list_files(folder)
    if not any(path.is_file() for path in paths.values()):
        return None
    train, test = (read_list(path) if path.is_file() else () for path in paths.values())
    if both := sorted(set(train) & set(test)):
        names = " and in ".join(path.name for path in paths.values())
        raise LabelerError(
            f"The lists in {paths['train'].parent} have {', '.join(both[:5])} both in {names}; "
            "take each out of one of them, or have the lists drawn anew."
        )
    return Split(train, test)


def write_split(folder: Path, split: Split) -> None:
    """Write the two lists of a dataset, one clip a line, both at once, where `list_files` says.

    Other files in ImageSets stay. DAVIS's lists of 2016 are written, too, if they are the same as
    those of 2017, as in our exports.

    Raises:
        LabelerError: the lists cannot be written.
    """
    lists = folder / "ImageSets"
    files = list_files(folder)
    texts = {
        files[name].relative_to(lists): "".join(f"{clip}\n" for clip in clips)
        for name, clips in zip(SPLITS, (split.train, split.test), strict=True)
    }
    for path, text in list(texts.items()):
        twin = Path("2016") / path.name
        if path.parent.name == "2017" and _same(lists / path, lists / twin):
            texts[twin] = text
    with replacing(lists) as new:
        if lists.is_dir():
            shutil.copytree(lists, new, dirs_exist_ok=True)
        for path, text in texts.items():
            (new / path).parent.mkdir(exist_ok=True)
            (new / path).write_text(text)


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and read_list(one) == read_list(other)


@dataclass
class _Stratum:
    """Clips that have their own share of test clips.

    `clips` is their number, `tested` how many of them are test clips already, and `free` the groups
    that are in no list yet.
    """

    clips: int = 0
    tested: int = 0
    free: list[tuple[str, ...]] = field(default_factory=list)


def _shares(strata: Sequence[_Stratum], test_share: float, wanted: int) -> list[int]:
    """Compute how many more test clips each stratum gives, with the largest remainders first."""
    free = [sum(map(len, stratum.free)) for stratum in strata]
    exact = [
        min(max(0.0, test_share * stratum.clips - stratum.tested), most)
        for stratum, most in zip(strata, free, strict=True)
    ]
    shares = [int(share) for share in exact]
    by_rest = sorted(range(len(strata)), key=lambda n: shares[n] - exact[n])
    while sum(shares) < min(wanted, sum(free)):
        for n in by_rest:
            if shares[n] < free[n] and sum(shares) < wanted:
                shares[n] += 1
    return shares


def _rank(seed: int, group: tuple[str, ...]) -> bytes:
    return hashlib.sha256(f"{seed}:{group[0]}".encode()).digest()


def _nearest(groups: Sequence[tuple[str, ...]], wanted: int, spare: int) -> set[str]:
    """Take each group, in order, that brings the number of clips nearer to the wanted one.

    At most `spare` clips are taken, so that others are left.
    """
    taken: set[str] = set()
    for group in groups:
        after = len(taken) + len(group)
        if abs(after - wanted) < abs(len(taken) - wanted) and after <= spare:
            taken.update(group)
    return taken
