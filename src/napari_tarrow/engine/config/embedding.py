"""Options of embedding a movie, each described once."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator

from ..options import option
from .kinds import Flag, Path  # noqa: TC001 (pydantic reads the annotations)
from .using import OUTPUT, UseConfig

EMBEDDING, OBJECTS = "Embedding", "Objects"

_Version = Annotated[Literal["0.5", "0.4"], BeforeValidator(lambda value: str(value) if value in (0.4, 0.5) else value)]


class EmbedConfig(UseConfig):
    """What to embed, and what is written of it."""

    output: Path | None = option(
        None,
        "Where the embedding goes: an OME-Zarr folder, such as OUT.zarr, or with --tif a tif file.",
        title="Output",
        group=OUTPUT,
        basic=True,
        flag="-o",
    )
    tif: Flag = option(False, "Write a tif instead of OME-Zarr; a stopped one begins anew.", title="Tif", group=OUTPUT)
    ome_zarr: _Version = option("0.5", "Version of OME-Zarr.", title="OME-Zarr", group=OUTPUT)
    dtype: Literal["float16", "float32"] | None = option(
        None,
        "Type of the values; without it float16, and in a tif, which knows no halves, float32.",
        title="Type",
        group=OUTPUT,
    )
    pca: int = option(
        0,
        "Write so many principal components of the whole movie as well, beside the output; 3 make a colour movie.",
        title="Components",
        group=OUTPUT,
        ge=0,
    )
    overwrite: Flag = option(
        False,
        "Replace an output that was made with other settings, or a tif or table that is there.",
        title="Overwrite",
        group=OUTPUT,
    )
    layer: int = option(
        0, "Layer of the projection head, counted from the last, which is 0.", title="Layer", group=EMBEDDING, ge=0
    )
    grid: Literal["movie", "network"] = option(
        "movie",
        "Pixels of the embedding: the movie's, or the network's, which may be coarser.",
        title="Grid",
        group=EMBEDDING,
    )
    frames: str | None = option(
        None,
        "Frames that are embedded, as START:STOP or START:STOP:STEP, counted from 0, STOP excluded; all without it.",
        title="Frames",
        group=EMBEDDING,
    )
    labels: Path | None = option(
        None,
        "Labels of the movie's objects (tif, zarr or folder): a table of the mean embedding of each is written.",
        title="Labels",
        group=OBJECTS,
    )
    table: Path | None = option(
        None,
        "Where the table goes, .csv or .parquet; without it, beside the output.",
        title="Table",
        group=OBJECTS,
    )

    @field_validator("frames")
    @classmethod
    def _frames_are_a_range(cls, value: Any) -> Any:
        if value is not None and not re.fullmatch(r"\d*:\d*(:[1-9]\d*)?", value):
            raise ValueError(f"{value!r} is no range of frames; write START:STOP, such as 10:50, or 0:100:5.")
        return value
