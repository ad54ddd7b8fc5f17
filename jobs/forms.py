"""The job form: the same keys as a job.yml, checked by the same spec."""

from typing import Any

import yaml
from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.forms.utils import ErrorDict
from pydantic import ValidationError

from jobs import lending
from jobs.models import Job
from jobs.spec import Input, Output, Resources, Spec, SpecErrors, load_yaml, parse

# Field of the form -> path in the job file.
PATHS = {
    "name": "name",
    "command": "command",
    "workdir": "workdir",
    "environment": "environmentVars",
    "packages": "packages.pip",
    "keys": "keys",
    "data": "data",
    "input": "input",
    "output": "output",
    "cpu": "resources.cpu",
    "mem": "resources.mem",
    "gpu": "resources.gpu",
    "max_run_time": "maxRunTime",
    "restartable": "restartable",
    "preemptable": "preemptable",
    "bid": "bid",
    "tags": "tags",
    "line_buffered": "lineBuffered",
}


class ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Any number of uploaded files."""

    widget = ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        return [one for one in (data if isinstance(data, list) else [data]) if one]


class KeysField(forms.MultipleChoiceField):
    """Keys by name. Which there are is said by whoever shows the form; whether they may be attached is asked at the submission."""

    widget = forms.CheckboxSelectMultiple

    def valid_value(self, value: Any) -> bool:
        return True


class RowsWidget(forms.Widget):
    """Rows of the same few fields; a row is sent as one value of each field's name.

    `parts`: what a row has: the key in the job file -> the name of its field.
    """

    def __init__(self, parts: dict[str, str]) -> None:
        super().__init__()
        self.parts = parts

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, Any]]:
        if not hasattr(data, "getlist"):  # what a form began with, as if it was sent
            return list(data.get(name, ()))
        sent = {part: data.getlist(field) for part, field in self.parts.items()}
        rows = [
            {part: values[number].strip() for part, values in sent.items() if number < len(values)}
            for number in range(max(map(len, sent.values())))
        ]
        return [{part: value for part, value in row.items() if value} for row in rows]


class RowsField(forms.Field):
    """Rows as mappings, without those in which nothing is said but what goes without saying. `main`: the key that says it."""

    widget: RowsWidget

    def __init__(self, main: str, parts: dict[str, str], **options: Any) -> None:
        super().__init__(required=False, widget=RowsWidget(parts), **options)
        self.main = main

    def clean(self, value: Any) -> list[dict[str, Any]]:
        rows = [row | ({"always": True} if row.get("always") else {}) for row in value or []]
        return [row for row in rows if set(row) & {self.main, "key"}]


class JobForm(forms.Form):
    """Text fields in, a checked Spec out (`spec` after is_valid). What was typed stays when something is wrong."""

    name = forms.CharField(max_length=100, required=False)
    command = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="A shell command. A list of words, such as [python, train.py], runs without a shell.",
    )
    workdir = forms.CharField(
        required=False, label="Working directory", help_text="Relative to the job's own directory /work."
    )
    environment = forms.CharField(
        required=False,
        label="Environment variables",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="NAME=VALUE, one in a line.",
    )
    packages = forms.CharField(
        required=False,
        label="Python packages",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="As for pip, one in a line: torch==2.9.1",
    )
    keys = KeysField(
        required=False,
        label="Third-party keys",
        help_text="As variables and files, as the tools of each service expect them. Who can open the job can read them.",
    )
    data = forms.CharField(  # type: ignore[assignment]
        required=False,
        label="Datasets, models and volumes",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="NAME[@version][/part]:/path, one in a line; the job reads them there, and writes into volumes unless :ro follows. "
        "personal:NAME is of your Personal project, PROJECT.NAME of another one whose owner lets jobs of other projects read its data; "
        f"{lending.STAYS}.",
    )
    input = RowsField(
        "from",
        {"from": "input_from", "to": "input_to", "key": "input_key"},
        label="Inputs from elsewhere",
        help_text="gs://BUCKET/PATH, s3://BUCKET/PATH or https://…, fetched before the job starts; it reads them at its path. "
        "The key stays with the server.",
    )
    output = RowsField(
        "to",
        {"to": "output", "key": "output_key", "existing": "output_existing", "always": "output_always"},
        label="Output becomes",
        help_text="model:NAME or dataset:NAME, new or a new version; gs:// or s3://BUCKET/PATH with a key. Artifacts stay in any case.",
    )
    cpu = forms.CharField(required=False, label="CPU cores")
    mem = forms.CharField(required=False, label="Memory (GiB)")
    gpu = forms.CharField(required=False, label="GPUs")
    max_run_time = forms.CharField(required=False, label="Time limit (seconds)", help_text="Empty: none.")
    restartable = forms.BooleanField(
        required=False, help_text="Runs again as a new attempt when the host is lost or it is preempted."
    )
    preemptable = forms.BooleanField(required=False, help_text="May be interrupted by a job with a higher bid.")
    bid = forms.CharField(required=False, help_text="0 to 100; higher bids start first.")
    tags = forms.CharField(required=False, help_text="Separated by commas.")
    line_buffered = forms.BooleanField(required=False, label="Line-buffered output")
    files = ManyFilesField(  # type: ignore[assignment]
        required=False, label="Files", help_text="They lie in the working directory when the command starts."
    )
    job_yml = forms.FileField(required=False, label="job.yml")

    spec: Spec
    opening: tuple[tuple[str, str], ...] | list[tuple[str, str]] = ()

    def clean(self) -> dict[str, Any]:
        """Builds the spec; its errors go to the fields that they are about."""
        try:
            self.spec = parse(self._uploaded() or self.as_data())
        except SpecErrors as error:
            self.add_spec_errors(error)
        return self.cleaned_data

    def offer_keys(self, choices: list[tuple[str, str]]) -> None:
        """The keys that there are, as (name, in words), and those that were chosen and are no more."""
        chosen = self["keys"].value() or []
        gone = [(name, f"{name} (not in this project)") for name in chosen if name not in dict(choices)]
        self.fields["keys"].choices = [*choices, *gone]  # type: ignore[attr-defined]

    def offer_opening(self, choices: list[tuple[str, str]]) -> None:
        """The keys that open buckets, as (name, in words)."""
        self.opening = choices

    def rows(self, field: str) -> list[dict[str, Any]]:
        """What a field of rows shows: those that are filled, or an empty one; each with the keys that may be chosen for it."""
        typed = [row for row in self[field].value() or [] if set(row) - {"existing", "always"}]
        return [self.row(**one) for one in typed or [{}]]

    def row(self, **filled: Any) -> dict[str, Any]:
        """One row with what is filled in it."""
        row = dict.fromkeys(("from", "to", "key", "existing", "always"), "") | filled
        gone = (
            [(row["key"], f"{row['key']} (not in this project)")] if row["key"] not in {"", *dict(self.opening)} else []
        )
        return row | {"offered": [*self.opening, *gone]}

    def resources(self) -> Resources:
        """The amounts that were typed, as far as they make sense; the defaults where they do not."""
        try:
            return Resources.model_validate(self.as_data().get("resources", {}))
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors()}
            typed = self.as_data()["resources"]
            return Resources.model_validate({key: value for key, value in typed.items() if key not in wrong})

    def start_anew(self) -> None:
        """Without any check of what was typed: room for the errors of an uploaded job.yml alone."""
        self.cleaned_data: dict[str, Any] = {}
        self._errors = ErrorDict()

    def add_spec_errors(self, error: SpecErrors) -> None:
        """Puts each error beside its field; what belongs to none of them goes to the top."""
        for path, message in error.errors:
            field = next((name for name, known in PATHS.items() if path == known or path.startswith(f"{known}.")), None)
            if path == "files" or (field is None and path == "job.yml"):
                field = "files" if path == "files" else "job_yml"
            self.add_error(field, _in_row(path, message) if field else f"{path}: {message}")

    def _uploaded(self) -> Any:
        """The data of an uploaded job.yml, when it alone is what was submitted."""
        file = self.cleaned_data.get("job_yml")
        if not file or self.cleaned_data.get("command"):
            return None
        return load_yaml(file.read())

    def as_data(self) -> dict[str, Any]:
        """What was typed, in the shape of a job.yml; empty fields are left out, numbers are read as YAML reads them."""
        typed = getattr(self, "cleaned_data", {})
        data: dict[str, Any] = {}
        for field, path in PATHS.items():
            value = _read(field, typed.get(field))
            if value not in ("", None, [], False):
                _put(data, path, value)
        return data


def _in_row(path: str, message: str) -> str:
    """What is wrong, with the row of the field in which it is."""
    kind, *rest = path.split(".")
    if kind not in {"input", "output"} or not rest:
        return message
    return f"{kind.capitalize()} {int(rest[0]) + 1}{''.join(f', {part}' for part in rest[1:])}: {message}"


def _read(field: str, value: Any) -> Any:
    if field == "command":
        return _command(value or "")
    if field in {"environment", "packages", "data"}:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]
    if field == "tags":
        return [tag.strip() for tag in (value or "").split(",") if tag.strip()]
    if field in {"cpu", "mem", "gpu", "max_run_time", "bid"}:
        return _number((value or "").strip())
    return value


def _command(text: str) -> Any:
    """A list of words when it is written as one, else shell text."""
    text = text.replace("\r\n", "\n").strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            words = load_yaml(text)  # short, and without aliases: a few of them can stand for gigabytes
        except SpecErrors:
            return text
        if isinstance(words, list) and words and all(isinstance(word, str | int | float) for word in words):
            return [str(word) for word in words]
    return text


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
    data[last] = value


def initial_of(spec: Spec) -> dict[str, Any]:
    """The form's fields for a spec: of a clone, or of an uploaded job.yml."""
    command = (
        spec.command
        if isinstance(spec.command, str)
        else yaml.safe_dump(spec.command, default_flow_style=True, width=10**6).strip()
    )
    return {
        "name": spec.name,
        "command": command,
        "workdir": "" if spec.workdir == "." else spec.workdir,
        "environment": "\n".join(f"{name}={value}" for name, value in spec.environment_vars.items()),
        "packages": "\n".join(spec.packages.pip),
        "keys": spec.keys,
        "data": "\n".join(spec.data),
        "input": [_row(one) for one in spec.input],
        "output": [_row(one) for one in spec.output],
        "cpu": f"{spec.resources.cpu:g}",
        "mem": f"{spec.resources.mem:g}",
        "gpu": str(spec.resources.gpu),
        "max_run_time": spec.max_run_time or "",
        "restartable": spec.restartable,
        "preemptable": spec.preemptable,
        "bid": str(spec.bid),
        "tags": ", ".join(spec.tags),
        "line_buffered": spec.line_buffered,
    }


def _row(one: Input | Output) -> dict[str, Any]:
    return one.model_dump(by_alias=True, exclude_none=True, mode="json")


def initial_from_last(job: Job | None) -> dict[str, Any]:
    """Sensible defaults: the amounts of the person's last job here."""
    resources = Spec.model_validate(job.spec).resources if job else Spec(command="true").resources
    return {"cpu": f"{resources.cpu:g}", "mem": f"{resources.mem:g}", "gpu": str(resources.gpu), "bid": "0"}
