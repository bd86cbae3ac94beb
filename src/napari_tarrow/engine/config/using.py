"""Options that every use of a trained model shares: which model, which movie, and what they agree on."""

from __future__ import annotations

from typing import Literal

from ..bundled import NAMES
from ..options import Options, option
from .kinds import Flag, Memory, Path, Slices

MODEL, MOVIE, MACHINE, OUTPUT = "Model", "Movie", "Machine", "Output"


class UseConfig(Options):
    """A trained model, a movie, and where to compute. What is None is taken from the model's folder."""

    model: Path = option(
        "",
        f"Folder of the trained model, ours or the reference's, or a network of the package: {NAMES}.",
        title="Model",
        group=MODEL,
    )
    movie: Path = option("", "Movie: a tif file, a zarr array, or a folder of frames.", title="Movie", group=MOVIE)
    axes: str | None = option(
        None, "Axes of the file where it does not say or is wrong, such as TYX or TZYX.", title="Axes", group=MOVIE
    )
    frame_numbers: Path | None = option(
        None,
        "Text file with the number of every frame of a stack, one a line; missing numbers are gaps in time.",
        title="Frame numbers",
        group=MOVIE,
    )
    n_images: int | None = option(None, "Use at most so many frames.", title="At most frames", group=MOVIE, ge=2)
    channels: int | None = option(
        None,
        "Use the first so many channels; 0: the movie has no channel axis; without it, as in training.",
        title="Channels",
        group=MOVIE,
        ge=0,
    )
    channel: int | None = option(
        None,
        "Use the channel of this number alone, from 0; without it and channels, as in training.",
        title="Only channel",
        group=MOVIE,
        ge=0,
    )
    z: Slices | None = option(
        None,
        "What is made of the Z slices of a frame: max, mean, or the number of one; without it, as in training.",
        title="Z slices",
        group=MOVIE,
    )
    normalize: Literal["frame", "channel", "movie", "smooth"] | None = option(
        None, "How intensities are scaled; without it, as in training.", title="Normalise", group=MOVIE
    )
    subsample: int | None = option(
        None,
        "Average blocks of so many pixels along each side first; without it, as in training, and chosen from the movie"
        " for a network of the package.",
        title="Subsample",
        group=MOVIE,
        ge=1,
    )
    binarize: Flag | None = option(
        None, "Use x > 0 instead of intensities; without it, as in training.", title="Binarise", group=MOVIE
    )
    device: str = option("auto", "Where to compute: auto, cpu, cuda, cuda:1 or mps.", title="Device", group=MACHINE)
    memory: Memory | None = option(
        None,
        "Memory that the whole process may take, such as 2GB; without it, most of what is free.",
        title="Memory",
        group=MACHINE,
        ge=1,
    )
