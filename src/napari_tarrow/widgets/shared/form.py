"""A form made from a set of options: the same fields, titles, descriptions and checks as the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ...engine.errors import UserError
from .editors import Editor, make_editor
from .sections import Folding, heading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from ...engine.options import Options


class OptionsForm(QWidget):
    """Editors for the fields of a set of options; what is wrong is said below the field.

    A field shows, in this order: what the user gave, what was proposed for it, what the preset says, its default.

    Parameters
    ----------
    options
        Described by `napari_tarrow.engine.options.option`.
    leave_out
        Fields that are not in the form.
    in_view
        Fields outside "Advanced", in this order; those marked basic where nothing is given.
    """

    changed = Signal()  # by the user or by the program; look at `problem` and `values`

    def __init__(
        self, options: type[Options], *, leave_out: Collection[str] = (), in_view: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self._options = options
        fields = {name: field for name, field in options.model_fields.items() if name not in leave_out}
        if in_view is None:
            in_view = [name for name, field in fields.items() if _extra(field)["basic"]]
        self._given: set[str] = set()
        self._proposed: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        self._rows: dict[str, _Row] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._rows_of({name: fields[name] for name in in_view}))
        rest = {name: field for name, field in fields.items() if name not in in_view}
        self.advanced = Folding("Advanced", self._groups_of(rest), opened=False)
        self.advanced.setVisible(bool(rest))
        layout.addWidget(self.advanced)
        widest = max(row.label.sizeHint().width() for row in self._rows.values())
        for row in self._rows.values():
            row.label.setMinimumWidth(widest)
        self._show_all()

    def values(self) -> dict[str, Any]:
        """Return every field as it stands in the form, for `Options.from_values`; not checked."""
        return {name: row.editor.get() for name, row in self._rows.items()}

    def given(self) -> dict[str, Any]:
        """Return what the user gave, and a preset: all else follows from these and what was proposed."""
        return {name: row.editor.get() for name, row in self._rows.items() if name in {"preset", *self._given}}

    def set_values(self, values: Mapping[str, Any], *, alone: bool = False) -> None:
        """Fill fields in as if the user had; with `alone`, forget what was given before.

        Raises
        ------
        UserError
            For an unknown name or a wrong value; the form stays as it is.
        """
        checked = self._options.from_values({name: values[name] for name in values})
        if alone:
            self._given = set()
        for name in values:
            if name in self._rows:
                self._rows[name].editor.put(getattr(checked, name))
                self._given.add(name)
        self._show_all()

    def propose(self, values: Mapping[str, Any]) -> None:
        """Show other values in fields that the user leaves alone; they win over the preset's."""
        self._proposed |= dict(values)
        self._show_all()

    def config(self) -> Options:
        """Return the options.

        Raises
        ------
        UserError
            If one is wrong.
        """
        return self._options.from_values(self.values(), called=self._titles())

    @property
    def problem(self) -> str | None:
        """What is wrong, in one sentence; None where nothing is."""
        return next(iter(self._problems.values()), None)

    def editor(self, name: str) -> Editor:
        """Return the editor of a field."""
        return self._rows[name].editor

    def problem_of(self, name: str) -> str:
        """Return what is said below a field; empty where it is right."""
        return self._problems.get(name, "")

    def _groups_of(self, fields: dict[str, FieldInfo]) -> QWidget:
        content = QWidget()
        inner = QVBoxLayout(content)
        inner.setContentsMargins(0, 0, 0, 0)
        for group in dict.fromkeys(_extra(field)["group"] for field in fields.values()):
            inner.addWidget(heading(group))
            inner.addLayout(self._rows_of({n: f for n, f in fields.items() if _extra(f)["group"] == group}))
        return content

    def _rows_of(self, fields: Mapping[str, FieldInfo]) -> QFormLayout:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(5)
        form.setHorizontalSpacing(8)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in fields.items():
            row = _Row(name, field)
            row.editor.edited.connect(lambda name=name: self._take(name))
            self._rows[name] = row
            form.addRow(row.label, row)
        return form

    def _take(self, name: str) -> None:
        self._given.add(name)
        if name == "preset":
            self._show_all()
        else:
            self._check()

    def _show_all(self) -> None:
        """Show in every field that was not given what it stands for."""
        preset = self._options.presets.get(self._preset(), {})
        for name, row in self._rows.items():
            if name not in self._given:
                default = self._options.model_fields[name].default
                row.editor.put(self._proposed.get(name, preset.get(name, default)))
        self._check()

    def _preset(self) -> str:
        if "preset" not in self._rows:
            return ""
        if "preset" in self._given:
            return str(self._rows["preset"].editor.get())
        return str(self._proposed.get("preset", self._options.model_fields["preset"].default))

    def _check(self) -> None:
        self._problems = self._find_problems()
        for name, row in self._rows.items():
            row.say(self._problems.get(name, ""))
        self.changed.emit()

    def _find_problems(self) -> dict[str, str]:
        values = self.values()
        try:
            self._options(**values)
        except ValidationError as error:
            wrong = [str(one["loc"][0]) for one in error.errors() if one["loc"]]
            return {name: self._sentence({name: values[name]}) for name in wrong} or self._contradiction(values)
        return {}

    def _contradiction(self, values: dict[str, Any]) -> dict[str, str]:
        """Return what fields say together; such a sentence begins with the name of one of them."""
        sentence = self._sentence(values)
        name = sentence.split(" ")[0]
        if name not in self._rows:
            return {"": sentence}
        return {name: sentence.replace(name, self._titles()[name], 1)}

    def _sentence(self, values: dict[str, Any]) -> str:
        try:
            self._options.from_values(values, called=self._titles())
        except UserError as error:
            return str(error)
        return ""

    def _titles(self) -> dict[str, str]:
        return {name: str(self._options.model_fields[name].title) for name in self._rows}


class _Row(QWidget):
    """An editor, and below it what is wrong with its value."""

    def __init__(self, name: str, field: FieldInfo) -> None:
        super().__init__()
        self.editor = make_editor(name, field)
        self.label = QLabel(str(field.title))
        self.label.setBuddy(self.editor)
        self._wrong = warning_label()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.editor)
        layout.addWidget(self._wrong)
        for widget in (self.label, self.editor, self.editor.inner):
            widget.setToolTip(f"<qt>{field.description}</qt>")
            widget.setAccessibleName(str(field.title))

    def say(self, problem: str) -> None:
        self._wrong.setText(problem)
        self._wrong.setVisible(bool(problem))


def warning_label() -> QLabel:
    """Return a label for a sentence about what is wrong: it wraps, and is hidden until it is needed."""
    label = QLabel()
    label.setObjectName("tarrow_warning")
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setStyleSheet("color: #e0604c;")  # reads well on napari's dark and light background
    label.hide()
    return label


def _extra(field: FieldInfo) -> dict[str, Any]:
    return cast("dict[str, Any]", field.json_schema_extra)
