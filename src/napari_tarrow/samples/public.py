"""The movies of the publication, which their owners offer for download; nothing is fetched unless asked for."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..engine.errors import UserError, nearest
from ..engine.files import make_folder

if TYPE_CHECKING:
    from ..engine.movies import Movie

_LARGEST = 2_000_000_000  # bytes that one sequence may unpack to; HeLa's take 142 million
_PATIENCE = 30  # seconds without an answer


@dataclass(frozen=True)
class PublicMovie:
    """A movie on somebody's server.

    Attributes
    ----------
    title : str
        What it shows, in a few words.
    url : str
        Where it is.
    file : str
        Name of the download in the cache.
    sha256 : str or None
        Of the download; None where no trustworthy source gives it (what came is then checked by reading it).
    members : str or None
        For a zip: pattern of the names of the frames in it; its group ``name`` is the file name to unpack to.
    axes : str or None
        Where the file does not say.
    interval : float or None
        Seconds between two frames.
    pixel_size : float or None
        Micrometres.
    attribution : str
        Whose it is, and what is said about its use.
    """

    title: str
    url: str
    file: str
    sha256: str | None
    members: str | None
    axes: str | None
    interval: float | None
    pixel_size: float | None
    attribution: str


def _hela(sequence: str) -> PublicMovie:
    return PublicMovie(
        title=f"HeLa, sequence {sequence}",
        url="https://data.celltrackingchallenge.net/training-datasets/Fluo-N2DL-HeLa.zip",
        file="Fluo-N2DL-HeLa.zip",
        # As torch-em and other projects pin it, independently of each other.
        sha256="35dd99d58e071aba0b03880128d920bd1c063783cc280f9531fbdc5be614c82e",
        members=rf"Fluo-N2DL-HeLa/{sequence}/(?P<name>t\d{{3}}\.tif)",
        axes=None,
        interval=1800.0,
        pixel_size=0.645,
        attribution="Mitocheck Consortium, in the Cell Tracking Challenge (celltrackingchallenge.net); see its terms",
    )


PUBLIC: dict[str, PublicMovie] = {
    "hela_01": _hela("01"),
    "hela_02": _hela("02"),
    "mdck": PublicMovie(
        title="MDCK",
        url="https://rdr.ucl.ac.uk/ndownloader/files/31127035",
        file="mdck.tif",
        sha256=None,
        members=None,
        axes="TYX",
        interval=None,
        pixel_size=None,
        attribution="Ulicna, Vallardi, Charras and Lowe 2021, UCL Research Data Repository; see its terms",
    ),
}


class Meter(Protocol):
    """What counts the bytes of a download, as pooch and tqdm have it."""

    total: int

    def update(self, n: int) -> object:
        """Count `n` more; it may raise, which ends the download."""

    def reset(self) -> object:
        """Start from nothing."""

    def close(self) -> object:
        """All is there."""


def fetch(name: str, meter: Meter | None = None) -> Path:
    """Path of a public movie, a tif or a folder of frames; it is downloaded once and then kept.

    Parameters
    ----------
    name : str
        A name in `PUBLIC`.
    meter : Meter, optional
        Is told how many bytes came.

    Raises
    ------
    UserError
        If there is no such movie, no network, no room on the disk, or if something else came than the movie.
    """
    if name not in PUBLIC:
        close = nearest(name, PUBLIC)
        advice = f"Did you mean {close!r}?" if close else f"Choose one of: {', '.join(PUBLIC)}."
        raise UserError(f"There is no public movie {name!r}. {advice}")
    movie = PUBLIC[name]
    folder = _cache()
    if movie.members is None:
        return _checked(_download(movie, folder, meter), movie)
    frames = folder / name
    if not frames.is_dir():
        _unpack(_download(movie, folder, meter), movie, frames)
    return frames


def public_layer(name: str, path: Path) -> list[tuple[Any, dict[str, Any], str]]:
    """Layer data for napari of a movie that was fetched: (T, H, W), read when it is shown."""
    from ..engine.movies import open_movie

    public = PUBLIC[name]
    movie = open_movie(path, axes=public.axes)
    metadata = {"attribution": public.attribution, "interval_s": public.interval, "source": str(path)}
    options = {"name": name, "metadata": metadata, **spacing(public.interval, public.pixel_size)}
    return [(_lazy(movie), options, "image")]


def spacing(interval: float | None, pixel_size: float | None) -> dict[str, Any]:
    """Scale, units and axis labels of a layer with axes TYX, from seconds and micrometres where they are known."""
    time = (interval / 60, "minute") if interval else (1.0, "pixel")
    side = (pixel_size, "micrometer") if pixel_size else (1.0, "pixel")
    scale, units = zip(time, side, side, strict=True)
    return {"scale": scale, "units": units, "axis_labels": ("t", "y", "x")}


def _cache() -> Path:
    import pooch

    folder = Path(pooch.os_cache("napari-tarrow"))
    make_folder(folder)
    return folder


def _download(movie: PublicMovie, folder: Path, meter: Meter | None) -> Path:
    import pooch
    from requests import RequestException

    downloader = pooch.HTTPDownloader(progressbar=meter or False, chunk_size=2**18, timeout=_PATIENCE)
    known = f"sha256:{movie.sha256}" if movie.sha256 else None
    try:
        path = pooch.retrieve(movie.url, known, fname=movie.file, path=folder, downloader=downloader)
    except RequestException as error:  # before OSError, whose child it is
        raise UserError(
            f"{movie.title} could not be downloaded from {movie.url} ({_reason(error)})."
            f" Check the network, or put the file into {folder} as {movie.file}."
        ) from error
    except OSError as error:
        raise UserError(
            f"{movie.title} could not be saved in {folder} ({error.strerror or error}). Free some space."
        ) from error
    except ValueError as error:  # pooch: the hash is another one
        raise UserError(
            f"What came from {movie.url} is not the movie that is known (its SHA-256 differs). Try again later."
        ) from error
    return Path(path)


def _reason(error: Exception) -> str:
    """Say in few words why a download failed; what requests says runs over many lines."""
    from requests import ConnectionError as Unreachable
    from requests import HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, Timeout):
        return f"no answer for {_PATIENCE} seconds"
    return "no connection" if isinstance(error, Unreachable) else type(error).__name__


def _checked(path: Path, movie: PublicMovie) -> Path:
    """Take away what is no movie, such as a server's page of excuses, so that it can be fetched anew."""
    from ..engine.movies import open_movie

    try:
        opened = open_movie(path, axes=movie.axes)
        opened.frame(len(opened) - 1)
    except UserError as error:
        path.unlink(missing_ok=True)
        raise UserError(f"What came from {movie.url} is no movie. Try again later.") from error
    return path


def _unpack(archive: Path, movie: PublicMovie, frames: Path) -> None:
    """Unpack the frames and nothing else, under names of our own making; a folder is whole or absent."""
    beside = frames.with_name(f"{frames.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    make_folder(beside)
    try:
        with zipfile.ZipFile(archive) as opened:
            for member, name in _frames(opened, movie):
                with opened.open(member) as source, (beside / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        beside.rename(frames)
    except (zipfile.BadZipFile, EOFError) as error:
        archive.unlink(missing_ok=True)
        raise UserError(f"{archive} is damaged and was removed. Open the sample again to fetch it anew.") from error
    except OSError as error:
        raise UserError(f"{frames} cannot be written ({error.strerror or error}). Free some space.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _frames(archive: zipfile.ZipFile, movie: PublicMovie) -> list[tuple[zipfile.ZipInfo, str]]:
    """List the frames in an archive with the file names to give them."""
    found = [
        (member, match["name"])
        for member in archive.infolist()
        if (match := re.fullmatch(movie.members or "", member.filename))
    ]
    if len(found) < 2 or sum(member.file_size for member, _ in found) > _LARGEST:
        raise UserError(f"{archive.filename} does not hold the frames of {movie.title}. Remove it and try again.")
    return found


def _lazy(movie: Movie) -> Any:
    """Stack the frames of a movie without channels as a dask array, one chunk a frame."""
    import dask.array as da

    def read(block_info: Any) -> Any:
        [(first, _), *_] = block_info[None]["array-location"]
        return movie.frame(first)

    frames, _, *sides = movie.shape
    chunks = ((1,) * frames, *((side,) for side in sides))
    return da.map_blocks(read, chunks=chunks, dtype=movie.dtype)
