"""`napari-tarrow-embed`: the dense embedding of a movie, its components as colours, and a table of its objects."""

from __future__ import annotations

import filecmp
import os
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..engine.config import EmbedConfig
from ..engine.errors import UserError
from .embed_targets import targets_of
from .using import StoppedError, follow, open_use, read_use, run_stoppable, run_use

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from ..engine.inference.stores import EmbeddingPlan, ImageStore
    from ..engine.movies import Movie
    from ..engine.training.control import Control
    from .embed_targets import Targets
    from .progress import ProgressPrinter

PROGRAM = "napari-tarrow-embed"
_DESCRIPTION = """
Compute the dense embedding of every frame of a movie with a trained model, and write it frame by frame. Normalisation,
subsampling and channels are those that the model was trained with.
"""
_EPILOG = f"""
Examples: `{PROGRAM} MODEL movie.tif -o embedding.zarr` writes the embedding, with `--pca 3` a colour movie of its
principal components as well; `{PROGRAM} MODEL movie.tif --labels nuclei.tif --table nuclei.csv` writes only the mean
embedding of every nucleus. What was stopped or killed goes on with the same command, and
what is there already is not made again.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Embed a movie as a command line says.

    Parameters
    ----------
    argv
        The words after the command's name; those of this process where nothing is given.

    Returns
    -------
    int
        Exit code: 0 all is written, 2 something to mend (said in one line), 130 stopped.
    """
    return run_use(PROGRAM, lambda: _embed(sys.argv[1:] if argv is None else argv))


def _embed(argv: Sequence[str]) -> int:
    config = read_use(PROGRAM, _DESCRIPTION, _EPILOG, EmbedConfig, argv)
    targets = targets_of(config)

    def job(printer: ProgressPrinter, control: Control, closing: ExitStack) -> None:
        _Job(config, targets, printer, control, closing).run()

    kept = "Finished frames are kept: the same command goes on." if targets.resumable else "Nothing is kept."
    return run_stoppable(job, saves=targets.resumable, kept=kept)


AnyStep = TypeVar("AnyStep", bound=Any)


class _Job:
    """What one command line asks for, one thing after the other."""

    def __init__(
        self, config: EmbedConfig, targets: Targets, printer: ProgressPrinter, control: Control, closing: ExitStack
    ) -> None:
        self._config, self._targets = config, targets
        self._printer, self._control, self._closing = printer, control, closing

    def run(self) -> None:
        from ..engine.inference.embeddings.object_table import check_table

        config = self._config
        self._check()
        plan, labels = self._open()
        if self._targets.image is None:
            assert labels is not None
            self._pool(plan.blocks(memory=config.memory), plan, labels)
            return
        store = self._image(plan, self._targets.image)
        if self._targets.table and store.missing:
            check_table(self._targets.table, overwrite=config.overwrite)
        colours = self._colours(plan, self._targets.components)
        self._embed(store, plan)
        if colours is not None:
            self._colour(store, colours)
        if labels is not None:
            from ..engine.inference.stores import stored_parts

            self._pool(stored_parts(store, indices=plan.frames), plan, labels)

    def _check(self) -> None:
        """Refuse what cannot be, before anything is read."""
        from ..engine.inference.embeddings.object_table import check_table
        from ..engine.inference.stores import check_apart

        config = self._config
        sources = {"model": config.model, "movie": config.movie, "label movie": config.labels}
        for path in self._targets:
            check_apart(path, [(name, source) for name, source in sources.items() if source])
        if self._targets.table:
            check_table(self._targets.table, overwrite=config.overwrite or self._table_may_be_made_again)

    @property
    def _table_may_be_made_again(self) -> bool:
        """Whether the table costs no embedding, so that it may turn out to be the one that is there already."""
        image = self._targets.image
        return image is not None and self._targets.resumable and image.exists()

    def _open(self) -> tuple[EmbeddingPlan, Movie | None]:
        from ..engine.inference.embeddings.pooling import open_labels
        from ..engine.inference.stores import plan_embedding

        config = self._config
        trained, movie = open_use(config, self._printer)
        labels = None
        if config.labels:
            labels = open_labels(config.labels, movie.movie, n_images=config.n_images, axes=config.axes)
        whole = self._targets.tif or self._targets.image is None
        dtype: Literal["float16", "float32"] = config.dtype or ("float32" if whole else "float16")
        plan = plan_embedding(
            trained.network, movie, layer=config.layer, grid=config.grid, dtype=dtype, frames=config.frames
        )
        if config.pca > plan.shape[1]:
            raise UserError(f"--pca {config.pca} asks for more components than the embedding has: {plan.shape[1]}.")
        return plan, labels

    def _image(self, plan: EmbeddingPlan, path: Path) -> ImageStore:
        from ..engine.inference.stores import in_words, open_store, open_tif_store

        frames, features, height, width = plan.shape
        besides = frames * self._config.pca * height * width
        self._printer.line(
            f"Embedding of {frames:,} frame{'s' * (frames != 1)}: {features} features of {height:,} x {width:,} pixels,"
            f" {plan.dtype}; up to {in_words(frames * plan.frame_bytes)}"
            f"{f' and {in_words(besides)} for colours' * bool(besides)}."
        )
        options: dict[str, Any] = {
            "calibration": plan.calibration,
            "overwrite": self._config.overwrite,
            "besides": besides,
            "advice": "--grid network makes it smaller." * plan.repeated,
        }
        if self._targets.tif:
            store: ImageStore = open_tif_store(path, plan.shape, plan.dtype, **options)
        else:
            settings = plan.settings
            version = self._config.ome_zarr
            store = open_store(path, plan.shape, plan.dtype, settings, version=version, about=self._about(), **options)
        self._closing.callback(store.close)
        return store

    def _colours(self, plan: EmbeddingPlan, path: Path | None) -> ImageStore | None:
        from ..engine.inference.stores import open_store, open_tif_store

        if path is None:
            return None
        count = self._config.pca
        shape = (plan.shape[0], count, *plan.shape[2:])
        options: dict[str, Any] = {"calibration": plan.calibration, "overwrite": self._config.overwrite}
        if self._targets.tif:
            store: ImageStore = open_tif_store(path, shape, "uint8", rgb=count == 3, **options)
        else:
            settings = {**plan.settings, "embedding": plan.dtype}
            version = self._config.ome_zarr
            store = open_store(path, shape, "uint8", settings, version=version, about=self._about(), **options)
        self._closing.callback(store.close)
        return store

    def _embed(self, store: ImageStore, plan: EmbeddingPlan) -> None:
        from ..engine.inference.stores import fill

        finished = plan.shape[0] - len(store.missing)
        if finished:
            goes_on = "going on with the others" if store.missing else "nothing is left to do"
            self._printer.line(f"{finished:,} of {plan.shape[0]:,} frames are there already; {goes_on}.")
        for _ in self._following(fill(store, plan, self._config.memory), "Embedding"):
            pass
        store.close()
        self._printer.line(f"{'Embedding:':<12}{store.path}")

    def _colour(self, store: ImageStore, colours: ImageStore) -> None:
        from ..engine.inference.embeddings.components import ComponentFit
        from ..engine.inference.stores import stored_parts

        if colours.missing:
            fit = ComponentFit(self._config.pca)
            for part in self._following(stored_parts(store), "Fitting components"):
                fit.add(part.values)
            components = fit.result()
            shares = ", ".join(f"{share:.1%}" for share in components.explained)
            self._printer.line(f"Components explain {shares} of the variance.")
            for part in self._following(stored_parts(store, colours.missing), "Writing components"):
                colours.write_block(part.index, part.y, part.x, components.apply(part.values))
            colours.close()
        self._printer.line(f"{'Components:':<12}{colours.path}")

    def _pool(self, parts: Iterable[Any], plan: EmbeddingPlan, labels: Movie) -> None:
        path = self._targets.table
        assert path is not None
        old = path.exists() and not self._config.overwrite
        made = path.with_name(f".{path.stem}.{os.getpid()}.new{path.suffix}") if old else path
        try:
            rows = self._write_table(made, parts, plan, labels)
            if old and not filecmp.cmp(made, path, shallow=False):
                raise UserError(
                    f"{path} is there already, and these labels and this embedding give another one. Choose another"
                    " --table, or give --overwrite to replace it."
                )
        finally:
            if old:
                made.unlink(missing_ok=True)
        if not rows:
            self._printer.line(
                f"Note: {self._config.labels} holds no object in these frames (no number above 0): the table is empty."
            )
        self._printer.line(f"{'Objects:':<12}{path} ({rows:,} rows{', there already' * old})")

    def _write_table(self, path: Path, parts: Iterable[Any], plan: EmbeddingPlan, labels: Movie) -> int:
        """Return how many rows there are."""
        from ..engine.inference.embeddings.object_table import table_writer
        from ..engine.inference.embeddings.pooling import FramePool, read_labels

        numbers = plan.movie.movie.frame_numbers
        rows = 0
        with table_writer(path, plan.shape[1]) as add:
            for part in self._following(parts, "Pooling objects"):
                if part.y == part.x == 0:
                    frame = int(numbers[part.index])
                    pool = FramePool(read_labels(labels, part.index), sources=plan.sources, frame=frame)
                pool.add(part.y, part.x, part.values)
                if part.last:
                    table = pool.table()
                    add(table)
                    rows += len(table)
        return rows

    def _about(self) -> dict[str, Any]:
        from .. import __version__

        return {"version": __version__, "model_folder": self._config.model, "movie_path": self._config.movie}

    def _following(self, parts: Iterable[AnyStep], doing: str) -> Iterator[AnyStep]:
        """Pass on parts with a line of progress.

        Raises
        ------
        StoppedError
            If it was asked for, and this is not the end.
        """
        whole = False
        for part in follow(parts, self._printer, self._control, doing):
            yield part
            whole = part.last and part.done == part.total
        if self._control.stopping and not whole:
            raise StoppedError
