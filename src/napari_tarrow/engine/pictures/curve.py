"""The learning curve as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from .page import FADED, FONT, INK, new_figure, points, save_png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

TRAIN, VAL = "#4477aa", "#dd6633"


class EpochMetrics(Protocol):
    """What is drawn of one epoch."""

    @property
    def loss(self) -> float:
        """Cross-entropy."""

    @property
    def loss_decorr(self) -> float:
        """Decorrelation loss."""

    @property
    def accuracy(self) -> float:
        """Share of right answers."""

    @property
    def accuracy_change(self) -> float:
        """The same, every pair weighted by its change."""

    @property
    def lr(self) -> float:
        """Learning rate."""


def learning_curve(
    train: Sequence[EpochMetrics],
    val: Sequence[EpochMetrics],
    best_epoch: int,
    path: Path,
    *,
    chance: float = 0.5,
    title: str = "",
) -> None:
    """Draw loss, accuracy, decorrelation and learning rate of every epoch as a PNG.

    Parameters
    ----------
    train, val : sequences, one entry per epoch from 1 on
    best_epoch : int
        Marked by a line; 0 for none.
    chance : float
        Accuracy of guessing.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    figure = new_figure(1400, 520)
    grid = figure.add_gridspec(
        2, 3, width_ratios=(3, 3, 2), left=0.05, right=0.985, top=0.83, bottom=0.12, wspace=0.2, hspace=0.42
    )
    loss, accuracy = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    rate, decorrelation = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    for metrics, colour, name in ((train, TRAIN, "training"), (val, VAL, "validation")):
        _line(loss, [m.loss for m in metrics], colour, name)
        _line(accuracy, [m.accuracy for m in metrics], colour, name)
        _line(accuracy, [m.accuracy_change for m in metrics], colour, "", faint=True)
        _line(decorrelation, [m.loss_decorr for m in metrics], colour, "")
    _line(rate, [m.lr for m in train], INK, "")
    accuracy.plot([], [], color=FADED, label="weighted by change", **_FAINT)
    for axes, level in ((loss, -math.log(chance)), (accuracy, chance)):
        _guides(axes, level, best_epoch)
    headings = {loss: "Loss", accuracy: "Accuracy", rate: "Learning rate", decorrelation: "Decorrelation loss"}
    for axes, heading in headings.items():
        _dress(axes, heading, max(len(train), len(val)))
    style: dict[str, Any] = {"weight": "bold", "color": INK, "fontfamily": FONT, "va": "center", "parse_math": False}
    figure.text(0.012, 0.955, title, fontsize=points(18), **style)
    legend: dict[str, Any] = {"frameon": False, "prop": {"family": FONT, "size": points(14)}, "labelcolor": INK}
    figure.legend(
        *accuracy.get_legend_handles_labels(), loc="center right", bbox_to_anchor=(0.99, 0.955), ncols=5, **legend
    )
    save_png(figure, path)


_FAINT: dict[str, Any] = {"ls": "--", "lw": 1.3, "alpha": 0.6}


def _line(axes: Axes, values: Sequence[float], colour: str, name: str, faint: bool = False) -> None:
    style: dict[str, Any] = _FAINT if faint else {"ls": "-", "lw": 2.0 if len(values) <= 60 else 1.4}
    marker = "o" if len(values) == 1 or (len(values) <= 30 and not faint) else ""
    axes.plot(range(1, len(values) + 1), values, color=colour, label=name, marker=marker, ms=4, **style)


def _guides(axes: Axes, chance: float, best_epoch: int) -> None:
    axes.axhline(chance, color=FADED, lw=1.2, ls=":", label="chance", zorder=1)
    if best_epoch:
        axes.axvline(best_epoch, color=VAL, lw=1, alpha=0.5, zorder=1, label=f"best epoch: {best_epoch}")
    axes.set_xlabel("epoch", fontsize=points(14), color=FADED, fontfamily=FONT)


def _dress(axes: Axes, heading: str, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(heading, loc="left", fontsize=points(16), color=INK, fontfamily=FONT)
    axes.set_facecolor("white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FADED)
    axes.tick_params(colors=FADED, labelsize=points(13), labelfontfamily=FONT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlim(0.5, max(epochs, 1) + 0.5)
    axes.grid(axis="y", color="#e4e4e4", lw=0.8)
    axes.set_axisbelow(True)
