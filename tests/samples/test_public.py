from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_tarrow.engine.errors import UserError
from napari_tarrow.samples import public

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pooch = pytest.importorskip("pooch")
pooch.get_logger().setLevel("ERROR")

FRAMES = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)


class Counter:
    """A meter that a test can read."""

    def __init__(self) -> None:
        self.total, self.done, self.closed = 0, 0, False

    def update(self, n: int) -> None:
        self.done += n

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def served() -> Iterator[dict[str, bytes]]:
    """Files of a server on this machine; ``served["url"]`` says where it is."""
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.strip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    files["url"] = f"http://127.0.0.1:{server.server_port}".encode()
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def offer(
    served: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bytes], public.PublicMovie]:
    """Let the server of this machine offer some bytes as a movie of the publication."""
    monkeypatch.setattr(public, "_cache", lambda: tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def offer(name: str, content: bytes, **changes: object) -> public.PublicMovie:
        movie = public.PUBLIC[name]
        served[movie.file] = content
        known = hashlib.sha256(content).hexdigest() if movie.sha256 else None
        url = f"{served['url'].decode()}/{movie.file}"
        movie = replace(movie, **{"url": url, "sha256": known, **changes})
        monkeypatch.setitem(public.PUBLIC, name, movie)
        return movie

    return offer


def archive(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for number, name in enumerate(names):
            frame = io.BytesIO()
            tifffile.imwrite(frame, FRAMES[number % 3])
            opened.writestr(name, frame.getvalue())
    return packed.getvalue()


def hela(sequence: str = "01") -> list[str]:
    return [f"Fluo-N2DL-HeLa/{sequence}/t{number:03}.tif" for number in range(3)]


def stack() -> bytes:
    packed = io.BytesIO()
    tifffile.imwrite(packed, FRAMES, photometric="minisblack")
    return packed.getvalue()


def test_an_archive_is_unpacked_to_the_frames_of_its_sequence(offer, tmp_path):
    offer("hela_02", archive([*hela("01"), *hela("02"), "Fluo-N2DL-HeLa/02_GT/TRA/man_track000.tif"]))
    folder = public.fetch("hela_02")
    assert sorted(path.name for path in folder.iterdir()) == ["t000.tif", "t001.tif", "t002.tif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Fluo-N2DL-HeLa.zip", "hela_02"]


def test_what_was_fetched_is_not_fetched_again(offer, served):
    offer("hela_01", archive(hela()))
    first = public.fetch("hela_01")
    served.clear()
    assert public.fetch("hela_01") == first


def test_the_layer_shows_the_frames_when_they_are_asked_for(offer):
    offer("hela_01", archive(hela()))
    [(frames, options, kind)] = public.public_layer("hela_01", public.fetch("hela_01"))
    assert (frames.shape, frames.dtype, frames.chunksize, kind) == ((3, 8, 9), np.uint16, (1, 8, 9), "image")
    np.testing.assert_array_equal(frames[2].compute(), FRAMES[2])
    assert options["scale"] == (30.0, 0.645, 0.645)
    assert options["units"] == ("minute", "micrometer", "micrometer")
    assert options["metadata"]["source"].endswith("hela_01")


def test_a_single_file_is_taken_as_it_is(offer):
    offer("mdck", stack())
    [(frames, options, _)] = public.public_layer("mdck", public.fetch("mdck"))
    np.testing.assert_array_equal(np.asarray(frames), FRAMES)
    assert options["scale"] == (1.0, 1.0, 1.0)


def test_the_meter_counts_the_bytes(offer):
    meter = Counter()
    content = stack()
    offer("mdck", content)
    public.fetch("mdck", meter)
    assert (meter.total, meter.done, meter.closed) == (len(content), len(content), True)


@pytest.mark.parametrize("evil", ["../evil.tif", "Fluo-N2DL-HeLa/01/../../evil.tif", "/tmp/evil.tif"])
def test_members_with_other_names_never_leave_the_archive(offer, tmp_path, evil):
    offer("hela_01", archive([*hela(), evil]))
    public.fetch("hela_01")
    assert not list(tmp_path.parent.rglob("evil.tif"))


def test_another_file_than_the_known_one_is_refused_and_not_kept(offer, tmp_path):
    offer("hela_01", archive(hela()), sha256="0" * 64)
    with pytest.raises(UserError, match=r"is not the movie that is known \(its SHA-256 differs\)"):
        public.fetch("hela_01")
    assert not list(tmp_path.iterdir())


def test_a_page_instead_of_a_movie_is_refused_and_not_kept(offer, tmp_path):
    offer("mdck", b"<html>Please try later</html>")
    with pytest.raises(UserError, match="is no movie"):
        public.fetch("mdck")
    assert not list(tmp_path.iterdir())


def test_an_archive_without_the_sequence_is_refused(offer, tmp_path):
    offer("hela_01", archive(hela("02")))
    with pytest.raises(UserError, match="does not hold the frames of HeLa, sequence 01"):
        public.fetch("hela_01")
    assert not (tmp_path / "hela_01").exists()


def test_an_archive_of_untold_size_is_refused(offer, monkeypatch):
    monkeypatch.setattr(public, "_LARGEST", 100)
    offer("hela_01", archive(hela()))
    with pytest.raises(UserError, match="does not hold the frames"):
        public.fetch("hela_01")


def test_an_unpacking_that_breaks_leaves_nothing_half_done(offer, tmp_path, monkeypatch):
    offer("hela_01", archive(hela()))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(public.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        public.fetch("hela_01")
    assert [path.name for path in tmp_path.iterdir()] == ["Fluo-N2DL-HeLa.zip"]


def test_no_network_is_one_clear_sentence(offer, tmp_path):
    offer("mdck", b"", url="http://127.0.0.1:1/mdck.tif")
    with pytest.raises(UserError) as refused:
        public.fetch("mdck")
    assert str(refused.value) == (
        "MDCK could not be downloaded from http://127.0.0.1:1/mdck.tif (no connection). Check the network, or put the"
        f" file into {tmp_path} as mdck.tif."
    )


def test_what_the_server_answers_is_said(offer, served):
    movie = offer("mdck", b"")
    served.pop(movie.file)
    with pytest.raises(UserError, match="the server answered 404"):
        public.fetch("mdck")


def test_an_unknown_movie_is_refused_with_what_there_is():
    with pytest.raises(UserError, match=r"no public movie 'hela_1'\. Did you mean 'hela_01'"):
        public.fetch("hela_1")
