"""Maps of whole movies: exact, in the order of time, each frame projected once, mistakes told at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_tarrow.engine import devices
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference import attribute, embed
from napari_tarrow.engine.inference.maps import attribution
from napari_tarrow.engine.inference.maps.attribution import MAP_KINDS
from napari_tarrow.engine.inference.projections.memory import used_memory
from napari_tarrow.engine.inference.projections.projector import ProjectionCache, Projector
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.models.tiles import split
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.alignment import Alignment

pytestmark = pytest.mark.usefixtures("one_thread")


def make_movie(shape: tuple[int, ...] = (6, 24, 30), subsample: int = 1, channels: int = 0, **options: Any):
    frames = np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)
    return PreparedMovie(
        open_movie(frames, channels=channels, **options), Preparation(subsample=subsample, channels=channels)
    )


def make_model(**options: Any) -> TimeArrowNet:
    """A network whose batch norms do something, as after a training."""
    torch.manual_seed(0)
    options = {"backbone": "unet_16fmaps", "n_features": 4, "symmetric": True, **options}
    model = TimeArrowNet(**options).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.bias, std=0.3)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    return model


@pytest.fixture
def movie() -> PreparedMovie:
    return make_movie(frame_numbers=[0, 1, 2, 4, 5, 6])  # one is missing


@pytest.fixture
def model() -> TimeArrowNet:
    return make_model()


def tiled(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    """Let projectors take windows of so many pixels."""
    monkeypatch.setattr(Projector, "windows", property(lambda self: split(self._tiles.whole, (side, side))))


def sequence(movie: PreparedMovie, frames: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.stack([movie.frame(index) for index in frames]))


def by_definition(model: TimeArrowNet, x: torch.Tensor, kind: str, c: int) -> np.ndarray:
    """The signed map of a sequence, with autograd and all at once; `gradcam`: of every frame."""
    projections = model(x[None], mode="projection").detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.classify(projections)[0, c], projections)
    with torch.no_grad():
        dense = model.evidence(projections)[0]
    others = [k for k in range(model.n_frames) if k != c]
    evidence = dense[c] - dense[others].mean(0)
    weighted = (gradient.sum((-2, -1), keepdim=True) * projections).sum(2)[0].detach()
    difference = torch.stack([(b - a).abs().mean(0) for a, b in pairwise(x)]).mean(0)
    maps = {
        "evidence": lambda: evidence,
        "change": lambda: weighted.sum(0),
        "gradcam": lambda: weighted,
        "contribution": lambda: (gradient * projections)[0].sum((0, 1)).detach() * weighted[0].numel(),
        "evidence_change": lambda: evidence * difference,
    }
    return maps[kind]().numpy()


def test_freed_memory_is_kept_while_maps_are_made_and_no_longer(model: TimeArrowNet, movie: PreparedMovie) -> None:
    maps = attribute(model, movie)
    next(maps)
    assert devices._keepers or devices._glibc() is None
    maps.close()  # type: ignore[attr-defined]
    assert not devices._keepers


def test_only_real_time_steps_are_compared(model: TimeArrowNet, movie: PreparedMovie) -> None:
    assert [m.frames for m in attribute(model, movie, 1)] == [(0, 1), (1, 2), (3, 4), (4, 5)]
    assert [m.frames for m in attribute(model, movie, 2)] == [(0, 2), (2, 3), (3, 5)]
    assert [m.frames for m in attribute(model, movie, 1, firsts=[1, 3])] == [(1, 2), (3, 4)]
    assert list(attribute(model, movie, 1, firsts=[5])) == []


def test_several_deltas_come_in_the_order_of_time(model: TimeArrowNet, movie: PreparedMovie) -> None:
    found = list(attribute(model, movie, (2, 1, 2)))

    assert [(m.frames, m.delta) for m in found][:3] == [((0, 1), 1), ((0, 2), 2), ((1, 2), 1)]
    assert [m.done for m in found] == list(range(1, 8))
    assert {m.total for m in found} == {7}
    alone = {(m.frames, m.delta): m.map for delta in (1, 2) for m in attribute(model, movie, delta)}
    for one in found:
        np.testing.assert_array_equal(one.map, alone[one.frames, one.delta])


@pytest.mark.parametrize("side", [None, 13])
@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "unet_16fmaps"},
        {"n_frames": 3},
        {"n_frames": 3, "symmetric": False},
        {"classification_head": "linear"},
        {"classification_head": "difference"},
        {"classification_head": "unet", "symmetric": False},
        {"projection_head": "three_3x3convs", "n_input_channels": 2},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_map_is_what_its_formula_says(
    options: dict[str, Any], side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(**{"backbone": "id", "projection_head": "linear", **options})
    channels = model.config["n_input_channels"]
    movie = make_movie((4, *([channels] if channels > 1 else []), 24, 30), channels=channels if channels > 1 else 0)
    if side:
        tiled(monkeypatch, side)
    for kind, c, all_frames in [*zip(MAP_KINDS, (0, 1, 1, 0, 1), [False] * 5, strict=True), ("gradcam", 0, True)]:
        for signed in (True, False):
            (one,) = attribute(model, movie, 1, kind=kind, class_id=c, signed=signed, all_frames=all_frames, firsts=[1])
            expected = by_definition(model, sequence(movie, one.frames), kind, c)
            if kind == "gradcam":
                expected = expected if signed else np.abs(expected)
                expected = expected.sum(0) if all_frames else expected[0]
            elif not signed:
                expected = np.maximum(expected, 0) if kind.startswith("evidence") else np.abs(expected)
            np.testing.assert_allclose(one.map, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max(), err_msg=kind)
            assert one.map.dtype == np.float32


KINDS = ["class0", "class0_all", "class1", "class1_all"]
SMALL = ["unet_16fmaps", "unet_16fmaps_T3_C2", "unet_16fmaps_plain", "unet_16fmaps_three"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_gradcam_of_a_movie_agrees_with_the_reference(golden: Any, name: str, kind: str) -> None:
    check(golden, f"{name}/{'64x72' if name == 'unet_16fmaps' else '61x72'}", kind)


@pytest.mark.parametrize(("kind", "side"), [("class0", None), ("class1_all", 64), ("class0", 96), ("class0_all", 200)])
def test_gradcam_agrees_with_the_reference_in_tiles_too(
    golden: Any, kind: str, side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if side:
        tiled(monkeypatch, side)
    check(golden, "unet_16fmaps/200x227", kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [None, 64, 96, 200])
def test_gradcam_of_the_default_network_agrees(
    golden: Any, kind: str, side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if side:
        tiled(monkeypatch, side)
    check(golden, "unet/200x227", kind)


def check(golden: Any, case: str, kind: str) -> None:
    name, _, size = case.partition("/")
    height, width = map(int, size.split("x"))
    kwargs = golden.networks[name]
    shape = (kwargs["n_frames"], kwargs["n_input_channels"], height, width)
    movie = as_it_is(golden.image(f"cam{name}({height}, {width})", shape).numpy())
    (one,) = attribute(golden.network(name), movie, kind="gradcam", class_id=int(kind[5]), all_frames="all" in kind)
    golden.compare(one.map, f"gradcam/{case}/{kind}", rtol=1e-4 if golden.same_arithmetic else 1e-3)


def as_it_is(frames: np.ndarray) -> PreparedMovie:
    """A movie (T, C, H, W) whose frames are prepared already."""
    channels = frames.shape[1]
    options = {"channels": channels if channels > 1 else 0}
    stack = frames if channels > 1 else frames[:, 0]
    movie = PreparedMovie(open_movie(stack, axes="TCYX" if channels > 1 else "TYX", **options), Preparation(**options))
    movie.frame = lambda index: frames[index]  # type: ignore
    return movie


def test_evidence_adds_up_to_the_difference_of_the_logits() -> None:
    for n_frames, c in ((2, 0), (2, 1), (3, 1)):
        model = make_model(n_frames=n_frames, backbone="id", projection_head="linear")
        movie = make_movie((4, 40, 33))
        for one in attribute(model, movie, 1, signed=True, class_id=c):
            with torch.no_grad():
                logits = model(sequence(movie, one.frames)[None])[0].numpy()
            others = np.delete(logits, c).mean()
            assert one.map.mean() == pytest.approx(logits[c] - others, abs=1e-5)


def test_equal_frames_have_no_evidence_and_the_reverse_order_has_the_opposite() -> None:
    frames = np.random.default_rng(0).integers(0, 1000, (3, 41, 37)).astype(np.uint16)
    frames[1] = frames[0]
    model, movie = make_model(), PreparedMovie(open_movie(frames), Preparation("movie"))
    still, moving = (one.map for one in attribute(model, movie, 1, signed=True))
    assert not still.any()
    assert moving.any()
    _, backwards = (one.map for one in attribute(model, movie, 1, signed=True, class_id=1))
    np.testing.assert_array_equal(backwards, -moving)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(17, 60),
    st.integers(17, 60),
    st.integers(9, 70),
    st.sampled_from(["unet_16fmaps", "lnet", "resnet32", "simple", "id"]),
    st.sampled_from(MAP_KINDS),
)
def test_windows_do_not_show(height: int, width: int, side: int, backbone: str, kind: Any) -> None:
    model = make_model(backbone=backbone)
    movie = make_movie((2, height, width))
    (whole,) = attribute(model, movie, 1, kind=kind, signed=True)
    with pytest.MonkeyPatch.context() as patch:
        tiled(patch, side)
        (parts,) = attribute(model, movie, 1, kind=kind, signed=True)
    assert np.allclose(parts.map, whole.map, rtol=1e-4, atol=1e-4 * np.abs(whole.map).max())


def test_every_frame_is_projected_once(
    model: TimeArrowNet, movie: PreparedMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    blocks = Projector.blocks
    monkeypatch.setattr(Projector, "blocks", lambda self, index: calls.append(index) or blocks(self, index))
    tiled(monkeypatch, 11)

    list(attribute(model, movie, (1, 2, 3), kind="change"))

    assert calls == [0, 1, 2, 3, 4, 5]


OUTWARDS = [9, 10, 11, 12, 13, 5, 6, 7, 8, 14, 15, 16, 17, 18, 19, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("deltas", [(1,), (4,), (1, 3), (11,)])
@pytest.mark.parametrize("firsts", [OUTWARDS, OUTWARDS[::-1], [0, 8, 16], [3, 17, 3]])
def test_in_any_order_every_frame_is_projected_once_and_no_more_are_held_than_said(
    deltas: tuple[int, ...], firsts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    projected: list[int] = []
    said: list[int] = []
    held: list[int] = []

    class Watched(ProjectionCache):
        def __init__(self, projector: Projector, frames_at_once: int) -> None:
            super().__init__(projector, frames_at_once)
            said.append(frames_at_once)

        def block(self, index: int, window: Any) -> torch.Tensor:
            if index not in self._known:
                projected.append(index)
            block = super().block(index, window)
            held.append(len(self._known))
            return block

    monkeypatch.setattr(attribution, "ProjectionCache", Watched)
    model, movie = make_model(backbone="id", projection_head="linear"), make_movie((20, 17, 18))
    expected = {(one.frames, one.delta): one.map for one in attribute(model, movie, deltas)}
    for one in (projected, said, held):
        one.clear()

    found = list(attribute(model, movie, deltas, firsts=firsts))

    wanted = dict.fromkeys((first, delta) for first in firsts for delta in deltas if first + delta < 20)
    if len(set(firsts)) == len(firsts):
        assert [(one.frames[0], one.delta) for one in found] == list(wanted)
    assert {(one.frames[0], one.delta) for one in found} == set(wanted)
    assert sorted(projected) == sorted({index for one in found for index in one.frames})
    assert said == [max(held)]
    for one in found:
        np.testing.assert_array_equal(one.map, expected[one.frames, one.delta])


def test_far_apart_sequences_hold_their_own_frames_only(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[int] = []
    make = ProjectionCache
    monkeypatch.setattr(attribution, "ProjectionCache", lambda one, frames: said.append(frames) or make(one, frames))
    model, movie = make_model(backbone="id", projection_head="linear"), make_movie((30, 17, 18))

    list(attribute(model, movie, 9, firsts=[0, 5, 10]))
    list(attribute(model, movie, 9))

    assert said == [2, 10]


@pytest.mark.parametrize("shape", [(48, 60), (50, 63)])
def test_maps_lie_on_the_movies_pixels(shape: tuple[int, int]) -> None:
    """Half the resolution twice: the network's map is enlarged corners on corners, and blocks centre on centre."""
    model = make_model(backbone="lnet")
    movie = make_movie((2, *shape), subsample=2)
    (one,) = attribute(model, movie, 1, signed=True)
    dense = by_definition(model, sequence(movie, (0, 1)), "evidence", 0)
    assert dense.shape == tuple(-(-side // 2 // 2) for side in shape)

    assert one.map.shape == shape
    prepared = [np.linspace(0, n - 1, side // 2) for n, side in zip(dense.shape, shape, strict=True)]
    fine = [np.clip((np.arange(side) + 0.5) / 2 - 0.5, 0, side // 2 - 1) for side in shape]
    expected = bilinear(bilinear(dense, *prepared), *fine)
    np.testing.assert_allclose(one.map, expected, atol=1e-5 * np.abs(expected).max())


def bilinear(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    rows = np.array([[np.interp(v, np.arange(len(column)), column) for column in image.T] for v in y])
    return np.array([np.interp(x, np.arange(image.shape[1]), row) for row in rows])


def test_the_model_and_its_gradients_are_left_alone(model: TimeArrowNet, movie: PreparedMovie) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for kind in MAP_KINDS:
        list(attribute(model, movie, 1, kind=kind, firsts=[0]))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("head", ["minimal", "unet"])
def test_a_caller_s_default_type_changes_nothing(head: str, movie: PreparedMovie) -> None:
    model = make_model(classification_head=head, symmetric=False)

    def made() -> list[np.ndarray]:
        maps = [next(attribute(model, movie, kind=kind)).map for kind in MAP_KINDS]
        return [*maps, next(embed(model, movie)).embedding]

    expected = made()
    torch.set_default_dtype(torch.float64)
    try:
        assert {one.dtype for one in TimeArrowNet("unet_16fmaps").parameters()} == {torch.float32}
        for one, other in zip(made(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "evidenc"}, "kind is 'evidenc'. Did you mean evidence? Give one of: evidence, change"),
        ({"class_id": 2}, "class_id is 2, but the network has 2 classes"),
        ({"class_id": -1}, "class_id is -1"),
        ({"delta": 7}, "no 2 frames that are 7 apart (delta 7): its 6 frames are numbered 0 to 6"),
        ({"delta": (1, 9)}, "delta 9"),
        ({"delta": 0}, "delta 0"),
        ({"delta": []}, "delta is an empty list"),
        ({"delta": 1.5}, "delta is 1.5. Give a whole number."),
        ({"delta": "1"}, "delta is '1'"),
        ({"delta": True}, "delta is True"),
        ({"class_id": 0.5}, "class_id is 0.5"),
        ({"firsts": [0, 6]}, "firsts holds 6, but the movie has 6 frames: give indices 0 to 5"),
        ({"firsts": [-1]}, "firsts holds -1"),
        (
            {"firsts": np.ones(6, bool)},
            "firsts holds True or False. Give indices, such as numpy.flatnonzero",
        ),
        ({"firsts": [0.0]}, "One of firsts is 0.0. Give whole numbers."),
        ({"firsts": 3}, "firsts is 3. Give a list of indices"),
    ],
)
def test_mistakes_are_told_before_the_work_starts(
    model: TimeArrowNet, movie: PreparedMovie, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        attribute(model, movie, **options)
    assert said in str(error.value)


def test_numbers_may_be_of_any_type_and_come_one_by_one(model: TimeArrowNet, movie: PreparedMovie) -> None:
    expected = [(0, 1), (0, 2), (1, 2)]
    for delta in (np.array([1, 2]), range(1, 3), iter([np.int64(1), 2])):
        assert [m.frames for m in attribute(model, movie, delta, firsts=iter(np.array([0, 1, 0])))] == expected
    assert next(attribute(model, movie, np.int64(2), class_id=np.int64(1))).frames == (0, 2)  # type: ignore[arg-type]


def test_a_movie_with_other_channels_is_refused(movie: PreparedMovie) -> None:
    with pytest.raises(UserError, match="has 1 channel, but the network takes 3"):
        attribute(make_model(n_input_channels=3), movie)


@pytest.mark.parametrize("kind", ["evidence", "change"])
def test_a_head_that_needs_whole_frames_is_refused_where_they_do_not_fit(kind: Any) -> None:
    movie = make_movie((2, 500, 500))
    memory = used_memory(torch.device("cpu")) + 500_000_000
    options = {"backbone": "id", "projection_head": "linear"}
    (one,) = attribute(make_model(**options), movie, kind=kind, memory=memory)
    assert one.map.any()
    whole = make_model(**options, classification_head="unet", symmetric=False)
    with pytest.raises(UserError, match=r"does not suffice for frames of 500 x 500 pixels: at least \d"):
        list(attribute(whole, movie, kind=kind, memory=memory))


@pytest.mark.parametrize("kind", MAP_KINDS)
def test_aligned_maps_are_those_of_a_movie_of_aligned_frames(model, kind):
    movie = make_movie((4, 40, 48))
    alignment = Alignment(movie, 4.0)
    for one in attribute(model, movie, (1, 2), kind=kind, signed=True, alignment=alignment):
        first, other = one.frames
        pair = np.concatenate([movie.frame(first), alignment.onto(first, other)])
        by_hand = PreparedMovie(open_movie(pair), Preparation("movie"))
        by_hand.normalization = lambda indices: np.tile([[[0.0], [1.0]]], (len(indices), 1, 1))  # prepared already
        (expected,) = attribute(model, by_hand, kind=kind, signed=True)
        np.testing.assert_allclose(one.map, expected.map, rtol=1e-4, atol=1e-5 * np.abs(expected.map).max())


def test_aligned_maps_are_the_same_in_tiles(monkeypatch, model):
    movie = make_movie((4, 40, 48))
    whole = [one.map for one in attribute(model, movie, alignment=Alignment(movie, 4.0))]
    with pytest.raises(ValueError, match="of another movie"):
        attribute(model, movie, alignment=Alignment(make_movie((4, 40, 48)), 4.0))
    tiled(monkeypatch, 16)
    for expected, one in zip(whole, attribute(model, movie, alignment=Alignment(movie, 4.0)), strict=True):
        np.testing.assert_allclose(one.map, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_moves_as_a_whole_has_less_evidence_once_aligned(model):
    frames = np.random.default_rng(0).normal(size=(90, 90))
    blurred = 1000 + 500 * gaussian_filter(frames, 3)
    movie = PreparedMovie(
        open_movie(np.stack([np.roll(blurred, 8 * index, 0) for index in range(2)])), Preparation("movie")
    )
    inner = slice(20, -20), slice(20, -20)
    (plain,), (aligned,) = (
        attribute(model, movie, signed=True, alignment=one) for one in (None, Alignment(movie, 5.0))
    )
    assert np.abs(aligned.map[inner]).mean() < 0.2 * np.abs(plain.map[inner]).mean()
