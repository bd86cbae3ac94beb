"""Options of attribution: maps, events and their pictures, each described once."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from ..options import option
from .kinds import Deltas, Flag, Path  # noqa: TC001 (pydantic reads the annotations)
from .using import OUTPUT, UseConfig

MAPS, EVENTS = "Maps", "Events"

MapKind = Literal["evidence", "change", "gradcam", "contribution", "evidence_change"]
Align = Literal["auto", "yes", "no"]


class AttributeConfig(UseConfig):
    """Which maps are made of a movie, and what is written of them."""

    output: Path | None = option(
        None,
        "Folder for maps, events.csv, events.png and the overlay movie.",
        title="Output",
        group=OUTPUT,
        basic=True,
        flag="-o",
    )
    delta: Deltas | None = option(
        None,
        "Time steps between the frames that are compared, in frames; without it, the smallest of the training.",
        title="Time steps",
        group=MAPS,
        basic=True,
    )
    map: MapKind = option(
        "evidence",
        "What is shown: where the network sees the direction of time (evidence), how its weighted features changed"
        " (change), Grad-CAM as published (gradcam), gradient times activation (contribution), or evidence times the"
        " difference of the frames (evidence_change).",
        title="Map",
        group=MAPS,
        basic=True,
    )
    align: Align = option(
        "auto",
        "Align frames with one another before they are compared, place by place, so that what moves together, like the"
        " cells of a sheet, is not taken for change; auto: where objects move by their own radius or more.",
        title="Align frames",
        group=MAPS,
    )
    class_id: int = option(
        0,
        "Order of the frames that is explained: 0 is the true one, 1 of two frames the reverse.",
        title="Class",
        group=MAPS,
        ge=0,
    )
    signed: Flag = option(
        False,
        "Write maps with signs. Events are sought in their positive part (evidence) or absolute value all the same.",
        title="Signed",
        group=MAPS,
    )
    all_frames: Flag = option(
        False,
        "Grad-CAM of all frames instead of the first; other maps are of all frames.",
        title="All frames",
        group=MAPS,
    )
    normalize_maps: Flag = option(
        False,
        "Scale the maps that are written by the percentiles 0.1 and 99.99 of all of them, as published.",
        title="Normalise maps",
        group=MAPS,
    )
    format: Literal["tif", "ome-zarr"] = option(
        "tif", "Format of the maps: one file for each time step.", title="Format", group=OUTPUT
    )
    overlay: Literal["none", "gif", "mp4"] = option(
        "none",
        "Write the movie under its maps, with the events ringed; mp4 needs the package imageio-ffmpeg.",
        title="Overlay movie",
        group=OUTPUT,
    )
    overwrite: Flag = option(
        False,
        "Replace what an earlier attribution left in the output; ticks in events.csv are kept.",
        title="Overwrite",
        group=OUTPUT,
    )
    count: int = option(24, "How many events events.png shows.", title="Events shown", group=EVENTS, ge=1, le=120)
    threshold: float | None = option(
        None,
        "Score from which on an event counts; without it, one is chosen that needs no labels.",
        title="Threshold",
        group=EVENTS,
    )
    radius: float | None = option(
        None,
        "Radius of the objects, in pixels of the movie, by which events are told apart and placed, and frames"
        " aligned; without it, estimated from the movie.",
        title="Object radius",
        group=EVENTS,
        ge=0.5,
    )

    @field_validator("delta")
    @classmethod
    def _deltas_are_steps(cls, value: Any) -> Any:
        if value is not None and (not value or min(value) < 1):
            raise ValueError(f"{' '.join(map(str, value)) or 'nothing'} is given; give whole numbers from 1 on.")
        return value if value is None else tuple(dict.fromkeys(value))
