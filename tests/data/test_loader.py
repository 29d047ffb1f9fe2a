"""Batches on one device: which images, in which order, on which rank, and after a resumption."""

from functools import partial
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.data import DeviceLoader, Images, Preprocessing, mix, shift_and_flip
from conductance.data.order import StandIn
from conductance.errors import InputError


def numbered(count):
    """Random images, each labeled with its own number."""
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(count))


def loader(count=23, batch_size=4, *, shuffle=True, **options):
    options.setdefault("preprocessing", Preprocessing("scaled", channels=1))
    return DeviceLoader(numbered(count), batch_size, shuffle=shuffle, **options)


def labels(batches):
    return [labels.tolist() for _, labels in batches]


def seen(batches):
    return [label for batch in labels(batches) for label in batch]


mix_numbered = partial(mix, num_classes=23)


def assert_same(batches, others):
    for (inputs, labels), (other_inputs, other_labels) in zip(batches, others, strict=True):
        assert torch.equal(inputs, other_inputs)
        assert torch.equal(labels, other_labels)


@given(
    count=st.integers(0, 40),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_together_the_ranks_see_every_image_exactly_once(count, batch_size, world_size, shuffle):
    ranks = [loader(count, batch_size, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)]
    batches = [labels(rank) for rank in ranks]
    assert [len(rank) for rank in ranks] == [len(batch) for batch in batches]
    assert sorted(label for rank in batches for batch in rank for label in batch) == [*range(count)]
    for rank in batches:
        assert all(len(batch) == batch_size for batch in rank[:-1])
    sizes = [sum(map(len, rank)) for rank in batches]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


@given(
    count=st.integers(1, 60),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 5),
    shuffle=st.booleans(),
    resumed_on=st.integers(1, 5),
)
def test_processes_share_every_batch_of_one_alone(count, batch_size, world_size, shuffle, resumed_on):
    """Without repeats, drops or uneven numbers of batches, also in an epoch that another number of them began."""
    alone = labels(loader(count, batch_size * world_size, shuffle=shuffle))
    assert sorted(label for batch in alone for label in batch) == [*range(count)]
    of_one = loader(count, batch_size, shuffle=shuffle)
    began = [of_one.shared(rank, world_size) for rank in range(world_size)]
    continued = [of_one.shared(rank, resumed_on) for rank in range(resumed_on)]
    for its_own in continued:
        its_own.load_state_dict(began[0].state_dict())
    for ranks in (began, continued):
        assert {len(its_own) for its_own in ranks} == {len(alone)}
        for batch, *shares in zip(alone, *ranks, strict=True):
            own = [[] if isinstance(share, StandIn) else share[1].tolist() for share in shares]
            assert sorted(label for part in own for label in part) == sorted(batch)
            assert max(map(len, own)) - min(map(len, own)) <= 1


@given(count=st.integers(1, 60), batch_size=st.integers(2, 9), world_size=st.integers(1, 5))
def test_a_last_batch_with_too_few_for_each_process_is_left_out(count, batch_size, world_size):
    def ranks():
        return [loader(count, batch_size).shared(rank, world_size, least=2) for rank in range(world_size)]

    if count < 2 * world_size:
        with pytest.raises(InputError, match=f"{count} examples make no batch: each of {world_size} processes needs 2"):
            ranks()
        return
    rest = count % (batch_size * world_size)
    for its_own in ranks():
        sizes = [len(batch) for batch in labels(its_own)]
        assert min(sizes) >= 2
        assert len(sizes) == count // (batch_size * world_size) + (rest >= 2 * world_size)


@given(batch_size=st.integers(1, 5), world_size=st.integers(1, 4), extra=st.integers(0, 30), shuffle=st.booleans())
def test_drop_last_gives_every_rank_the_same_number_of_full_batches(batch_size, world_size, extra, shuffle):
    count = batch_size * world_size + extra
    options = {"shuffle": shuffle, "world_size": world_size, "drop_last": True}
    ranks = [loader(count, batch_size, rank=rank, **options) for rank in range(world_size)]
    batches = [labels(rank) for rank in ranks]
    assert {len(rank) for rank in batches} == {count // (batch_size * world_size)} == {len(ranks[0])}
    assert all(len(batch) == batch_size for rank in batches for batch in rank)
    drawn = [label for rank in batches for batch in rank for label in batch]
    assert len(set(drawn)) == len(drawn)


def test_inputs_are_the_preprocessed_images_of_their_labels():
    preprocessing = Preprocessing.fit("whitened", numbered(23).pixels)
    expected = preprocessing(numbered(23).pixels)
    for inputs, labels in loader(preprocessing=preprocessing):
        assert torch.equal(inputs, expected[labels])


def test_mixed_inputs_are_mixtures_of_the_preprocessed_images():
    preprocessing = Preprocessing("unit", channels=1)
    expected = preprocessing(numbered(23).pixels).flatten(1)
    for inputs, shares in loader(preprocessing=preprocessing, mixing=mix_numbered):
        assert (shares < 1).any()
        torch.testing.assert_close(inputs.flatten(1), shares @ expected)


def test_without_shuffling_every_epoch_is_in_the_images_order():
    evaluation = loader(shuffle=False)
    assert seen(evaluation) == seen(evaluation) == [*range(23)]


def test_epochs_differ_in_order_and_in_augmentation():
    shuffled = loader()
    assert seen(shuffled) != seen(shuffled)
    augmented = loader(shuffle=False, augmentation=shift_and_flip)
    first, second = (torch.cat([inputs for inputs, _ in augmented]) for _ in range(2))
    assert not torch.equal(first, second)


def test_batches_and_ranks_differ_in_augmentation():
    draws = []

    def recording(images, *, generator):
        draws.append(generator.initial_seed())
        return images

    for rank in range(2):
        two_epochs = loader(augmentation=recording, rank=rank, world_size=2)
        seen(two_epochs), seen(two_epochs)
    assert len(set(draws)) == len(draws) == 12


def test_a_seed_fixes_everything_and_another_changes_it():
    first, again, other = (loader(augmentation=shift_and_flip, seed=seed) for seed in (1, 1, 2))
    assert_same([*first, *first], [*again, *again])
    assert seen(loader(seed=1)) != seen(other)


@given(handed_out=st.integers(0, 3 * 6))
def test_a_resumed_run_is_identical_to_an_uninterrupted_one(handed_out):
    def training():
        return loader(augmentation=shift_and_flip, mixing=mix_numbered, seed=11)

    def three_epochs(batches):
        for _ in range(3):
            yield from batches

    uninterrupted = [*three_epochs(training())]
    stopped = training()
    run = three_epochs(stopped)
    before = [*islice(run, handed_out)]
    resumed = loader(augmentation=shift_and_flip, mixing=mix_numbered)
    resumed.load_state_dict(stopped.state_dict())
    after = [*islice(three_epochs(resumed), len(uninterrupted) - handed_out)]
    assert_same([*before, *after], uninterrupted)


def test_a_state_saved_between_epochs_resumes_with_the_next():
    training, resumed = loader(seed=3), loader(seed=3)
    seen(training)
    resumed.load_state_dict(training.state_dict())
    assert seen(resumed) == seen(training)


def test_an_epoch_broken_off_is_followed_by_a_new_whole_one():
    broken_off, whole = loader(), loader()
    next(iter(broken_off))
    seen(whole)
    assert labels(broken_off) == labels(whole)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more, not 0"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"rank": 2, "world_size": 2}, "rank must be from 0 to world_size - 1 = 1, not 2"),
        ({"batch_size": 12, "world_size": 2, "drop_last": True}, "fill no batch of 12 on each of 2 ranks"),
    ],
)
def test_a_number_out_of_range_is_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        loader(**options)
