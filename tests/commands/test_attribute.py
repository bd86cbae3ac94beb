"""The attribution command writes maps, events and pictures together or not at all, and refuses what cannot be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
import yaml
import zarr
from PIL import Image

from napari_tarrow.commands import attribute as command
from napari_tarrow.commands.attribute import main
from napari_tarrow.engine.inference import attribute, find_events
from napari_tarrow.engine.inference.events.table import read_events, write_events
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import PreparedMovie, open_movie
from napari_tarrow.engine.movies.alignment import alignment_for
from napari_tarrow.engine.trained import read_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (7, 40, 52)
RECORD = {
    "config": {"input_train": ["elsewhere.tif"], "delta": [2, 1]},
    "preparation": {"normalize": "movie", "binarize": False, "subsample": 1, "channels": 0},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a model and a movie with blobs that divide lie; the working folder."""
    torch.manual_seed(0)
    write_model(tmp_path / "model", TimeArrowNet("id", "linear", n_features=4, symmetric=True))
    (tmp_path / "model" / "run.yaml").write_text(yaml.safe_dump(RECORD))
    write(tmp_path / "movie.tif", frames())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames() -> np.ndarray:
    y, x = np.mgrid[: SIZE[1], : SIZE[2]]
    movie = np.random.default_rng(0).normal(100, 3, SIZE)
    for t in range(SIZE[0]):
        apart = 7 if t >= 3 else 0
        for side in (-apart, apart):
            movie[t] += 400 * np.exp(-((y - 20) ** 2 + (x - 25 - side) ** 2) / 18)
    return movie.astype(np.uint16)


def write(path: Path, values: np.ndarray, axes: str = "TYX", **options: Any) -> None:
    tifffile.imwrite(path, values, photometric="minisblack", metadata={"axes": axes, **options}, ome=bool(options))


def run(*words: str) -> int:
    return main(["model", "movie.tif", "-o", "out", "--device", "cpu", *(w for word in words for w in word.split())])


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command and return its one line of error."""
    capsys.readouterr()
    assert main([w for word in words for w in word.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("napari-tarrow-attribute: error: ")
    assert error.count("\n") == 1
    assert error.rstrip().endswith((".", "?", "]"))
    return error


def maps(delta: int = 1, **options: Any) -> dict[int, np.ndarray]:
    trained = read_trained("model")
    movie = PreparedMovie(open_movie("movie.tif"), trained.preparation)
    return {one.frames[0]: one.map for one in attribute(trained.network, movie, delta, **options)}


def written() -> list[str]:
    return sorted(path.name for path in Path("out").iterdir())


def test_maps_events_and_a_page_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0

    assert written() == ["attribution.yaml", "events.csv", "events.png", "maps_delta1.tif"]
    values = tifffile.imread("out/maps_delta1.tif")
    assert values.shape == SIZE
    assert values.dtype == np.float32
    expected = maps()
    assert sorted(expected) == [0, 1, 2, 3, 4, 5]
    for first, map in expected.items():
        np.testing.assert_array_equal(values[first], map)
    assert not values[6].any()
    table = read_events("out/events.csv")
    assert table.events
    assert [e.score for e in table.events] == sorted((e.score for e in table.events), reverse=True)
    assert table.threshold is not None
    with Image.open("out/events.png") as picture:
        assert picture.size[0] == 1500
    record = yaml.safe_load(Path("out/attribution.yaml").read_text())
    assert record["settings"]["delta"] == [1]
    assert record["settings"]["map"] == "evidence"
    said = capsys.readouterr().out
    assert "Maps (evidence) of 7 frames, delta 1: 40 x 52 pixels, up to 58.2 kB." in said
    assert said.splitlines()[-3:] == [
        f"Maps:          {Path('out/maps_delta1.tif')}",
        said.splitlines()[-2],
        f"Contact sheet: {Path('out/events.png')}",
    ]
    assert "chosen without labels" in said.splitlines()[-2]


def test_the_radius_of_objects_is_estimated_and_said_or_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    estimated = yaml.safe_load(Path("out/attribution.yaml").read_text())["radius"]
    assert f"Objects have a radius of about {estimated:.1f} pixels, estimated from" in capsys.readouterr().out
    few = len(read_events("out/events.csv").events)
    assert run("--overwrite --radius 1.5") == 0
    assert "Objects have" not in capsys.readouterr().out
    assert yaml.safe_load(Path("out/attribution.yaml").read_text())["radius"] == 1.5
    assert len(read_events("out/events.csv").events) > few


def test_several_deltas_as_ome_zarr_with_the_movies_scale(folder: Path) -> None:
    write(folder / "movie.tif", frames(), PhysicalSizeX=0.5, PhysicalSizeXUnit="µm", PhysicalSizeY=0.5,
          PhysicalSizeYUnit="µm", TimeIncrement=60, TimeIncrementUnit="s")  # fmt: skip

    assert run("--delta 3 1 --format ome-zarr --map change --signed --class_id 1") == 0

    assert written() == ["attribution.yaml", "events.csv", "events.png", "maps_delta1.ome.zarr", "maps_delta3.ome.zarr"]
    for delta in (1, 3):
        values = zarr.open_array(f"out/maps_delta{delta}.ome.zarr/0", mode="r")[:]
        expected = maps(delta, kind="change", signed=True, class_id=1)
        assert values.min() < 0
        for first, map in expected.items():
            np.testing.assert_array_equal(values[first, 0], map)
    multiscales = zarr.open_group("out/maps_delta1.ome.zarr", mode="r").attrs["ome"]["multiscales"]
    assert multiscales[0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [60.0, 1.0, 0.5, 0.5]
    assert read_events("out/events.csv").events[0].score > 0


@pytest.mark.parametrize("signed", ["", "--signed"])
def test_maps_are_normalised_over_the_whole_movie(folder: Path, signed: str) -> None:
    assert run("--normalize_maps --format tif", signed) == 0

    values = tifffile.imread("out/maps_delta1.tif")[:-1]
    raw = np.stack(list(maps(signed=bool(signed)).values()))
    if signed:
        expected = raw / np.percentile(np.abs(raw), 99.99)
    else:
        low, high = np.percentile(raw, (0.1, 99.99))
        expected = (raw - low) / (high - low)
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_events_do_not_depend_on_how_maps_are_written(folder: Path) -> None:
    tables = []
    for words in ("", "--signed", "--normalize_maps --format ome-zarr"):
        assert run(words, "--overwrite") == 0
        tables.append(Path("out/events.csv").read_text())
    assert tables[0] == tables[1] == tables[2]


def test_frames_that_are_missing_leave_their_map_empty(folder: Path) -> None:
    (folder / "numbers.txt").write_text("0 1 2 4 5 6 7".replace(" ", "\n"))
    assert run("--frame_numbers numbers.txt") == 0
    values = tifffile.imread("out/maps_delta1.tif")
    assert [bool(map.any()) for map in values] == [True, True, False, True, True, True, False]


def test_the_overlay_shows_every_frame(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--overlay gif --threshold 0") == 0
    with Image.open("out/overlay.gif") as overlay:
        assert overlay.n_frames == SIZE[0]
        pictures = []
        for index in range(SIZE[0]):
            overlay.seek(index)
            pictures.append(np.asarray(overlay.convert("RGB")).astype(int))
    assert all(np.abs(a - b).max() > 50 for a, b in pairwise(pictures))
    assert capsys.readouterr().out.splitlines()[-1] == f"Overlay movie: {Path('out/overlay.gif')}"


def test_the_threshold_and_the_number_of_pictures_can_be_given(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    events = read_events("out/events.csv").events
    assert len(events) > 1
    middle = (events[0].score + events[1].score) / 2
    several = pictured()

    assert run(f"--overwrite --count 1 --threshold {middle}") == 0

    assert read_events("out/events.csv").above == (True,) + (False,) * (len(events) - 1)
    assert f"1 reach the threshold {middle:.3g}, given" in capsys.readouterr().out
    assert pictured() < 0.7 * several


def pictured() -> int:
    """Count the dark pixels of the page."""
    with Image.open("out/events.png") as page:
        return int((np.asarray(page.convert("L")) < 100).sum())


def test_what_is_there_is_replaced_only_when_asked_and_ticks_survive(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--delta 2 --overlay gif") == 0
    events = read_events("out/events.csv").events
    write_events("out/events.csv", events, true=[True] + [None] * (len(events) - 1))
    (folder / "out" / "notes.txt").write_text("mine")
    before = {path: (folder / "out" / path).read_bytes() for path in written()}

    error = refused(capsys, "model movie.tif -o out")
    assert "maps_delta2.tif is there already" in error
    assert "--overwrite" in error
    assert {path: (folder / "out" / path).read_bytes() for path in written()} == before

    assert run("--delta 2 --overwrite --format ome-zarr") == 0
    assert written() == ["attribution.yaml", "events.csv", "events.png", "maps_delta2.ome.zarr", "notes.txt"]
    assert read_events("out/events.csv").true[0] is True
    assert "Note: ticks" not in capsys.readouterr().out


@pytest.mark.parametrize("stuck", ["out/maps_delta2.tif", "out/.attribution.part/maps_delta1.tif"])
def test_where_outputs_cannot_be_moved_both_old_and_new_are_kept(
    stuck: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--delta 2") == 0
    before = {path: (folder / "out" / path).read_bytes() for path in written()}
    replace = Path.replace

    def open_elsewhere(path: Path, place: Path) -> Path:
        if path == Path(stuck):
            raise PermissionError(13, "Permission denied")
        return replace(path, place)

    monkeypatch.setattr(Path, "replace", open_elsewhere)
    assert "what was made is kept in out/not_placed_1." in refused(capsys, "model movie.tif -o out --overwrite")
    assert {path: (folder / "out" / path).read_bytes() for path in before} == before
    assert written() == sorted([*before, "not_placed_1"])
    kept = sorted(path.name for path in Path("out/not_placed_1").iterdir())
    assert kept == ["attribution.yaml", "events.csv", "events.png", "maps_delta1.tif"]


def test_where_nothing_can_be_moved_any_more_what_was_made_stays_and_the_table_too(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--delta 2") == 0
    table, replace, moved = Path("out/events.csv").read_bytes(), Path.replace, []

    def gone(path: Path, place: Path) -> Path:
        if path.parent.name == "out" or moved:  # outputs; no longer once the first is moved
            moved.append(path)
        if len(moved) > 1:
            raise OSError(5, "Input/output error")
        return replace(path, place)

    monkeypatch.setattr(Path, "replace", gone)
    assert "what was made is kept in out/.attribution.part." in refused(capsys, "model movie.tif -o out --overwrite")
    assert Path("out/events.csv").read_bytes() == table
    assert Path("out/.attribution.part/maps_delta1.tif").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="names there are bytes")
def test_a_movie_whose_name_no_font_can_draw(folder: Path) -> None:
    name = os.fsdecode(b"Z\xe4hl.tif")
    (folder / "movie.tif").rename(folder / name)
    assert main(["model", name, "-o", "out", "--device", "cpu"]) == 0
    assert "events.png" in written()


def test_ticks_of_events_that_other_settings_do_not_find_are_kept_beside(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--delta 2 --radius 1.5") == 0
    events = read_events("out/events.csv").events
    write_events("out/events.csv", events, true=[True, False] + [None] * (len(events) - 2))
    before = Path("out/events.csv").read_text()
    capsys.readouterr()

    assert run("--delta 1 --overwrite") == 0

    assert "Note: ticks or remarks of yours belong to 2 events that these" in capsys.readouterr().out
    assert Path("out/events_before_1.csv").read_text() == before
    assert set(read_events("out/events.csv").true) == {None}


def test_a_movie_without_any_change_has_no_events(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = np.repeat(frames()[:1], 4, axis=0)
    write(folder / "movie.tif", still)
    assert run("--overlay gif") == 0  # two equal frames have no direction: evidence is 0 everywhere
    assert read_events("out/events.csv").events == ()
    assert not tifffile.imread("out/maps_delta1.tif").any()


def channelled(folder: Path) -> None:
    write(folder / "movie.tif", np.stack([frames()] * 2, axis=1), "TCYX")


def cut(folder: Path) -> None:
    whole = (folder / "movie.tif").read_bytes()
    (folder / "movie.tif").write_bytes(whole[: len(whole) // 2])


def with_nan(folder: Path) -> None:
    values = frames().astype(np.float32)
    values[4, 3, 3] = np.nan
    write(folder / "movie.tif", values)


def a_file_as_output(folder: Path) -> None:
    (folder / "out").write_text("no folder")


def damaged_table(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "events.csv").write_text("frame,y\n1,2\n")


NOTHING: Callable[[Path], object] = lambda folder: None  # noqa: E731


@pytest.mark.parametrize(
    ("words", "spoil", "said"),
    [
        ("model movie.tif", NOTHING, "-o FOLDER"),
        ("model", NOTHING, "MOVIE"),
        ("model movie.tif more -o out", NOTHING, "more"),
        ("nowhere movie.tif -o out", NOTHING, "nowhere is no folder"),
        ("model nowhere.tif -o out", NOTHING, "nowhere.tif"),
        ("model movie.tif -o out --map evidenc", NOTHING, "Did you mean evidence?"),
        ("model movie.tif -o out --kind evidence", NOTHING, "Unknown option --kind"),
        ("model movie.tif -o out --class_id 2", NOTHING, "class_id is 2, but the network has 2 classes"),
        ("model movie.tif -o out --class_id -1", NOTHING, "at least 0"),
        ("model movie.tif -o out --delta 7", NOTHING, "no 2 frames that are 7 apart (delta 7)"),
        ("model movie.tif -o out --delta 1 0", NOTHING, "whole numbers from 1 on"),
        ("model movie.tif -o out --delta x", NOTHING, "whole number"),
        ("model movie.tif -o out --count 0", NOTHING, "at least 1"),
        ("model movie.tif -o out --format hdf5", NOTHING, "'tif' or 'ome-zarr'"),
        ("model movie.tif -o out --overlay avi", NOTHING, "'none', 'gif' or 'mp4'"),
        ("model movie.tif -o out --overlay mp4", NOTHING, "imageio-ffmpeg"),
        ("model movie.tif -o out --threshold high", NOTHING, "a number"),
        ("model movie.tif -o out --radius 0", NOTHING, "radius"),
        ("model movie.tif -o out --radius inf", NOTHING, "radius"),
        ("model movie.tif -o out --radius 21", NOTHING, "frames are 40 x 52: give 0.5 to 20"),
        ("model movie.tif -o out --memory much", NOTHING, "no amount of memory"),
        ("model movie.tif -o out --channels 2", NOTHING, "takes 1 channel"),
        ("model movie.tif -o out --device cuda:77", NOTHING, "cuda:77 is not there"),
        ("model movie.tif -o out --n_images 1", NOTHING, "at least 2"),
        ("model movie.tif -o out", channelled, "channel"),
        ("model movie.tif -o out", cut, "movie.tif"),
        ("model movie.tif -o out", with_nan, "Frame 4"),
        ("model movie.tif -o out", a_file_as_output, "out is a file, not a folder"),
        ("model movie.tif -o model", NOTHING, "model is the model itself"),
        ("model movie.tif -o model/found", NOTHING, "lies inside the model"),
        ("model movie.tif --output=", NOTHING, "--output is empty"),
        ("model movie.tif -o movie.tif", NOTHING, "movie.tif is a file"),
        ("model movie.tif -o out --overwrite", damaged_table, "events.csv"),
        (f"model movie.tif -o {'o' * 300}", NOTHING, "no path that can be used"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_nothing_is_written(
    words: str,
    spoil: Callable[[Path], object],
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # as if there were no encoder
    spoil(folder)
    before = sorted(folder.rglob("*"))
    assert said in refused(capsys, words)
    assert sorted(folder.rglob("*")) == before


def test_the_movie_is_never_replaced_by_its_maps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out").mkdir()
    shutil.copy("movie.tif", "out/maps_delta1.tif")
    assert "would be replaced" in refused(capsys, "model out/maps_delta1.tif -o out --overwrite")
    (folder / "frames").mkdir()
    for index, frame in enumerate(frames()):
        tifffile.imwrite(folder / "frames" / f"t{index}.tif", frame)
    assert "frames is the movie itself" in refused(capsys, "model frames -o frames")
    assert "lies inside the movie" in refused(capsys, "model frames -o frames/out")
    assert "holds the frames of a movie" in refused(capsys, "model movie.tif -o frames")
    assert len(list((folder / "frames").iterdir())) == len(frames())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert "locked" in refused(capsys, "model movie.tif -o locked/out")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a small tmpfs")
@pytest.mark.parametrize("kilobytes", [20, 120, 300])
def test_a_full_disk(kilobytes: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", "disk"]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    try:
        error = refused(capsys, "model movie.tif -o disk/out --overlay gif")
        assert "disk is full" in error or "free" in error
        assert list(Path("disk").iterdir()) == []
    finally:
        subprocess.run(["umount", "disk"], check=True)


@pytest.mark.parametrize("during", ["Attribution", "Overlay movie"])
def test_ctrl_c_stops_and_leaves_nothing(
    during: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = command.follow

    def interrupted(steps: Any, printer: Any, control: Any, doing: str, *words: Any) -> Iterator[Any]:
        for step in follow(steps, printer, control, doing, *words):
            if doing == during and step.done == 3:
                signal.raise_signal(signal.SIGINT)
            yield step

    monkeypatch.setattr(command, "follow", interrupted)

    assert run("--overlay gif") == 130

    assert not Path("out").exists()
    assert capsys.readouterr().out.splitlines()[-1] == "Stopped. Nothing is kept."
    monkeypatch.undo()
    os.chdir(folder)
    (folder / "out" / ".attribution.part").mkdir(parents=True)  # what a kill may leave
    (folder / "out" / ".attribution.part" / "maps_delta1.tif").write_text("half")
    assert run() == 0
    assert ".attribution.part" not in written()


def test_a_second_run_leaves_the_first_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, said = command.follow, []

    def disturbed(steps: Any, *words: Any) -> Iterator[Any]:
        for step in follow(steps, *words):
            if step.done == 3:
                monkeypatch.undo()
                os.chdir(folder)
                said.append(refused(capsys, "model movie.tif -o out"))
            yield step

    monkeypatch.setattr(command, "follow", disturbed)

    assert run() == 0

    assert "Another run is writing out." in said[0]
    assert written() == ["attribution.yaml", "events.csv", "events.png", "maps_delta1.tif"]


def test_help_needs_no_torch() -> None:
    script = (
        "import sys; from napari_tarrow.commands.attribute import main; main(['--help']);"
        " assert not {'torch', 'matplotlib', 'tifffile'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert "--map evidence|change|gradcam|contribution|evidence_change" in shown


def test_frames_are_aligned_where_objects_move_far(folder, capsys):
    y, x = np.mgrid[:60, :70]
    places = np.random.default_rng(0).uniform(-20, 90, (40, 2))

    def frame(index: int) -> np.ndarray:
        return 300 * sum(np.exp(-((y - a - 5 * index) ** 2 + (x - b) ** 2) / 10) for a, b in places)

    write(folder / "sheet.tif", np.stack([frame(index) for index in range(4)]).astype(np.uint16))
    said = {}
    for align in ("auto", "yes", "no"):
        assert main(["model", "sheet.tif", "-o", align, "--align", align, "--delta", "1"]) == 0
        said[align] = capsys.readouterr().out
        record = yaml.safe_load((folder / align / "attribution.yaml").read_text())
        assert record["settings"]["aligned"] == (align != "no")
    undo = "With --align no they are compared as they are."
    assert "radii: frames are aligned before they are compared." in said["auto"]
    assert undo in said["auto"]
    assert undo not in said["yes"]
    assert "aligned" not in said["no"]
    trained = read_trained("model")
    sheet = PreparedMovie(open_movie("sheet.tif"), trained.preparation)
    alignment = alignment_for("auto", sheet, (1,))[0]
    expected = find_events(attribute(trained.network, sheet, 1, alignment=alignment), sheet, alignment=alignment)
    without = find_events(attribute(trained.network, sheet, 1, alignment=alignment), sheet)
    places = [
        [(one.frame, one.y, one.x) for one in events]
        for events in (read_events(folder / "auto" / "events.csv").events, expected, without)
    ]
    assert places[0] == places[1] != places[2]
    auto, yes, no = (tifffile.imread(folder / align / "maps_delta1.tif") for align in said)
    np.testing.assert_array_equal(auto, yes)
    assert not np.allclose(auto, no)


def test_a_slow_movie_is_left_as_it_is(folder, capsys):
    assert main(["model", "movie.tif", "-o", "found", "--delta", "1"]) == 0
    assert "aligned" not in capsys.readouterr().out
