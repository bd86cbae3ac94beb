"""`napari-tarrow-attribute`: from a movie to its attribution maps and events, in a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from ..engine.config import AttributeConfig
from ..engine.errors import UserError
from .output_folder import OutputFolder
from .using import StoppedError, follow, open_use, read_use, run_stoppable, run_use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    import numpy as np

    from ..engine.inference import AttributionMap
    from ..engine.inference.events.events import Event
    from ..engine.inference.stores.map_files import MapFiles
    from ..engine.movies import PreparedMovie
    from ..engine.trained import TrainedModel
    from ..engine.training.control import Control
    from .progress import ProgressPrinter

PROGRAM = "napari-tarrow-attribute"
_DESCRIPTION = """
Find where and when something irreversible happens in a movie, with a trained model: attribution maps of all pairs of
frames, a table of events, and a page that shows the strongest of them. Normalisation, subsampling and channels are
those that the model was trained with.
"""
_EPILOG = f"""
Examples: `{PROGRAM} MODEL movie.tif -o found` writes found/maps_delta1.tif, found/events.csv and found/events.png;
with `--overlay gif` also found/overlay.gif, the movie under its maps.
"""
_EVENTS, _SHEET, _RECORD = "events.csv", "events.png", "attribution.yaml"
_OURS = ("maps_delta*.tif", "maps_delta*.ome.zarr", _EVENTS, _SHEET, _RECORD, "overlay.gif", "overlay.mp4")
_LABELS = {"maps": "Maps", _EVENTS: "Events", _SHEET: "Contact sheet", "overlay": "Overlay movie"}
_PICTURED = 50  # maps that decide how bright the overlay shows them


def main(argv: Sequence[str] | None = None) -> int:
    """Attribute a movie as a command line says.

    Parameters
    ----------
    argv
        The words after the command's name; those of this process where nothing is given.

    Returns
    -------
    int
        Exit code: 0 all is written, 2 something to mend (said in one line), 130 stopped, and nothing kept.
    """
    return run_use(PROGRAM, lambda: _attribute(sys.argv[1:] if argv is None else argv))


def _attribute(argv: Sequence[str]) -> int:
    config = read_use(PROGRAM, _DESCRIPTION, _EPILOG, AttributeConfig, argv)
    output = _output(config)

    def job(printer: ProgressPrinter, control: Control, closing: ExitStack) -> None:
        trained, movie = open_use(config, printer)
        _Job(config, output, trained, movie, printer, control).run()

    return run_stoppable(job, saves=False, kept="Nothing is kept.")


class _Job:
    """What one command line asks for, one thing after the other."""

    def __init__(
        self,
        config: AttributeConfig,
        output: OutputFolder,
        trained: TrainedModel,
        movie: PreparedMovie,
        printer: ProgressPrinter,
        control: Control,
    ) -> None:
        self._config, self._output = config, output
        self._trained, self._movie = trained, movie
        self._deltas = config.delta or (trained.delta,)
        self._printer, self._control = printer, control

    def run(self) -> None:
        from ..engine.inference.events.table import read_events
        from ..engine.movies.alignment import alignment_for
        from ..engine.movies.object_radius import fitting_radius, object_radius

        given = self._config.radius
        self._radius = object_radius(self._movie) if given is None else fitting_radius(self._movie, given)
        self._alignment, notices = alignment_for(self._config.align, self._movie, self._deltas, self._radius)
        maps = self._attributed()
        if (table := self._output.path / _EVENTS).is_file():
            read_events(table)  # its ticks are wanted at the end: if it is damaged, that is said now
        self._announce(notices)
        with self._output.filling():
            self._fill(maps)

    def _fill(self, maps: Iterator[AttributionMap]) -> None:
        from ..engine.files import write_yaml
        from ..engine.inference.events.events import find_events
        from ..engine.inference.events.table import write_events
        from ..engine.inference.events.threshold import suggest_threshold
        from ..engine.inference.stores.map_files import MapFiles
        from ..engine.movies.object_radius import radius_in_words

        config, output = self._config, self._output
        files = MapFiles(output.work, self._movie.movie, self._deltas, config.format, self._settings())
        radius = self._radius
        if config.radius is None:
            self._printer.line(
                f"Objects have a radius of {radius_in_words(radius)}, estimated from the movie (--radius changes it)."
            )
        events = find_events(self._kept(maps, files), self._movie, radius=radius, alignment=self._alignment)
        self._go_on()
        threshold = suggest_threshold(events) if config.threshold is None else config.threshold
        record = self._record(threshold, radius)
        if config.normalize_maps:
            self._printer.passing("Normalising the maps")
            record["normalised_by"] = {delta: list(pair) for delta, pair in files.normalise(config.signed).items()}
        files.close()
        self._draw(files, events, threshold, radius)
        write_yaml(output.work / _RECORD, record)
        self._keep_remarks(events)
        if (table := output.path / _EVENTS).is_file():  # its ticks are kept
            shutil.copyfile(table, output.work / _EVENTS)
        write_events(output.work / _EVENTS, events, threshold=threshold)
        output.put(last=_EVENTS)
        self._say(events, threshold)

    def _keep_remarks(self, events: Sequence[Event]) -> None:
        """Keep a copy of the table that is there, if what a user said in it would be lost with its events."""
        from ..engine.files import free_path, replacing
        from ..engine.inference.events.table import lost_remarks

        table = self._output.path / _EVENTS
        if lost := lost_remarks(table, events):
            copy = free_path(self._output.path / "events_before.csv")
            with replacing(copy) as file:
                file.write(table.read_bytes())
            self._printer.line(
                f"Note: ticks or remarks of yours belong to {lost:,} event{'s' * (lost > 1)} that these settings do not"
                f" find; the earlier table is kept as {copy}."
            )

    def _announce(self, notices: list[str]) -> None:
        from ..engine.inference.stores import in_words

        frames, _, height, width = self._movie.movie.shape
        size = in_words(frames * height * width * 4 * len(self._deltas))
        steps = f"delta{'s' * (len(self._deltas) > 1)} {', '.join(map(str, self._deltas))}"
        self._printer.line(
            f"Maps ({self._config.map}) of {frames:,} frames, {steps}: {height:,} x {width:,} pixels, up to {size}."
        )
        if self._alignment is not None and self._config.align == "auto":
            notices = [*notices, "With --align no they are compared as they are."]
        for notice in notices:
            self._printer.line(notice)

    def _attributed(self) -> Iterator[AttributionMap]:
        from ..engine.inference import attribute

        config = self._config
        return attribute(
            self._trained.network,
            self._movie,
            self._deltas,
            kind=config.map,
            class_id=config.class_id,
            signed=config.signed,
            all_frames=config.all_frames,
            memory=config.memory,
            alignment=self._alignment,
        )

    def _kept(self, maps: Iterator[AttributionMap], files: MapFiles) -> Iterator[AttributionMap]:
        """Write each map, and pass it on without its signs, as events are sought in it."""
        from dataclasses import replace

        self._whole = False
        for one in follow(maps, self._printer, self._control, "Attribution", "pair"):
            files.put(one)
            yield replace(one, map=self._shown(one.map))
            self._whole = one.done == one.total

    def _go_on(self) -> None:
        if not self._whole or self._control.stopping:
            raise StoppedError

    def _draw(self, files: MapFiles, events: Sequence[Event], threshold: float, radius: float) -> None:
        from ..engine.inference.events.pictures import draw_events, inset_side

        movie, config = self._movie.movie, self._config
        self._printer.passing("Drawing the strongest events")
        draw_events(
            events[: config.count],
            movie,
            lambda event: self._map_of(files, event),
            self._output.work / _SHEET,
            size=inset_side(radius),
            threshold=threshold,
            alignment=self._alignment,
        )
        if config.overlay != "none":
            self._draw_overlay(files, [event for event in events if event.score >= threshold], radius)

    def _map_of(self, files: MapFiles, event: Event) -> np.ndarray | None:
        from ..engine.inference.events.pictures import frame_rows

        return self._read(files, event.pair[1] - event.pair[0], frame_rows(self._movie.movie, event.pair)[0])

    def _read(self, files: MapFiles, delta: int, index: int) -> np.ndarray | None:
        map = files.read(delta, index)
        return None if map is None else self._shown(map)

    def _shown(self, map: np.ndarray) -> np.ndarray:
        """Take the signs away for pictures and events."""
        from ..engine.inference.maps.making import without_signs

        return without_signs(map, self._config.map) if self._config.signed else map

    def _draw_overlay(self, files: MapFiles, events: Sequence[Event], radius: float) -> None:
        from ..engine.inference.events.overlay import draw_overlay, shown_strongest

        config, delta = self._config, self._deltas[0]
        top = shown_strongest(self._shown(map) for map in files.maps(delta, _PICTURED))
        drawn = draw_overlay(
            self._output.work / f"overlay.{config.overlay}",
            self._movie.movie,
            lambda index: self._read(files, delta, index),
            top,
            events,
            radius=2 * radius,
            format="mp4" if config.overlay == "mp4" else "gif",
        )
        for _ in follow(drawn, self._printer, self._control, "Overlay movie"):
            pass
        if self._control.stopping:
            raise StoppedError

    def _say(self, events: Sequence[Event], threshold: float) -> None:
        above = sum(event.score >= threshold for event in events)
        origin = "given" if self._config.threshold is not None else "chosen without labels"
        for path in self._output.there():
            text = str(path)
            if path.name == _EVENTS:
                text += f" ({len(events):,}; {above:,} reach the threshold {threshold:.3g}, {origin})" * bool(events)
            if label := next((label for start, label in _LABELS.items() if path.name.startswith(start)), None):
                self._printer.line(f"{label + ':':<15}{text}")

    def _settings(self) -> dict[str, Any]:
        from ..engine.inference.stores import embedding_settings

        names = ("map", "class_id", "signed", "all_frames", "normalize_maps")
        options = {name: getattr(self._config, name) for name in names} | {"aligned": self._alignment is not None}
        return embedding_settings(self._trained.network, self._movie, **options)

    def _record(self, threshold: float, radius: float) -> dict[str, Any]:
        """Return what was made from what and how."""
        from .. import __version__

        return {
            "napari_tarrow": __version__,
            "model": self._config.model,
            "movie": self._movie.movie.source,
            "settings": {**self._settings(), "delta": list(self._deltas)},
            "threshold": threshold,
            "radius": radius,
        }


def _output(config: AttributeConfig) -> OutputFolder:
    """Refuse what cannot be written, before anything is read.

    Raises
    ------
    UserError
    """
    if not config.output:
        raise UserError("It is not said where to. Give -o FOLDER.")
    if config.overlay == "mp4":
        from ..engine.pictures.mp4 import check_mp4

        check_mp4()
    output = OutputFolder(config.output, _OURS, ".attribution.part")
    output.check(config.movie, config.model, overwrite=config.overwrite, kept=f" (ticks in {_EVENTS} are kept)")
    return output
