"""One small editor per kind of option; each takes and gives values as the command line and a YAML file would."""

from __future__ import annotations

import shlex
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSpinBox,
    QToolButton,
    QWidget,
)

from ...engine.bundled import BUNDLED
from ...engine.config.kinds import Path
from .unwheeled import Unwheeled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

# What may be chosen or typed; the engine knows more networks only once torch is loaded.
SUGGESTED: dict[str, tuple[str, ...]] = {
    "backbone": (
        "unet", "unet_16fmaps", "lnet", "resnet32", "resnet32_32fmaps", "resnet_bioimage_wider", "resnet18", "simple",
        "id", "fpn_resnet",
    ),
    "projhead": ("minimal_batchnorm", "linear", "id", "three_3x3convs"),
    "classhead": ("minimal", "linear", "difference", "unet", "resnet18"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "subsample": ("auto", "1", "2", "3", "4"),
    "z": ("max", "mean"),
    "augment": ("auto", "0", "1", "2", "3", "4", "5"),
}  # fmt: skip
_LARGEST = 2**31 - 1  # of a spin box


class Editor(QWidget):
    """What shows and takes one value."""

    edited = Signal()  # by the user, not by `put`

    def __init__(self, inner: QWidget) -> None:
        super().__init__()
        self.inner = inner
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(inner, 1)
        self.setFocusProxy(inner)

    def get(self) -> Any:
        """Return the value for `Options.from_values`."""
        raise NotImplementedError

    def put(self, value: Any) -> None:
        """Show a value that has been checked."""
        raise NotImplementedError


def make_editor(name: str, field: FieldInfo) -> Editor:
    """Return the editor for an option.

    Parameters
    ----------
    name : str
    field : FieldInfo
        Its type, bounds and description, as `option` made them.
    """
    kind, optional = kind_of(field.annotation)
    if kind is bool:
        return _Flag()
    if get_origin(kind) is Literal and not optional:
        return _Choice([str(one) for one in get_args(kind)])
    if name in SUGGESTED:
        return _Choice(SUGGESTED[name], free=True)
    low, high = bounds_of(field)
    if kind is int and not optional and (high is None or high <= _LARGEST):
        return _Number(0 if low is None else low, _LARGEST if high is None else high)
    if _is_path(field):
        names = {one: bundled.title for one, bundled in BUNDLED.items()} if name == "init" else None
        return _Place(folder=name in ("init", "outdir", "model"), optional=optional, names=names)
    return _Text(kind, optional)


class _Flag(Editor):
    def __init__(self) -> None:
        self._box = QCheckBox()
        super().__init__(self._box)
        self._box.clicked.connect(lambda: self.edited.emit())

    def get(self) -> bool:
        return self._box.isChecked()

    def put(self, value: Any) -> None:
        self._box.setChecked(bool(value))


class _Choice(Editor):
    def __init__(self, choices: list[str] | tuple[str, ...], *, free: bool = False) -> None:
        self._box = _Combo()
        super().__init__(self._box)
        self._box.addItems(choices)
        self._box.setEditable(free)
        self._box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._box.setMinimumContentsLength(8)
        self._box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._box.activated.connect(lambda: self.edited.emit())
        if free:
            self._box.lineEdit().textEdited.connect(lambda: self.edited.emit())

    def get(self) -> str:
        return self._box.currentText()

    def put(self, value: Any) -> None:
        place = self._box.findText(str(value))
        if place >= 0:
            self._box.setCurrentIndex(place)
        elif self._box.isEditable():
            self._box.setEditText(str(value))
        if (line := self._box.lineEdit()) is not None:
            line.setCursorPosition(0)


class _Number(Editor):
    def __init__(self, low: int, high: int) -> None:
        self._box = _Spin()
        super().__init__(self._box)
        self._box.setRange(low, high)
        self._box.setKeyboardTracking(True)
        self._box.setGroupSeparatorShown(True)
        self._box.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self._box.valueChanged.connect(lambda: self.edited.emit())

    def get(self) -> int:
        return self._box.value()

    def put(self, value: Any) -> None:
        self._box.blockSignals(True)
        self._box.setValue(int(value))
        self._box.blockSignals(False)


class _Text(Editor):
    """A line: numbers with a fraction, texts, and several values one after the other."""

    def __init__(self, kind: Any, optional: bool) -> None:
        self.line = QLineEdit()
        super().__init__(self.line)
        self._several = get_origin(kind) is tuple
        self._quoted = self._several and kind_of(get_args(kind)[0])[0] is str
        self._plain = kind is not str
        self._optional = optional
        if optional:
            self.line.setPlaceholderText("not set")
        self.line.textEdited.connect(lambda: self.edited.emit())

    def get(self) -> Any:
        text = self.line.text()
        if self._optional and not text.strip():
            return None
        if self._several:
            return _split(text) if self._quoted else text.replace(",", " ").split()
        return text.strip() if self._plain else text

    def put(self, value: Any) -> None:
        self.line.setText(written(value))
        self.line.setCursorPosition(0)


class _Place(_Text):
    """A line for a path, with a button that asks for one, or offers what may be named in place of one.

    Parameters
    ----------
    names
        A title for each name.
    """

    def __init__(self, *, folder: bool, optional: bool, names: Mapping[str, str] | None = None) -> None:
        super().__init__(str, optional)
        self._folder = folder
        self.button = QToolButton()
        self.button.setText("…")
        self.layout().addWidget(self.button)
        kind = "a folder" if folder else "a file"
        self.button.setToolTip(f"Choose {kind}")
        if not names:
            self.button.clicked.connect(self._browse)
            return
        menu = QMenu(self.button)
        for name, title in names.items():
            menu.addAction(title).triggered.connect(partial(self._take, name))
        menu.addAction(f"Choose {kind}…").triggered.connect(self._browse)
        self.button.setMenu(menu)
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # it would hide the dots

    def _browse(self) -> None:
        ask = QFileDialog.getExistingDirectory if self._folder else QFileDialog.getOpenFileName
        answer = ask(self, "Choose", self.line.text())
        path = answer[0] if isinstance(answer, tuple) else answer
        if path:
            self._take(path)

    def _take(self, place: str, *_: bool) -> None:
        self.line.setText(place)
        self.edited.emit()


class _Combo(Unwheeled, QComboBox):
    pass


class _Spin(Unwheeled, QSpinBox):
    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


def written(value: Any) -> str:
    """Write a value as it would be given on the command line; nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        if value and all(isinstance(one, str) for one in value):
            return shlex.join(value)
        return " ".join(map(written, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """Strip ``Annotated`` and ``| None`` from a type; return the rest, and whether there was None."""
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = get_args(annotation)
        return kind_of(next(kind for kind in kinds if kind is not type(None)))[0], type(None) in kinds
    return annotation, False


def bounds_of(field: FieldInfo) -> tuple[int | None, int | None]:
    """Return the smallest and the largest whole number that an option takes, where it has such."""
    found: dict[str, Any] = {}
    for part in field.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(part, name, None) is not None:
                found[name] = getattr(part, name)
    low = found.get("ge", found["gt"] + 1 if "gt" in found else None)
    high = found.get("le", found["lt"] - 1 if "lt" in found else None)
    return low, high


def _is_path(field: FieldInfo) -> bool:
    checks = get_args(Path)[1:]
    parts = [*field.metadata]
    for kind in (field.annotation, *get_args(field.annotation)):
        parts += get_args(kind)[1:] if get_origin(kind) is Annotated else []
    return any(check in parts for check in checks)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark without its partner
        return text.split()
