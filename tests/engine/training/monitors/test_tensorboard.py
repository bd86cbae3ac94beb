from __future__ import annotations

import errno
import io
import sys

import numpy as np
import pytest
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.training.monitors import TensorBoard
from napari_tarrow.engine.training.updates import PatchesShown

KEYS = {"loss", "loss_decorr", "accuracy", "accuracy_change", "pred1_ratio", "lr", "steps"}


def write(folder, updates, history=()):
    monitor = TensorBoard(folder, history)
    for update in updates:
        monitor.take(update)
    monitor.close()


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def scalars(folder):
    events = read(folder)
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def pictures(folder, tag):
    """Step and picture of every image under a tag."""
    events = read(folder).Images(tag)
    return [(e.step, np.asarray(Image.open(io.BytesIO(e.encoded_image_string)))) for e in events]


def test_every_number_of_every_epoch_is_there(tmp_path, updates, epochs):
    write(tmp_path, updates)

    for part in ("train", "val"):
        found = scalars(tmp_path / part)
        assert set(found) == KEYS
        for key, values in found.items():
            assert [step for step, _ in values] == [1, 2, 3, 4]
            assert [v for _, v in values] == pytest.approx([getattr(getattr(e, part), key) for e in epochs], rel=1e-6)


def test_an_epoch_can_be_read_as_soon_as_it_ended(tmp_path, epochs):
    monitor = TensorBoard(tmp_path)
    for n, epoch in enumerate(epochs[:2], 1):
        monitor.take(epoch)
        assert len(scalars(tmp_path / "train")["loss"]) == n
    monitor.close()


def test_example_patches_are_a_grid_per_frame_of_the_sequence(tmp_path, updates):
    write(tmp_path, updates)

    train = pictures(tmp_path / "train", "example_images/train")
    val = pictures(tmp_path / "val", "example_images/val")

    assert [step for step, _ in train] == [step for step, _ in val] == [0, 1]
    assert all(image.shape == (64, 64, 3) for _, image in train)  # 64 of the 70 patches
    assert all(image.shape == (8, 40, 3) for _, image in val)
    assert all(image.min() == 0 and image.max() == 255 for _, image in train)
    second = train[1][1][..., 0].astype(float)
    assert second[:4].mean() > second[4:8].mean() + 50  # the brighter half of the second frame


def test_maps_are_pictures_per_movie_and_place_at_their_epoch(tmp_path, updates):
    write(tmp_path, updates)

    assert set(read(tmp_path / "cams").Tags()["images"]) == {"dataset_0/0", "dataset_0/1"}
    ((step, image),) = pictures(tmp_path / "cams", "dataset_0/1")
    assert step == 2
    assert image.shape[0] > 400
    colourful = np.ptp(image.astype(int), axis=-1) > 60
    assert colourful.sum() > 200  # magma: the only colour on the page


def test_features_are_one_picture_each(tmp_path, updates):
    write(tmp_path, updates)

    found = pictures(tmp_path / "features", "features_0/0")
    assert [step for step, _ in found] == [0, 1, 2]
    assert all(image.shape == (16, 16, 3) and image.std() > 20 for _, image in found)


@pytest.mark.parametrize("reached", [1, 2, 3])
def test_a_resumed_run_shows_what_an_uninterrupted_one_shows(tmp_path, updates, epochs, patches, reached):
    write(tmp_path / "whole", updates)
    # Killed right after a checkpoint: the monitors never heard of that epoch.
    cut = updates.index(epochs[reached - 1])
    killed = TensorBoard(tmp_path / "killed")
    for update in updates[:cut]:
        killed.take(update)
    write(tmp_path / "killed", [*patches, *updates[cut + 1 :]], epochs[:reached])
    killed.close()

    for part in ("train", "val"):
        assert scalars(tmp_path / "killed" / part) == scalars(tmp_path / "whole" / part)
        tag = f"example_images/{part}"
        for (step, image), (other, expected) in zip(
            pictures(tmp_path / "killed" / part, tag), pictures(tmp_path / "whole" / part, tag), strict=True
        ):
            assert step == other
            np.testing.assert_array_equal(image, expected)


def test_epochs_written_twice_are_shown_once(tmp_path, updates, epochs):
    write(tmp_path / "whole", updates)
    write(tmp_path / "again", updates)
    write(tmp_path / "again", updates[updates.index(epochs[2]) :], epochs[:2])

    for part in ("train", "val"):
        assert scalars(tmp_path / "again" / part) == scalars(tmp_path / "whole" / part)
    assert [step for step, _ in pictures(tmp_path / "again" / "cams", "dataset_0/0")] == [2]
    assert [step for step, _ in pictures(tmp_path / "again" / "features", "features_0/0")] == [0, 1, 2]


def test_a_run_killed_before_its_first_checkpoint_starts_afresh(tmp_path, updates):
    write(tmp_path / "whole", updates)
    write(tmp_path / "again", updates[:4])
    write(tmp_path / "again", updates)

    tag = "example_images/train"
    assert [step for step, _ in pictures(tmp_path / "again" / "train", tag)] == [0, 1]
    assert scalars(tmp_path / "again" / "train") == scalars(tmp_path / "whole" / "train")


def test_a_file_torn_by_a_kill_hides_nothing_that_comes_later(tmp_path, updates, epochs):
    write(tmp_path, epochs[:2])
    (torn,) = (tmp_path / "train").iterdir()
    torn.write_bytes(torn.read_bytes()[:-5])
    write(tmp_path, epochs[2:], epochs[:2])

    assert [step for step, _ in scalars(tmp_path / "train")["loss"]] == [1, 2, 3, 4]


def test_several_channels_and_frames_are_shown(tmp_path):
    patches = np.random.default_rng(0).random((3, 4, 2, 8, 8)).astype(np.float32)
    write(tmp_path, [PatchesShown("val", patches)])

    assert [step for step, _ in pictures(tmp_path / "val", "example_images/val")] == [0, 1, 2, 3]


def test_a_missing_package_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)

    with pytest.raises(UserError, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, epochs):
    (tmp_path / "tb").write_text("in the way")
    monitor = TensorBoard(tmp_path / "tb")

    with pytest.raises(UserError, match="tb cannot be written"):
        monitor.take(epochs[0])
    monitor.close()


def test_a_full_disk_is_told_once(tmp_path, epochs, monkeypatch):
    class Full:
        def fail(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

        write = flush = close = fail

    monitor = TensorBoard(tmp_path)
    monitor.take(epochs[0])
    monitor._files["val"].close()
    monkeypatch.setattr(monitor._files["val"], "_file", Full())
    monkeypatch.setattr(monitor._files["val"]._records, "_writer", Full())

    with pytest.raises(UserError, match=r"No space left on device.*Free some space"):
        monitor.take(epochs[1])
    monitor.close()
