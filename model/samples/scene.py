"""Scenes: several views of one clip or one picture, with people pasted in, before colour changes.

The first view of a scene is the target, the others are its references.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from labeler.mask import Mask
from model.data.store import Person
from model.samples.catalogue import Catalogue, StoredTake
from model.samples.composite import Canvas, cut_out, draw_pose, paste
from model.samples.sample_recipe import SampleRecipe
from model.samples.views import (
    MASKED,
    Grid,
    draw_window,
    flipped,
    grid_of,
    kept_inside,
    render,
    with_mask,
    wobble,
)
from model.window import close_up

ROOMS = (1.1, 1.8)
"""The range of how much larger a close-up is than the box of its people, in training. At inference
the box comes from a first, rough mask, where a part may be missing or too much."""

LEAST_SEEN = 0.002
"""The share of a view that a person covers at least, to count as seen."""


@dataclass(frozen=True)
class Shot:
    """A picture of the store, and how far from the target it was taken, 0 to 1."""

    position: int
    distance: float


def clip_shots(
    rng: np.random.Generator, recipe: SampleRecipe, take: StoredTake, target: int, count: int
) -> list[Shot]:
    """Choose the references of a clip's masked frame: the first frame, near frames, or any."""
    frames = np.array(take.frames)
    shots = [Shot(take.positions[target], 0.0)]
    for number in range(count):
        within = take.length * (rng.uniform() ** 2 if rng.uniform() < recipe.near else 1.0)
        choice = np.flatnonzero(np.abs(frames - frames[target]) <= within)
        chosen = int(choice[rng.integers(len(choice))])
        if number == 0 and rng.uniform() < recipe.first_frame:
            chosen = 0
        shots.append(Shot(take.positions[chosen], take.distance(chosen, target)))
    return shots


def still_shots(rng: np.random.Generator, position: int, count: int) -> list[Shot]:
    """Use one picture as the frames of a clip, at random distances."""
    return [Shot(position, 0.0), *(Shot(position, float(rng.uniform())) for _ in range(count))]


def clip_run(
    rng: np.random.Generator, take: StoredTake, target: int, count: int, gap: int
) -> list[Shot]:
    """Choose the frames that lead up to a clip's masked frame, or back to it, at even gaps.

    Where the clip ends, or a frame has no mask, the nearest masked frame is used instead.
    """
    frames = np.array(take.frames)
    step = int(rng.integers(1, gap + 1)) * (1 if rng.uniform() < 0.5 else -1)
    if not frames[0] <= frames[target] - step * count <= frames[-1]:
        step = -step
    wanted = frames[target] - step * np.arange(count, 0, -1)
    chosen = np.abs(frames - wanted[:, None]).argmin(axis=1)
    shots = [Shot(take.positions[at], take.distance(at, target)) for at in chosen.tolist()]
    return [Shot(take.positions[target], 0.0), *shots]


def still_run(rng: np.random.Generator, position: int, count: int) -> list[Shot]:
    """Use one picture as the frames of a run; the nearer to the target, the less it moves."""
    reach = float(rng.uniform(0.2, 1.0))
    shots = [Shot(position, reach * left / count) for left in range(count, 0, -1)]
    return [Shot(position, 0.0), *shots]


class Scene:
    """The views of some shots; people can be pasted into them and left out of their masks.

    Args:
        rng: the random generator; all methods draw from it.
        catalogue: has the pictures.
        recipe: says how views are made.
        shots: the target's shot, then the references'.
        moving: whether the shots are one still, which must be moved; a clip moves by itself.
        show: whether each view must show something.
        apart: a person of the still who gets a layer of their own.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        catalogue: Catalogue,
        recipe: SampleRecipe,
        shots: Sequence[Shot],
        *,
        moving: bool,
        show: bool = False,
        apart: Person | None = None,
    ) -> None:
        self._rng, self._catalogue, self._recipe, self._shots = rng, catalogue, recipe, shots
        self._mirrored = bool(rng.uniform() < 0.5)
        own = rng.uniform() < recipe.own_aspect
        ratio = math.log(16 / 9)
        self._aspect = None if own else float(np.exp(rng.uniform(-ratio, ratio)))
        self._close = bool(rng.uniform() < recipe.close)
        self._pictures = {at: catalogue.store[at] for at in {shot.position for shot in shots}}
        grids = self._grids_of_still() if moving else self._grids_of_clip()
        self.canvases = []
        for shot, grid in zip(shots, grids, strict=True):
            canvas = self._see(shot.position, grid, apart)
            if show and canvas.layers[0].mean() < LEAST_SEEN:
                width, height = catalogue.store.facts[shot.position].size
                whole = grid_of(draw_window(rng, (width, height), None, 1.0))
                canvas = self._see(shot.position, whole, apart)
            self.canvases.append(canvas)

    @property
    def masks(self) -> list[Mask]:
        """The mask of all people in each view, S x S bool."""
        return [np.logical_or.reduce(canvas.layers) for canvas in self.canvases]

    def put_in(self, numbers: Sequence[int]) -> None:
        """Paste people into all views, by their numbers in `Catalogue.cutouts`.

        The smaller of two people is behind, as if farther away; the people who are in the picture
        already count as one person.
        """
        rng, recipe, store = self._rng, self._recipe, self._catalogue.store
        width, height = store.facts[self._shots[0].position].size
        aspect = self._aspect or width / height
        tallest = self.masks[0].any(axis=1).mean()
        posed = []
        for position, person in (self._catalogue.cutouts[number] for number in numbers):
            cutout = cut_out(*store[position], person)
            posed.append((draw_pose(rng, cutout, recipe.size, recipe.height), cutout))
        fronts = self.masks
        for pose, cutout in sorted(posed, key=lambda pair: pair[0].height):
            for shot, canvas, front in zip(self._shots, self.canvases, fronts, strict=True):
                then = pose.moved(rng, recipe.motion * shot.distance, cutout.grounded)
                bent = recipe.motion * (0.2 + 0.6 * shot.distance)
                behind = front if pose.height < tallest else None
                paste(rng, canvas, cutout, then, aspect, bent, behind)

    def leave_out(self, given: Sequence[bool]) -> bool:
        """Remove one person from all masks, but not from the pictures.

        The given masks must tell that this person does not count: the target and one reference
        with a mask must show the person, and all references with a mask must show somebody else,
        too.

        Args:
            given: for each reference, whether the network gets its mask.

        Returns:
            Whether there was such a person.
        """
        told = [canvas for canvas, told in zip(self.canvases[1:], given, strict=True) if told]
        target, candidates = self.canvases[0], []
        for layer in range(len(target.layers)):
            seen = _seen(target.layers[layer]) and any(_seen(c.layers[layer]) for c in told)
            others = [[m for n, m in enumerate(c.layers) if n != layer] for c in told]
            if seen and all(any(_seen(mask) for mask in each) for each in others):
                candidates.append(layer)
        if not candidates:
            return False
        chosen = candidates[int(self._rng.integers(len(candidates)))]
        for canvas in self.canvases:
            canvas.layers.pop(chosen)
        return True

    def _grid(self, position: int) -> Grid:
        """Draw the grid of a view of one picture, independent of other views."""
        rng, recipe, facts = self._rng, self._recipe, self._catalogue.store.facts[position]
        if self._close and facts.people:
            return self._moved(
                self._close_up(facts.people, facts.size), 0.1 * recipe.motion, facts.size
            )
        around = None
        if facts.people and rng.uniform() < recipe.on_people:
            left, top, right, bottom = facts.people[int(rng.integers(len(facts.people)))].box
            across, down = rng.uniform(0.25, 0.75, 2)
            around = (left + across * (right - left), top + down * (bottom - top))
        side = float(rng.uniform(*recipe.crop))
        grid = grid_of(draw_window(rng, facts.size, self._aspect, side, around))
        return self._moved(grid, 0.2 * recipe.motion, facts.size)

    def _close_up(self, people: Sequence[Person], size: tuple[int, int]) -> Grid:
        """Draw the close-up of all people in a picture, with about as much room as at inference."""
        boxes = np.array([person.box for person in people])
        everybody = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
        room = float(self._rng.uniform(*ROOMS))
        return grid_of(close_up(everybody, size, room))

    def _grids_of_clip(self) -> list[Grid]:
        """Draw the grids of a clip's frames: about the same part of all, or a part of each."""
        recipe, positions = self._recipe, [shot.position for shot in self._shots]
        if recipe.run and self._close:  # one window for all frames, as a carrier sees them
            facts = [self._catalogue.store.facts[position] for position in positions]
            people = [person for each in facts for person in each.people]
            if people:
                grid = self._close_up(people, facts[0].size)
                return [self._moved(grid, 0.1 * recipe.motion, each.size) for each in facts]
        if (self._close and not recipe.run) or self._rng.uniform() >= recipe.same_view:
            return [self._grid(position) for position in positions]
        grid, size = self._grid(positions[0]), self._catalogue.store.facts[positions[0]].size
        return [grid, *(self._moved(grid, 0.2 * recipe.motion, size) for _ in positions[1:])]

    def _grids_of_still(self) -> list[Grid]:
        """Draw grids of about the same part of a still; with the distance they differ more."""
        position, motion = self._shots[0].position, self._recipe.motion
        grid, size = self._grid(position), self._catalogue.store.facts[position].size
        amounts = [motion * (0.2 + 0.8 * shot.distance) for shot in self._shots[1:]]
        return [grid, *(self._moved(grid, amount, size) for amount in amounts)]

    def _moved(self, grid: Grid, amount: float, size: tuple[int, int]) -> Grid:
        return kept_inside(wobble(self._rng, grid, amount), size) if amount else grid

    def _see(self, position: int, grid: Grid, apart: Person | None) -> Canvas:
        grid = flipped(grid) if self._mirrored else grid
        image, people = self._pictures[position]
        shape = (self._recipe.size, self._recipe.size)
        view = render(with_mask(image, people > 0), grid, shape)
        layers = [view[..., 3] >= MASKED]
        if apart is not None:
            one = np.equal(people, apart.number).astype(np.uint8) * 255
            layers.append((render(one, grid, shape) >= MASKED) & layers[0])
            layers[0] = layers[0] & ~layers[1]
        return Canvas(np.asarray(cv2.cvtColor(view, cv2.COLOR_BGRA2BGR), np.uint8), layers)


def _seen(mask: Mask) -> bool:
    return bool(mask.mean() >= LEAST_SEEN)
