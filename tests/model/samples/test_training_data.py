"""Samples and batches: what must be true of every one of them."""

import pickle
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from labeler.errors import LabelerError
from model.data.folders import clips_from, unlabelled_from
from model.data.sources import Sources
from model.samples.catalogue import StoredTake, in_turn
from model.samples.sample import collate
from model.samples.sample_recipe import PAPER, PAPER_GUIDED, QUICK, SourceKind
from model.samples.scene import clip_shots
from model.samples.training_data import TrainingData, one_thread
from tests.model.made_sources import made_sources, made_takes

# Without light the squares keep their colours, so that masks can be told from the pixels.
PLAIN = replace(QUICK, size=96, light=0.0)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return made_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def data(sources):
    return TrainingData(sources, PLAIN, seed=5, batch_size=2)


@pytest.fixture(scope="module")
def samples(data):
    return [data.sample(index) for index in range(300)]


def equal(one, other):
    if len(one.references) != len(other.references):
        return False
    pairs = [(one, other), *zip(one.references, other.references, strict=True)]
    return one.kind == other.kind and all(
        all(
            np.array_equal(vars(a)[name], vars(b)[name]) for name in vars(a) if name != "references"
        )
        for a, b in pairs
    )


def coloured(image):
    """Where somebody is, by the colour: far from grey."""
    low, high = image.min(axis=2).astype(int), image.max(axis=2).astype(int)
    return high - low > 127


def test_a_sample_depends_on_seed_and_index_alone(sources, data, samples):
    again = TrainingData(sources, PLAIN, seed=5, batch_size=2, memory=0)
    for index in (37, 3, 120, 3):
        assert equal(again.sample(index), samples[index])
        assert equal(data.image_sample(index), again.image_sample(index))
    other = TrainingData(sources, PLAIN, seed=6, batch_size=2)
    assert not any(equal(other.sample(index), samples[index]) for index in range(20))
    assert not any(equal(samples[index], samples[index + 1]) for index in range(100))


def test_chance_of_numpy_and_torch_is_left_alone(data):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    data.sample(11)
    assert (np.random.get_state()[1] == before[0]).all()
    assert (torch.get_rng_state() == before[1]).all()


def test_opencv_has_no_threads_that_a_forked_worker_would_wait_for(sources):
    cv2.setNumThreads(2)
    TrainingData(sources, replace(PAPER, size=32))
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (1, "spawn")])
def test_batches_are_the_same_whoever_makes_them(data, workers, context):
    loader = DataLoader(
        data.video_batches,
        batch_size=None,
        sampler=range(7, 12),
        num_workers=workers,
        multiprocessing_context=context,
        worker_init_fn=one_thread,
    )
    for index, batch in zip(range(7, 12), loader, strict=True):
        expected = data.video_batches[index]
        assert batch.kinds == expected.kinds
        for name, tensor in vars(expected).items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(vars(batch)[name], tensor), name


def test_it_travels_to_workers(data):
    again = pickle.loads(pickle.dumps(data))
    assert equal(again.sample(9), data.sample(9))


def test_shapes_and_types_are_what_the_network_takes(data):
    for index in range(10):
        batch = data.video_batches[index]
        count = data.plan(index).references
        assert len(batch) == 2
        assert batch.images.shape == (2, 96, 96, 3)
        assert batch.images.dtype == torch.uint8
        assert batch.masks.shape == (2, 1, 96, 96)
        assert batch.masks.dtype == torch.bool
        assert batch.reference_images.shape == (2, count, 96, 96, 3)
        assert batch.reference_masks.shape == batch.guides.shape == (2, count, 1, 96, 96)
        assert batch.given.shape == batch.distance.shape == (2, count)
        assert batch.given.dtype == batch.distance.dtype == torch.float32
        assert batch.portrait.dtype == torch.bool
        assert batch.to("cpu").kinds == batch.kinds
    images = data.image_batches[0]
    assert images.images.shape == (2, 96, 96, 3)
    assert images.reference_images.shape == (2, 0, 96, 96, 3)
    assert images.given.shape == (2, 0)
    assert images.portrait.all()


def test_a_batch_stacks_its_samples_in_order(data):
    index = next(n for n in range(20) if data.plan(n).references > 1)
    one, other = data.sample(2 * index), data.sample(2 * index + 1)
    batch = collate([one, other])
    assert (batch.images[1].numpy() == other.image).all()
    assert (batch.reference_images[1, 1].numpy() == other.references[1].image).all()
    assert (batch.guides[0, 1, 0].numpy() == one.references[1].guide).all()
    assert batch.distance[1, 0] == pytest.approx(other.references[0].distance)
    with pytest.raises(ValueError, match="equally many references"):
        collate([one, data.image_sample(0)])


def test_at_least_two_fifths_of_batches_are_unguided_at_any_time(data):
    guided = np.cumsum([data.plan(batch).guided for batch in range(1000)])
    assert (guided <= 0.6 * np.arange(1, 1001) + 1e-9).all()
    assert guided[-1] == 600


def test_references_are_one_two_or_three(data):
    plans = [data.plan(batch) for batch in range(1500)]
    counts = Counter(plan.references for plan in plans if plan.guided)
    shares = [counts[n] / sum(counts.values()) for n in (1, 2, 3)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.05)
    assert {plan.references for plan in plans if not plan.guided} == {1}


@pytest.fixture(scope="module")
def unlabelled(sources, tmp_path_factory):
    folder = made_takes(tmp_path_factory.mktemp("unlabelled"), ("talk",))
    more = replace(sources, unlabelled=unlabelled_from(folder))
    return TrainingData(more, replace(PLAIN, unlabelled=0.2), seed=5, batch_size=2)


def test_a_share_of_batches_is_of_clips_without_masks(data, unlabelled):
    plans = [unlabelled.plan(batch) for batch in range(100)]
    assert sum(not plan.labelled for plan in plans) == 20
    assert not any(plan.guided for plan in plans if not plan.labelled)
    assert all(data.plan(batch).labelled for batch in range(100))


def test_its_own_predictions_are_learnt_only_later_in_a_training(sources, unlabelled):
    long = TrainingData(unlabelled.sources, replace(PLAIN, unlabelled=0.2), seed=5, batch_size=2)
    long.length = 200
    labelled = [long.plan(batch).labelled for batch in range(100)]
    assert all(labelled[:30])
    assert not all(labelled[30:40])


def test_weak_views_have_no_pasted_people_and_masks_have_only_them(unlabelled):
    numbers = [n for n in range(400) if not unlabelled.plan(n // 2).labelled]
    samples = [unlabelled.sample(number) for number in numbers]
    assert all(sample.kind is SourceKind.UNLABELLED for sample in samples)
    views = [view for sample in samples for view in (sample, *sample.references)]
    pasted = [view for view in views if view.mask.any()]
    assert 0.3 * len(views) < len(pasted) < 0.7 * len(views)
    for view in views:
        changed = (view.weak != view.image).any(axis=2)
        assert (cv2.dilate(view.mask.astype(np.uint8), np.ones((5, 5))) >= changed).all()
    strong = replace(unlabelled.recipe, light=1.0, grey=1.0)
    poor = TrainingData(unlabelled.sources, strong, seed=5, batch_size=2)
    grey = [poor.sample(number) for number in numbers[:10]]
    assert any(coloured(sample.weak).any() for sample in grey)
    assert not any(coloured(sample.image).any() for sample in grey)


def test_a_batch_has_weak_views_of_all_its_samples_or_of_none(unlabelled):
    batches = [unlabelled.video_batches[batch] for batch in range(10)]
    shown = [batch.weak.shape[1] for batch in batches]
    assert shown == [0 if unlabelled.plan(n).labelled else 2 for n in range(10)]
    assert all(batch.sure.shape[1] == 0 for batch in batches)
    one, other = (unlabelled.sample(2 * shown.index(n)) for n in (0, 2))
    with pytest.raises(ValueError, match="all be of clips with masks"):
        collate([one, other])


def test_masks_are_given_in_guided_batches_only_and_then_at_least_one(data, samples):
    shares = []
    for index, sample in enumerate(samples):
        given = [reference.given for reference in sample.references]
        assert any(given) == data.plan(index // 2).guided
        for reference in sample.references:
            assert reference.given or not reference.guide.any()
            assert 0 <= reference.distance <= 1
        if len(given) == 3:
            shares.append(np.mean(given))
    assert 0.4 < np.mean(shares) < 0.75


def test_everything_comes_up(samples):
    kinds = Counter(sample.kind for sample in samples)
    assert set(kinds) == set(SourceKind) - {SourceKind.FRESH, SourceKind.UNLABELLED}
    assert min(kinds.values()) > 10


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_new_labels_have_their_share(tmp_path, sources, share):
    fresh = clips_from(made_takes(tmp_path, ("new",)))
    data = TrainingData(replace(sources, fresh=fresh), replace(PLAIN, fresh=share), batch_size=2)
    kinds = Counter(data.sample(index).kind for index in range(400))
    # Things are never samples of unguided batches: what they leave goes to the others alike.
    assert kinds[SourceKind.FRESH] / 400 == pytest.approx(share, abs=0.08)
    assert all(
        data.sample(i).portrait for i in range(40) if data.sample(i).kind is SourceKind.FRESH
    )
    alone = TrainingData(Sources(fresh=fresh), PLAIN, batch_size=2)
    assert {alone.sample(index).kind for index in range(20)} == {SourceKind.FRESH}
    assert len(alone.video_batches) == 3


def test_objects_and_subsets_need_a_mask_to_go_by(data, samples):
    for index, sample in enumerate(samples):
        if sample.kind is SourceKind.OBJECT:
            assert not sample.portrait
        if not sample.portrait:
            assert data.plan(index // 2).guided
            assert any(reference.given and reference.mask.any() for reference in sample.references)


def test_masks_move_with_their_pictures(samples):
    for sample in samples:
        if sample.portrait or sample.kind is SourceKind.OBJECT:
            for view in (sample, *sample.references):
                wrong = np.count_nonzero(coloured(view.image) != view.mask)
                assert wrong <= 0.04 * view.mask.size, sample.kind


def test_guides_are_wrong_at_times_but_only_near_the_boundary(sources):
    recipe = replace(PLAIN, size=480, jittered=1.0, blotted=0.0, composites=0.0)
    data = TrainingData(sources, recipe, batch_size=1)
    wrong = 0
    for index in [n for n in range(40) if data.plan(n).guided]:
        for reference in data.sample(index).references:
            if reference.given and 0 < reference.mask.mean() < 1:
                off = reference.guide != reference.mask
                wrong += bool(off.any())
                assert distance_to_boundary(reference.mask)[off].max(initial=0) <= 10
    assert wrong > 10


def distance_to_boundary(mask):
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(mask) + distance_transform_edt(~mask)


def test_guides_are_right_where_nothing_is_to_be_wrong(sources):
    data = TrainingData(sources, replace(PLAIN, jittered=0.0, blotted=0.0), batch_size=1)
    for index in range(40):
        for reference in data.sample(index).references:
            assert not reference.given or (reference.guide == reference.mask).all()


def test_a_subset_leaves_the_same_person_out_everywhere(sources):
    stills = tuple(still for still in sources.stills if int(still.name[-1]) % 2)  # red and blue
    recipe = replace(PLAIN, clips=0, stills=1, composites=0, objects=0, subset=1.0, crop=(1.3, 1.3))
    data = TrainingData(Sources(stills=stills), recipe, batch_size=1)
    left_out = Counter()
    for index in [n for n in range(60) if data.plan(n).guided]:
        sample = data.sample(index)
        if sample.portrait:
            continue  # the two were not to be seen in one view
        told = set()
        for view in (sample, *sample.references):
            red = coloured(view.image) & (view.image[..., 2] > view.image[..., 0])
            blue = coloured(view.image) & ~red
            if min(red.sum(), blue.sum()) < 200:
                continue
            kept = [np.count_nonzero(view.mask & who) / who.sum() for who in (red, blue)]
            assert sorted(kept)[0] < 0.1
            assert sorted(kept)[1] > 0.9
            told.add("red" if kept[0] < kept[1] else "blue")
        assert len(told) == 1
        left_out[told.pop()] += 1
    assert left_out["red"] > 5
    assert left_out["blue"] > 5


def test_composites_leave_somebody_out_only_when_asked(sources):
    recipe = replace(PLAIN, clips=0, stills=0, composites=1, objects=0)
    never = TrainingData(sources, replace(recipe, subset=0.0), batch_size=1)
    assert all(never.sample(index).portrait for index in range(40))
    always = TrainingData(sources, replace(recipe, subset=1.0), batch_size=1)
    guided = [index for index in range(60) if always.plan(index).guided]
    assert sum(not always.sample(index).portrait for index in guided) > 0.6 * len(guided)
    for index in set(range(60)) - set(guided):
        assert always.sample(index).portrait


def test_the_paper_has_clips_with_one_reference_and_no_masks_given(sources):
    data = TrainingData(sources, replace(PAPER, size=96), batch_size=4)
    distances = []
    for index in range(200):
        sample = data.sample(index)
        assert sample.kind is SourceKind.CLIP
        assert sample.portrait
        [reference] = sample.references
        assert not reference.given
        distances.append(reference.distance)
        for view in (sample, reference):
            assert np.count_nonzero(coloured(view.image) != view.mask) <= 0.02 * view.mask.size
    # Pictures at every fifth number are five consecutive frames.
    assert {round(5 * distance) for distance in distances} == {0, 1, 2, 3, 4}
    assert all(data.image_sample(index).kind is SourceKind.STILL for index in range(20))


def test_the_unguided_half_of_the_guided_paper_is_the_papers(sources):
    paper, guided = (
        TrainingData(sources, replace(recipe, size=96), batch_size=4)
        for recipe in (PAPER, PAPER_GUIDED)
    )
    plans = [guided.plan(batch) for batch in range(100)]
    assert sum(plan.guided for plan in plans) == 50
    assert {plan.references for plan in plans if plan.guided} == {1, 2, 3}
    for batch in range(20):
        one, other = (data.video_batches[batch] for data in (paper, guided))
        assert bool(other.given.any()) == plans[batch].guided
        if not plans[batch].guided and batch < 8:
            assert torch.equal(one.images, other.images)


def test_processes_that_share_a_batch_share_its_plan_and_its_samples(sources):
    alone = TrainingData(sources, replace(QUICK, size=96), batch_size=4)
    shared = TrainingData(sources, replace(QUICK, size=96), batch_size=2, sharing=2)
    for batch in range(6):
        whole = alone.video_batches[batch]
        halves = [shared.video_batches[2 * batch + rank] for rank in (0, 1)]
        assert torch.equal(whole.images, torch.cat([half.images for half in halves]))
        assert torch.equal(whole.given, torch.cat([half.given for half in halves]))


def test_references_are_first_frames_near_ones_or_any():
    take = StoredTake(tuple(range(100, 121)), tuple(range(0, 105, 5)), 105)
    rng = np.random.default_rng(0)
    drawn = [clip_shots(rng, PAPER, take, 8, 2) for _ in range(600)]
    assert all(shots[0].position == 108 and shots[0].distance == 0 for shots in drawn)
    first = np.array([shots[1].position for shots in drawn])
    other = np.array([shots[2].position for shots in drawn])
    assert 0.45 < np.mean(first == 100) < 0.6
    assert np.mean(other == 100) < 0.1
    assert set(other) == set(take.positions), "in both directions, up to the whole clip"
    for shot in (shots[1] for shots in drawn):
        assert shot.distance == pytest.approx(5 * abs(shot.position - 108) / 105)
    recipe = replace(QUICK, first_frame=0.0)
    nearer = [clip_shots(rng, recipe, take, 8, 1)[1].distance for _ in range(600)]
    assert np.mean(nearer) < 0.8 * np.mean([shots[2].distance for shots in drawn])


def test_target_and_references_are_flipped_alike(tmp_path_factory, sources):
    """The square of the made clips stands left of the middle in frame 0, and goes right."""
    recipe = replace(PAPER, size=96, crop=(1.0, 1.0), first_frame=1.0)
    data = TrainingData(sources, recipe, batch_size=1)
    seen = set()
    for index in range(40):
        sample = data.sample(index)
        [reference] = sample.references
        flipped = centre(reference.mask) > 48
        if reference.distance > 0:
            assert (centre(sample.mask) < centre(reference.mask)) == flipped
        seen.add(bool(flipped))
    assert seen == {True, False}


@pytest.mark.parametrize(("share", "alike"), [(0.0, False), (1.0, True)])
def test_frames_of_a_clip_may_show_the_same_part(tmp_path, share, alike):
    still = clips_from(made_takes(tmp_path, ("still",), step=0))
    recipe = replace(PAPER, size=96, crop=(0.5, 0.5), same_view=share)
    data = TrainingData(Sources(clips=still), recipe, batch_size=1)
    views = [(s.image, s.references[0].image) for s in map(data.sample, range(8))]
    assert all(np.array_equal(*pair) for pair in views) == alike


def centre(mask):
    return np.flatnonzero(mask.any(axis=0)).mean()


def test_in_the_paper_each_frame_is_a_target_once_an_epoch(sources):
    data = TrainingData(sources, replace(PAPER, size=32), batch_size=3)
    assert len(data.video_batches) == 4, "10 masked frames in batches of 3"
    assert len(data.image_batches) == 2
    assert sorted(in_turn(1, 2, index, 10) for index in range(20, 30)) == list(range(10))
    assert [in_turn(1, 2, n, 10) for n in range(10)] != [
        in_turn(1, 2, n, 10) for n in range(10, 20)
    ]


def test_a_recipe_without_what_it_needs_is_refused(sources):
    with pytest.raises(LabelerError, match="give clips with masks of people"):
        TrainingData(replace(sources, clips=()), PAPER)
    with pytest.raises(LabelerError, match="give clips or pictures of people"):
        TrainingData(Sources(objects=sources.objects), PLAIN)
    data = TrainingData(Sources(clips=sources.clips), replace(PAPER, size=32))
    assert data.image_sample(0).kind is SourceKind.CLIP  # a frame by itself is a picture
    assert len(data.image_batches) == 3


def test_recipes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        replace(PAPER, size=100)
    with pytest.raises(ValueError, match="40 %"):
        replace(QUICK, guided=0.7)


def test_real_data_is_read_and_made_samples_of(shared_data):
    from model.data.folders import backgrounds_from, clips_from, stills_from

    clips = clips_from(shared_data / "video")
    stills = stills_from(shared_data / "images")
    objects = clips_from(shared_data / "objects")
    backgrounds = backgrounds_from(shared_data / "backgrounds")
    train, validation = Sources(clips, stills, objects, backgrounds).split()
    assert (len(train.clips), len(validation.clips)) == (7, 2)
    assert (len(train.stills), len(validation.stills)) == (1046, 116)
    few = Sources(train.clips[:2], train.stills[::40], train.objects[:2], train.backgrounds[:5])
    data = TrainingData(few, replace(QUICK, size=128), batch_size=2)
    kinds = Counter()
    for index in range(60):
        sample = data.sample(index)
        kinds[sample.kind] += 1
        assert sample.image.std() > 2
        assert all(r.image.shape == (128, 128, 3) for r in sample.references)
    assert set(kinds) == set(SourceKind) - {SourceKind.FRESH, SourceKind.UNLABELLED}
