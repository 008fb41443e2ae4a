"""Training samples, each a pure function of seed and index.

Nothing is remembered from sample to sample: a training that was killed goes on with the very
sample it had come to, whatever the number of its loaders.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
from torch.utils.data import Dataset

from labeler.clip import Image
from labeler.errors import LabelerError
from labeler.mask import Mask
from model.data.sources import Sources
from model.samples.catalogue import Catalogue, frames_of, in_turn, nth_frame
from model.samples.guides import blot, shift_boundary
from model.samples.hardship import hardship
from model.samples.photometric import Light, degrade
from model.samples.sample import Batch, ReferenceSample, Sample, collate
from model.samples.sample_recipe import SampleRecipe, SourceKind
from model.samples.scene import Scene, Shot, clip_run, clip_shots, still_run, still_shots

T = TypeVar("T")

MARGIN, CLOSE_MARGIN = 1.3, 2.0
"""How much larger than a sample pictures are kept, so that parts of them are sharp, and
close-ups."""

STILL_KINDS = (SourceKind.STILL, SourceKind.COMPOSITE)

_IMAGES, _PLANS, _TURNS = 1, 2, 3  # streams of chance beside that of samples, which has no number

_BASES: dict[SourceKind | None, float] = {SourceKind.CLIP: 0.3, SourceKind.STILL: 0.3, None: 0.4}
"""How often people are put into clips, into stills and into backgrounds."""

_CROWDS = {
    False: {False: [0.0, 0.5, 0.3, 0.2], True: [0.08, 0.46, 0.28, 0.18]},
    True: {False: [0.0, 0.6, 0.4, 0.0], True: [0.0, 0.0, 0.6, 0.4]},
}
"""How probable it is to put in 0, 1, 2 or 3 people; first by whether one is to be left out, which
takes two, then by whether nobody is there before: a few backgrounds stay empty."""

_PASTED = [0.5, 0.35, 0.15]
"""How probable it is to put 0, 1 or 2 people into a clip without masks."""


@dataclass(frozen=True)
class SamplePlan:
    """What the samples of a batch have in common: if masks are given, references, and labels."""

    guided: bool
    references: int
    labelled: bool = True


class TrainingData:
    """Samples and batches by index, of clips with references and of images by themselves.

    From then on OpenCV has one thread in this process; there are to be many workers instead.

    Args:
        sources: what to learn from; see `Sources.split` for what to keep out of it.
        recipe: how samples are made.
        seed: another one gives other samples.
        batch_size: samples a batch.
        memory: bytes of pictures to keep, see `model.data.store.Store`.
        progress: is told how many pictures are read, and of how many.
        sharing: processes that make a batch together, of `batch_size` samples each: theirs follow
            the same plan.

    Attributes:
        length: how many samples of clips a training takes, by which some of them grow harder;
            None where that is not known: they are as hard as they come from the first on.

    Raises:
        LabelerError: there is nothing of what the recipe needs, or a picture is damaged.
    """

    def __init__(
        self,
        sources: Sources,
        recipe: SampleRecipe,
        seed: int = 0,
        batch_size: int = 4,
        memory: int = 2 << 30,
        progress: Callable[[int, int], None] | None = None,
        sharing: int = 1,
    ) -> None:
        # Not only for speed: a worker forked from a process whose OpenCV has threads may wait for
        # ever for one of them, none of which it has.
        cv2.setNumThreads(1)
        self.sources, self.recipe = sources, recipe
        self.seed, self.batch_size = seed, batch_size
        self.length: int | None = None
        self._planned = batch_size * sharing
        margin = CLOSE_MARGIN if recipe.close else MARGIN
        self._catalogue = found = Catalogue(sources, round(margin * recipe.size), memory, progress)
        able = {
            SourceKind.CLIP: bool(found.clips),
            SourceKind.STILL: bool(found.stills),
            SourceKind.COMPOSITE: bool(found.cutouts),
            SourceKind.OBJECT: bool(found.objects),
            SourceKind.FRESH: bool(found.fresh),
            SourceKind.UNLABELLED: bool(found.unlabelled),
            None: bool(found.backgrounds),
        }
        weights = {
            SourceKind.CLIP: recipe.clips,
            SourceKind.STILL: recipe.stills,
            SourceKind.COMPOSITE: recipe.composites,
            SourceKind.OBJECT: recipe.objects,
        }
        image_weights = {
            SourceKind.STILL: recipe.stills or 1.0,
            SourceKind.COMPOSITE: recipe.composites,
        }
        self._weights = {kind: w for kind, w in weights.items() if w and able[kind]}
        if able[SourceKind.FRESH] and recipe.fresh:
            old = sum(self._weights.values()) or 1.0
            self._weights[SourceKind.FRESH] = old * recipe.fresh / max(1 - recipe.fresh, 1e-6)
        self._image_weights = {kind: w for kind, w in image_weights.items() if w and able[kind]}
        if not self._image_weights:  # frames by themselves are pictures, too
            shown = (SourceKind.CLIP, SourceKind.FRESH)
            self._image_weights = {kind: 1.0 for kind in shown if able[kind]}
        self._unlabelled = recipe.unlabelled if able[SourceKind.UNLABELLED] else 0.0
        self._bases = {base: w for base, w in _BASES.items() if able[base]}
        if not self._weights.keys() - {SourceKind.OBJECT}:
            raise LabelerError(
                "There is nothing to train on by this recipe: give clips"
                + (" or pictures of people." if recipe.stills else " with masks of people.")
            )

    def plan(self, batch: int) -> SamplePlan:
        """Say what the samples of a batch of clips have in common.

        Guided batches are spread evenly, so that of any first batches no more than their share is.
        """
        if self.recipe.run:
            return SamplePlan(True, self.recipe.run - 1)
        guided = _whole(self.recipe.guided * (batch + 1)) > _whole(self.recipe.guided * batch)
        if not guided:
            return SamplePlan(False, 1, labelled=not self._is_unlabelled(batch))
        shares = np.array(self.recipe.references) / sum(self.recipe.references)
        rng = np.random.default_rng([self.seed, batch, _PLANS])
        return SamplePlan(True, 1 + int(rng.choice(len(shares), p=shares)))

    def _is_unlabelled(self, batch: int) -> bool:
        """Say whether an unguided batch is of clips without masks; these are spread evenly."""
        if self._progress(batch * self._planned) < self.recipe.unlabelled_after:
            return False
        earlier = batch - _whole(self.recipe.guided * batch)
        share = self._unlabelled / (1 - self.recipe.guided)
        return _whole(share * (earlier + 1)) > _whole(share * earlier)

    def sample(self, index: int) -> Sample:
        """Make a sample with references, by the plan of its batch, over all processes."""
        plan = self.plan(index // self._planned)
        rng = np.random.default_rng([self.seed, index])
        if not plan.labelled:
            return self._make(rng, index, SourceKind.UNLABELLED, plan)
        weights = {
            k: w for k, w in self._weights.items() if plan.guided or k is not SourceKind.OBJECT
        }
        if self._progress(index) < self.recipe.stills_first:
            weights = {k: weights[k] for k in STILL_KINDS if k in weights} or weights
        return self._make(rng, index, _draw(rng, weights), plan)

    def image_sample(self, index: int) -> Sample:
        """Make a sample without references, to learn single images by.

        Raises:
            LabelerError: there are no stills, and no clips of people.
        """
        if not self._image_weights:
            raise LabelerError("There are no pictures of people: give a folder of stills.")
        rng = np.random.default_rng([self.seed, index, _IMAGES])
        return self._make(rng, index, _draw(rng, self._image_weights), SamplePlan(False, 0))

    @property
    def video_batches(self) -> "Batches":
        """Batches of samples with references."""
        found, kinds = self._catalogue, self._weights.keys()
        targets = frames_of(found.clips) if SourceKind.CLIP in kinds else 0
        targets += frames_of(found.fresh) if SourceKind.FRESH in kinds else 0
        targets += len(found.stills) if kinds & {SourceKind.STILL, SourceKind.COMPOSITE} else 0
        return Batches(self, "video", -(-targets // self.batch_size))

    @property
    def image_batches(self) -> "Batches":
        """Batches of images by themselves: of stills or, where there are none, of frames."""
        found = self._catalogue
        count = len(found.stills) or frames_of(found.clips) + frames_of(found.fresh)
        return Batches(self, "image", -(-count // self.batch_size))

    def _make(
        self, rng: np.random.Generator, index: int, kind: SourceKind, plan: SamplePlan
    ) -> Sample:
        some_out = bool(rng.uniform() < self.recipe.subset) and plan.guided
        scene, shots = self._scene(rng, index, kind, plan.references, some_out)
        given = rng.uniform(size=plan.references) < self.recipe.given
        if self.recipe.run:
            given = np.arange(plan.references) == 0
        if plan.guided and not given.any():
            given[rng.integers(plan.references)] = True
        given &= plan.guided
        apart = (
            kind in (SourceKind.STILL, SourceKind.COMPOSITE)
            and some_out
            and scene.leave_out(list(given))
        )
        masks = scene.masks
        images = [canvas.image for canvas in scene.canvases]
        weak: list[Image | None] = [None] * len(images)
        if kind is SourceKind.UNLABELLED:
            weak = [image.copy() for image in images]
            crowd = rng.choice(3, p=_PASTED) if (count := len(self._catalogue.cutouts)) else 0
            scene.put_in(rng.integers(count, size=crowd).tolist() if crowd else [])
            masks = scene.masks
        if self.recipe.light:
            light = Light.drawn(rng, self.recipe.light)
            hard = hardship(rng, self.recipe)
            for view, image in enumerate(images):
                own = light + Light.drawn(rng, 0.4 * self.recipe.light)
                images[view] = degrade(rng, hard(own.on(image)), self.recipe.light)
        references = [
            ReferenceSample(
                image, mask, self._guide(rng, mask, bool(v)), bool(v), shot.distance, clear
            )
            for image, mask, v, shot, clear in zip(
                images[1:], masks[1:], given, shots[1:], weak[1:], strict=True
            )
        ]
        portrait = kind is not SourceKind.OBJECT and not apart
        return Sample(kind, portrait, images[0], masks[0], tuple(references), weak[0])

    def _scene(
        self, rng: np.random.Generator, index: int, kind: SourceKind, count: int, some_out: bool
    ) -> tuple[Scene, list[Shot]]:
        """Make the views of a sample; return them with their shots."""
        found, recipe = self._catalogue, self.recipe
        base = _draw(rng, self._bases) if kind is SourceKind.COMPOSITE else kind
        takes_of = {
            SourceKind.CLIP: found.clips,
            SourceKind.FRESH: found.fresh,
            SourceKind.OBJECT: found.objects,
            SourceKind.UNLABELLED: found.unlabelled,
        }
        if base in takes_of:
            takes = takes_of[base]
            take, target = nth_frame(takes, self._turn(index, frames_of(takes)))
            if recipe.run:
                shots = clip_run(rng, take, target, count, self._gap(index))
            else:
                shots = clip_shots(rng, recipe, take, target, count)
            scene = Scene(rng, found, recipe, shots, moving=False, show=base is SourceKind.OBJECT)
        else:
            stills = found.stills if base is SourceKind.STILL else found.backgrounds
            choose = still_run if recipe.run else still_shots
            shots = choose(rng, stills[self._turn(index, len(stills))], count)
            people = found.store.facts[shots[0].position].people
            apart = people[int(rng.integers(len(people)))] if some_out and people[1:] else None
            scene = Scene(rng, found, recipe, shots, moving=True, apart=apart)
        if kind is SourceKind.COMPOSITE:
            crowd = rng.choice(4, p=_CROWDS[some_out][base is None])
            scene.put_in(rng.integers(len(found.cutouts), size=crowd).tolist())
        return scene, shots

    def _guide(self, rng: np.random.Generator, mask: Mask, given: bool) -> Mask:
        """Make the mask that a reference is given with, as a person may have left it."""
        if not given:
            return np.zeros_like(mask)
        if rng.uniform() < self.recipe.jittered:
            mask = shift_boundary(rng, mask, self.recipe.jitter * self.recipe.size / 480)
        return blot(rng, mask) if rng.uniform() < self.recipe.blotted else mask

    def _gap(self, index: int) -> int:
        """The largest gap in a run by the sample of that index."""
        grows = self.recipe.gap_grows
        grown = min(1.0, self._progress(index) / grows) if grows else 1.0
        return max(1, round(grown * self.recipe.gap))

    def _progress(self, index: int) -> float:
        """The progress of the training at a sample, 0 to 1; 1 where its length is not known."""
        return 1.0 if self.length is None else index / self.length

    def _turn(self, index: int, count: int) -> int:
        return in_turn(self.seed, _TURNS, index, count)


def _draw(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """Draw one of the keys, by weight."""
    shares = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _whole(number: float) -> int:
    return int(number + 1e-9)  # 0.6 * 5 may be a little less than 3


class Batches(Dataset[Batch]):
    """Batches by index, for a DataLoader with `batch_size=None`.

    Every index from 0 on is a batch: `DataLoader(batches, batch_size=None, sampler=range(at, end),
    num_workers=n, worker_init_fn=one_thread)` goes on where a training stopped.
    `len` is the batches in which each target comes up once.
    """

    def __init__(self, data: TrainingData, of: Literal["video", "image"], length: int) -> None:
        self._data, self._of, self._length = data, of, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, batch: int) -> Batch:
        size = self._data.batch_size
        make = self._data.sample if self._of == "video" else self._data.image_sample
        return collate([make(index) for index in range(batch * size, (batch + 1) * size)])


def one_thread(worker: int) -> None:
    """Keep a worker of a DataLoader to one thread of OpenCV, where it was not forked."""
    cv2.setNumThreads(1)
