"""The embedding command writes what is asked for, goes on where it stopped, and refuses what cannot be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_tarrow.commands.embed import main
from napari_tarrow.engine.inference.embeddings import embedding as engine
from napari_tarrow.engine.inference.embeddings.components import fit_components
from napari_tarrow.engine.inference.embeddings.pooling import pool
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.trained import read_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (6, 37, 44)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a model, a movie and labels lie; the working folder."""
    torch.manual_seed(0)
    write_model(tmp_path / "model", TimeArrowNet("unet_16fmaps", n_features=4))
    frames = np.random.default_rng(0).integers(0, 1000, SIZE).astype(np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", frames, metadata={"axes": "TYX"})
    labels = np.zeros(SIZE, np.uint16)
    labels[:, 5:15, 4:20], labels[2:, 20:37, 30:44] = 1, 7
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "TYX"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    return main(["model", "movie.tif", "--device", "cpu", *(one for word in words for one in word.split())])


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command and return its one line of error."""
    capsys.readouterr()
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("napari-tarrow-embed: error: ")
    assert error.count("\n") == 1
    assert error.rstrip().endswith((".", "?", "]"))
    return error


def embedding(folder: Path, layer: int = 0, **preparation: Any) -> np.ndarray:
    """The embedding of all frames, each as a whole, on the network's grid."""
    trained = read_trained(folder / "model")
    movie = PreparedMovie(open_movie(folder / "movie.tif"), Preparation(**preparation))
    frames = torch.from_numpy(np.stack([movie.frame(index) for index in range(SIZE[0])]))
    with torch.no_grad():
        return trained.network.embedding(frames[None], layer)[0].numpy()


def stored(path: str) -> np.ndarray:
    return np.asarray(zarr.open_array(f"{path}/0", mode="r")[:])


def test_every_frame_is_written_in_half_precision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o out.zarr") == 0
    values = stored("out.zarr")
    assert values.dtype == np.float16
    np.testing.assert_allclose(values, embedding(folder), rtol=2e-3, atol=2e-3)
    said = capsys.readouterr().out
    assert "6 frames: 4 features of 37 x 44 pixels, float16; up to 78.1 kB." in said
    assert said.splitlines()[-1] == "Embedding:  out.zarr"


def test_options_choose_layer_type_frames_and_version(folder: Path) -> None:
    assert run("-o out --layer 1 --dtype float32 --frames 1:6:2 --ome-zarr 0.4") == 0
    np.testing.assert_allclose(stored("out.zarr"), embedding(folder, layer=1)[1::2], rtol=1e-5, atol=1e-5)
    assert (folder / "out.zarr" / ".zattrs").is_file()


def test_a_subsampled_embedding_lies_on_the_grid_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = embedding(folder, subsample=2)
    assert run("-o fine.zarr --subsample 2 --dtype float32") == 0
    rows, columns = np.minimum(np.arange(37) // 2, 17), np.minimum(np.arange(44) // 2, 21)
    np.testing.assert_allclose(stored("fine.zarr"), expected[:, :, rows][..., columns], rtol=1e-5, atol=1e-5)
    assert "Note: subsample is 2 instead of 1, which the model was trained with." in capsys.readouterr().out
    assert run("-o coarse.zarr --subsample 2 --grid network --dtype float32 --labels labels.tif") == 0
    np.testing.assert_allclose(stored("coarse.zarr"), expected, rtol=1e-5, atol=1e-5)
    metadata: Any = zarr.open_group("coarse.zarr", mode="r").attrs["ome"]
    transformations = metadata["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert [one[one["type"]] for one in transformations] == [[1, 1, 2, 2], [0, 0, 0.5, 0.5]]
    table = np.genfromtxt("coarse_objects.csv", delimiter=",", names=True)
    labels = tifffile.imread("labels.tif")
    fine = pool(labels[2], expected[2][:, rows][..., columns])
    found = [table[name][table["frame"] == 2] for name in ("f0", "f1", "f2", "f3")]
    np.testing.assert_allclose(np.transpose(found), fine.embedding, rtol=1e-4, atol=1e-5)


def test_a_network_that_pads_begins_before_the_movie(folder: Path) -> None:
    write_model(folder / "model", TimeArrowNet("resnet18", n_features=4, classification_head="minimal"))
    assert run("-o out.zarr --grid network") == 0
    metadata: Any = zarr.open_group("out.zarr", mode="r").attrs["ome"]
    _, translation = metadata["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert translation["translation"] == [0, 0, 15.5 - 13, 15.5 - 10]  # padded to 64, 13 and 10 pixels before


def test_what_is_finished_is_said_and_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o out.zarr --pca 3") == 0
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run("-o out.zarr --pca 3") == 0
    assert "6 of 6 frames are there already; nothing is left to do." in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == times


def test_other_settings_are_not_mixed_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o out.zarr") == 0
    common = ["model", "movie.tif", "-o", "out.zarr"]
    for options, said in (
        ("--layer 1", "with layer 0, and layer is 1 now"),
        ("--normalize movie", "with normalize frame, and normalize is movie now"),
        ("--frames 0:3", "with frames 0:6:1, and frames is 0:3:1 now"),
        ("--dtype float32", "with dtype float16, and dtype is float32 now"),
        ("--n_images 5", "with another movie"),
    ):
        assert said in refused(capsys, *common, *options.split())
    state = torch.load("model/model_state.pt", weights_only=True)
    state["projection_head.layers.0.bias"][0] += 0.1
    torch.save(state, "model/model_state.pt")
    assert "with another model. Choose another output, or give --overwrite" in refused(capsys, *common)
    assert run("-o out.zarr --overwrite") == 0
    np.testing.assert_allclose(stored("out.zarr"), embedding(folder), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("form", ["zarr", "tif"])
def test_components_become_a_colour_movie(form: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"-o out.{form} --pca 3 --dtype float32") == 0
    frames = stored("out.zarr") if form == "zarr" else tifffile.imread("out.tif")
    components = fit_components(frames, 3)
    expected = np.stack([components.apply(frame) for frame in frames])
    found = stored("out_pca3.zarr") if form == "zarr" else np.moveaxis(tifffile.imread("out_pca3.tif"), -1, 1)
    np.testing.assert_array_equal(found, expected)
    assert "of the variance" in capsys.readouterr().out


def test_components_of_another_embedding_are_not_mixed_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-o out.zarr --pca 3") == 0
    shutil.rmtree("out.zarr")
    words = ["model", "movie.tif", "-o", "out.zarr", "--pca", "3", "--dtype", "float32"]
    assert "out_pca3.zarr was made with embedding float16, and embedding is float32 now" in refused(capsys, *words)


def test_a_tif_is_float32_with_axes(folder: Path) -> None:
    assert run("-o out --tif") == 0
    with tifffile.TiffFile("out.tif") as file:
        assert file.series[0].axes == "TCYX"
        np.testing.assert_allclose(file.asarray(), embedding(folder), rtol=1e-5, atol=1e-5)
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("words", ["--table objects.csv", "-o out.zarr --dtype float32 --table objects.csv"])
def test_objects_become_a_table(words: str, folder: Path) -> None:
    numbers = folder / "numbers.txt"
    numbers.write_text("\n".join(map(str, (0, 1, 5, 6, 7, 9))))
    assert run(f"--labels labels.tif --frames 1:4 --frame-numbers numbers.txt {words}") == 0
    table = np.genfromtxt("objects.csv", delimiter=",", names=True)
    assert table["frame"].tolist() == [1, 5, 5, 6, 6]
    assert table["label"].tolist() == [1, 1, 7, 1, 7]
    assert table["area"][:2].tolist() == [160, 160]
    expected = pool(tifffile.imread("labels.tif")[2], embedding(folder)[2])
    found = [[row[f"f{number}"] for number in range(4)] for row in table[1:3]]
    np.testing.assert_allclose(found, expected.embedding, rtol=1e-4, atol=1e-5)
    assert (folder / "out.zarr").exists() == ("out.zarr" in words)


def test_a_finished_command_given_again_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "-o out.zarr --pca 3 --labels labels.tif"
    assert run(words) == 0
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(words) == 0
    said = capsys.readouterr().out
    assert "6 of 6 frames are there already; nothing is left to do." in said
    assert said.splitlines()[-1] == "Objects:    out_objects.csv (10 rows, there already)"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


def test_labels_that_come_later_are_pooled_without_embedding_anew(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-o out.zarr") == 0
    after(monkeypatch, 1, lambda: pytest.fail("embedded anew"))
    assert run("-o out.zarr --labels labels.tif") == 0
    first = (folder / "out_objects.csv").read_bytes()
    labels = tifffile.imread("labels.tif")
    tifffile.imwrite("others.tif", labels[..., ::-1].copy(), metadata={"axes": "TYX"})
    words = ["model", "movie.tif", "--device", "cpu", "-o", "out.zarr", "--labels", "others.tif"]
    assert "out_objects.csv is there already, and these labels" in refused(capsys, *words)
    assert (folder / "out_objects.csv").read_bytes() == first
    assert not list(folder.glob(".*"))
    assert main([*words, "--table", "others.csv"]) == 0
    assert main([*words, "--overwrite"]) == 0
    assert (folder / "out_objects.csv").read_bytes() == (folder / "others.csv").read_bytes() != first


def test_a_table_that_is_there_is_refused_before_frames_are_embedded(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-o out.zarr --labels labels.tif") == 0
    ledger = folder / "out.zarr" / "0" / "frames_finished.txt"
    ledger.write_text("\n".join(ledger.read_text().splitlines()[:-1]) + "\n")
    after(monkeypatch, 1, lambda: pytest.fail("embedded"))
    words = ["model", "movie.tif", "--device", "cpu", "-o", "out.zarr", "--labels", "labels.tif"]
    assert "out_objects.csv is there already. Choose another" in refused(capsys, *words)
    shutil.rmtree("out.zarr")
    assert "out_objects.csv is there already. Choose another" in refused(capsys, *words)


@pytest.mark.parametrize("value", [0, -3])
def test_labels_without_an_object_are_noted(value: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite("none.tif", np.full(SIZE, value, np.int16), metadata={"axes": "TYX"})
    assert run("--labels none.tif --table t.csv") == 0
    said = capsys.readouterr().out
    assert "Note: none.tif holds no object in these frames (no number above 0): the table is empty." in said
    assert (folder / "t.csv").read_text().count("\n") == 1


def test_a_folder_in_the_place_of_the_record_is_not_taken_for_a_model_of_the_reference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model" / "run.yaml").mkdir()
    assert "run.yaml is a folder" in refused(capsys, "model", "movie.tif", "-o", "out.zarr")


def test_too_little_memory_is_called_as_it_was_given_and_what_is_named_suffices(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, "model", "movie.tif", "-o", "new.zarr", "--memory", "20MB")
    assert "A memory of 20 MB does not suffice" in error
    amount, unit = error.split("at least ")[1].split()[:2]
    spare = 1.3  # the process may have grown meanwhile
    assert run("-o", "new.zarr", "--memory", f"{spare * float(amount):.0f}{unit}") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "Nothing is to be written. Give -o OUT.zarr"),
        ("--labels labels.tif", "Say where it goes with --table"),
        ("--table t.csv", "Give their --labels"),
        ("--pca 3", "Give -o OUT.zarr"),
        ("--tif", "not where"),
        ("-o out.zarr --tif", "contradict"),
        ("-o out.csv", "is a table"),
        ("-o out.tif --dtype float16", "Fiji"),
        ("-o out.zarr --layer 7", "feature layers"),
        ("-o out.zarr --layer -1", "at least 0"),
        ("-o out.zarr --pca 5", "more components than the embedding has: 4"),
        ("-o out.zarr --frames 3", "write START:STOP"),
        ("-o out.zarr --frames 9:12", "chooses none of the movie's 6 frames"),
        ("-o out.zarr --ome_zarr 0.3", "'0.5' or '0.4'"),
        ("-o out.zarr --grid film", "'movie' or 'network'"),
        ("-o out.zarr --channels 2", "takes 1 channel"),
        ("-o out.zarr --device cuda:77", "is not there"),
        ("-o out.zarr --labels nowhere.tif", "nowhere.tif does not exist"),
        ("-o out.zarr --labels small.tif", "are 30 x 44, the movie is 37 x 44"),
        ("-o out.zarr --labels short.tif", "have 5 frames, the movie has 6"),
        ("-o out.zarr --labels labels.tif --table t.txt", "a table ends with"),
        ("-o out.zarr --labels labels.tif --table labels.tif/t.csv", "inside the label movie"),
        ("-o out.zarr --labels labels.tif --table=", "--table is empty"),
        ("--labels= --table t.csv", "--labels is empty"),
        ("-o .", ". is a folder. Name what is made in it, such as embedding.zarr"),
        ("-o ..", ".. is a folder"),
        ("-o / --tif", "/ is a folder"),
        ("-o new.zarr --memory 1", "does not suffice"),
        ("-o new.zarr --pca 3 --memory 1", "does not suffice"),
        ("-o movie.tif", "movie.tif is the movie itself"),
        ("-o model/out.zarr", "lies inside the model"),
        ("-o file.zarr", "is no output of this program's"),
        ("-o there.tif", "is there already"),
        ("-o there.tif/out.zarr", "there.tif"),
        (f"-o {'x' * 300}.zarr", "no path that can be used"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_leaves_nothing(
    words: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tifffile.imread("labels.tif")
    tifffile.imwrite("small.tif", labels[:, :30], metadata={"axes": "TYX"})
    tifffile.imwrite("short.tif", labels[:5], metadata={"axes": "TYX"})
    for name in ("file.zarr", "there.tif"):
        (folder / name).write_text("precious")
    before = sorted(folder.rglob("*"))
    assert said in refused(capsys, "model", "movie.tif", *words.split())
    assert sorted(folder.rglob("*")) == before
    assert (folder / "there.tif").read_text() == "precious"


def test_a_missing_or_damaged_model_or_movie(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "MODEL, MOVIE" in refused(capsys, "-o", "out.zarr")
    assert "nowhere is no folder" in refused(capsys, "nowhere", "movie.tif", "-o", "out.zarr")
    assert "gone.tif does not exist" in refused(capsys, "model", "gone.tif", "-o", "out.zarr")
    tifffile.imwrite("two.tif", np.ones((6, 2, 37, 44), np.uint16), metadata={"axes": "TCYX"})
    assert "channel" in refused(capsys, "model", "two.tif", "-o", "out.zarr")
    whole = (folder / "model" / "model_state.pt").read_bytes()
    (folder / "model" / "model_state.pt").write_bytes(whole[:1000])
    assert "damaged" in refused(capsys, "model", "movie.tif", "-o", "out.zarr")
    assert not (folder / "out.zarr").exists()


def test_a_movie_that_breaks_off_keeps_what_is_finished(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.random.default_rng(0).random(SIZE).astype(np.float32)
    frames[4, 3, 3] = np.nan
    tifffile.imwrite("nan.tif", frames, metadata={"axes": "TYX"})
    assert "Frame 4" in refused(capsys, "model", "nan.tif", "-o", "out.zarr")
    assert "Frame 4" in refused(capsys, "model", "nan.tif", "-o", "out.tif")
    assert not (folder / "out.tif").exists()
    assert not list(folder.glob(".*"))
    assert "Frame 4" in refused(capsys, "model", "nan.tif", "-o", "out.zarr")


def after(monkeypatch: pytest.MonkeyPatch, count: int, then: Callable[[], None]) -> None:
    """Do something when so many blocks were embedded."""
    whole = engine.embed_blocks

    def watched(*words: Any, **options: Any) -> Iterator[Any]:
        for number, block in enumerate(whole(*words, **options), 1):
            if number == count:
                then()
            yield block

    monkeypatch.setattr("napari_tarrow.engine.inference.stores.filling.embed_blocks", watched)


@pytest.mark.parametrize("target", ["out.zarr", "out.tif"])
def test_ctrl_c_stops_between_frames_and_says_what_is_kept(
    target: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        after(patched, 3, lambda: signal.raise_signal(signal.SIGINT))
        assert run(f"-o {target}") == 130
    told = capfd.readouterr()
    said = told.out
    assert ("and saving" in told.err) == (target == "out.zarr")
    if target == "out.tif":
        assert said.splitlines()[-1] == "Stopped. Nothing is kept."
        assert not list(folder.glob("*out*"))
    else:
        assert said.splitlines()[-1] == "Stopped. Finished frames are kept: the same command goes on."
        assert run(f"-o {target}") == 0
        assert "3 of 6 frames are there already; going on with the others." in capfd.readouterr().out
        np.testing.assert_allclose(stored("out.zarr"), embedding(folder), rtol=2e-3, atol=2e-3)


def test_ctrl_c_leaves_no_part_of_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after(monkeypatch, 2, lambda: signal.raise_signal(signal.SIGINT))
    assert run("--labels labels.tif --table t.csv") == 130
    assert not list(folder.glob("*t.csv*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a small tmpfs")
@pytest.mark.parametrize("target", ["out.zarr", "out.tif"])
def test_a_full_disk(
    target: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    words = ["model", "movie.tif", "-o", str(disk / target)]
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(340_000))
        assert "free. Free some space or choose another disk." in refused(capsys, *words)
        assert [one.name for one in disk.iterdir()] == ["filler"]
        filler.unlink()

        def fill() -> None:  # by somebody else, once the work has begun
            free = os.statvfs(disk)
            filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 9000)))

        with monkeypatch.context() as patched:
            after(patched, 2, fill)
            assert "disk is full" in refused(capsys, *words)
        assert not list(disk.rglob("*.part"))
        filler.unlink()
        assert main(words) == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_help_answers_without_torch() -> None:
    script = """
import sys
from napari_tarrow.commands.embed import main
code = main(["--help"])
assert not {"torch", "zarr", "tifffile"} & set(sys.modules), "heavy modules are imported"
sys.exit(code)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "MODEL MOVIE [options]" in ended.stdout
