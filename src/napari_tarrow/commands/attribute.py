"""`napari-tarrow-attribute`: from a movie to its attribution maps and events, in a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from ..engine.config import AttributeConfig
from ..engine.errors import UserError
from ..engine.files import check_writable, make_folder, user_path
from .running import INTERRUPTED
from .using import follow, open_use, read_use, run_use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from ..engine.inference import AttributionMap, TrainedModel
    from ..engine.inference.events import Event
    from ..engine.inference.map_files import MapFiles
    from ..engine.movies import PreparedMovie
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
_WORK = ".attribution.part"  # in the output; one name, so that what a kill left is found
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
    output = _checked_output(config)

    from ..engine.training.control import Control
    from .progress import ProgressPrinter
    from .stopping import stopping

    printer, control = ProgressPrinter(), Control()
    work = output / _WORK
    try:
        with stopping(control):
            trained, movie = open_use(config, printer)
            _Job(config, output, work, trained, movie, printer, control).run()
    except _StoppedError:
        printer.line("Stopped. Nothing is kept.")
        return INTERRUPTED
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


class _StoppedError(Exception):
    """The user asked to stop, and something is left to do."""


class _Job:
    """What one command line asks for, one thing after the other.

    Everything is made in a folder of its own inside the output, and put in place once all is there.
    """

    def __init__(
        self,
        config: AttributeConfig,
        output: Path,
        work: Path,
        trained: TrainedModel,
        movie: PreparedMovie,
        printer: ProgressPrinter,
        control: Control,
    ) -> None:
        self._config, self._output, self._work = config, output, work
        self._trained, self._movie = trained, movie
        self._deltas = config.delta or (trained.delta,)
        self._printer, self._control = printer, control

    def run(self) -> None:
        from ..engine.inference.events import find_events, suggest_threshold
        from ..engine.movies.object_radius import object_radius

        config = self._config
        files = self._files()
        self._radius = object_radius(self._movie)
        events = find_events(self._made(files), self._movie, radius=self._radius)
        self._go_on()
        threshold = suggest_threshold(events) if config.threshold is None else config.threshold
        record = self._record(threshold)
        if config.normalize_maps:
            self._printer.passing("Normalising the maps")
            scales = files.normalise(signed=config.signed)
            record["normalised"] = {delta: list(scale) for delta, scale in scales.items()}
        files.close()
        self._draw(files, events, threshold)
        self._put(events, threshold, record)
        self._say(events, threshold)

    def _files(self) -> MapFiles:
        """Check what is asked for and lay out the maps."""
        from ..engine.inference.map_files import MapFiles
        from ..engine.inference.stores import in_words

        self._maps = self._attributed()
        frames, _, height, width = self._movie.movie.shape
        size = in_words(frames * height * width * 4 * len(self._deltas))
        steps = f"delta{'s' * (len(self._deltas) > 1)} {', '.join(map(str, self._deltas))}"
        self._printer.line(
            f"Maps ({self._config.map}) of {frames:,} frames, {steps}: {height:,} x {width:,} pixels, up to {size}."
        )
        make_folder(self._output)
        shutil.rmtree(self._work, ignore_errors=True)
        make_folder(self._work)
        return MapFiles(self._work, self._movie.movie, self._deltas, self._config.format, self._settings())

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
        )

    def _made(self, files: MapFiles) -> Iterator[AttributionMap]:
        """Write each map, and pass it on without its signs, as events are sought in it."""
        from dataclasses import replace

        from ..engine.inference.maps import without_signs

        self._whole = False
        for one in follow(self._maps, self._printer, self._control, "Attribution", "pair"):
            files.put(one)
            yield replace(one, map=without_signs(one.map, self._config.map)) if self._config.signed else one
            self._whole = one.done == one.total

    def _go_on(self) -> None:
        if not self._whole or self._control.stopping:
            raise _StoppedError

    def _draw(self, files: MapFiles, events: Sequence[Event], threshold: float) -> None:
        from ..engine.inference.event_pictures import draw_events, inset_side

        movie, config = self._movie.movie, self._config
        self._printer.passing("Drawing the strongest events")
        draw_events(
            events[: config.count],
            movie,
            lambda event: self._map_of(files, event),
            self._work / _SHEET,
            size=inset_side(self._radius),
            threshold=threshold,
        )
        if config.overlay != "none":
            self._draw_overlay(files, [event for event in events if event.score >= threshold])

    def _map_of(self, files: MapFiles, event: Event) -> np.ndarray | None:
        from ..engine.inference.event_pictures import frame_rows

        delta = event.pair[1] - event.pair[0]
        return self._shown(files.read(delta, frame_rows(self._movie.movie, event.pair)[0]))

    def _shown(self, map: np.ndarray | None) -> np.ndarray | None:
        """Take the signs away for pictures."""
        from ..engine.inference.maps import without_signs

        return without_signs(map, self._config.map) if map is not None and self._config.signed else map

    def _draw_overlay(self, files: MapFiles, events: Sequence[Event]) -> None:
        import numpy as np

        from ..engine.inference.overlay import draw_overlay

        config, delta = self._config, self._deltas[0]
        looks = [self._shown(map) for map in files.maps(delta, _PICTURED)]
        top = float(np.percentile([np.percentile(map, 99.9) for map in looks if map is not None], 75))
        drawn = draw_overlay(
            self._work / f"overlay.{config.overlay}",
            self._movie.movie,
            lambda index: self._shown(files.read(delta, index)),
            top,
            events,
            radius=2 * self._radius,
            format="mp4" if config.overlay == "mp4" else "gif",
        )
        for _ in follow(drawn, self._printer, self._control, "Overlay movie"):
            pass
        if self._control.stopping:
            raise _StoppedError

    def _put(self, events: Sequence[Event], threshold: float, record: dict[str, Any]) -> None:
        """Put everything into its place; what an earlier attribution left, and this did not make, goes."""
        from ..engine.files import write_yaml
        from ..engine.inference.event_table import write_events

        write_yaml(self._work / _RECORD, record)
        write_events(self._output / _EVENTS, events, threshold=threshold)
        for old in _ours(self._output):
            if old.name != _EVENTS:
                _remove(old)
        for made in sorted(self._work.iterdir()):
            made.replace(self._output / made.name)

    def _say(self, events: Sequence[Event], threshold: float) -> None:
        above = sum(event.score >= threshold for event in events)
        origin = "given" if self._config.threshold is not None else "chosen without labels"
        names = [path.name for path in _ours(self._output) if path.name.startswith("maps_")]
        self._printer.line(f"{'Maps:':<15}{', '.join(str(self._output / name) for name in names)}")
        self._printer.line(
            f"{'Events:':<15}{self._output / _EVENTS} ({len(events):,}; {above:,} reach the threshold"
            f" {threshold:.3g}, {origin})"
        )
        self._printer.line(f"{'Contact sheet:':<15}{self._output / _SHEET}")
        if self._config.overlay != "none":
            self._printer.line(f"{'Overlay:':<15}{self._output / f'overlay.{self._config.overlay}'}")

    def _settings(self) -> dict[str, Any]:
        from ..engine.inference.stores import embedding_settings

        names = ("map", "class_id", "signed", "all_frames", "normalize_maps")
        options = {name: getattr(self._config, name) for name in names}
        return embedding_settings(self._trained.network, self._movie, **options)

    def _record(self, threshold: float) -> dict[str, Any]:
        """Return what was made from what and how."""
        from .. import __version__

        return {
            "napari_tarrow": __version__,
            "model": str(self._trained.folder),
            "movie": self._movie.movie.source,
            "settings": {**self._settings(), "delta": list(self._deltas)},
            "threshold": threshold,
        }


def _checked_output(config: AttributeConfig) -> Path:
    """Refuse what cannot be written, before anything is read.

    Raises
    ------
    UserError
    """
    if not config.output:
        raise UserError("It is not said where to. Give -o FOLDER.")
    output = user_path(config.output)
    check_writable(output)
    if config.overlay == "mp4":
        from ..engine.pictures.mp4 import check_mp4

        check_mp4()
    there = _ours(output)
    if there and not config.overwrite:
        raise UserError(
            f"{there[0]} is there already. Choose another output, or give --overwrite to replace it (ticks in {_EVENTS}"
            " are kept)."
        )
    return output


def _ours(output: Path) -> list[Path]:
    return [path for pattern in _OURS for path in sorted(output.glob(pattern))]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
