"""The job file: what is accepted, and how each mistake is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.forms import JobForm, initial_of
from jobs.spec import LARGEST, Spec, SpecErrors, parse, parse_yaml

FULL = """
name: digits
command: python train.py
workdir: src
environmentVars: {SEED: 7, DEBUG: true, RATE: 1e-3, MESSAGE: a=b=c}
packages: {pip: [scikit-learn, "torch==2.9.1"]}
resources: {cpu: 0.5, mem: 1.5, gpu: 1}
maxRunTime: 3600
restartable: true
preemptable: true
bid: 40
tags: [demo, night]
lineBuffered: true
"""


def errors_of(data):
    with pytest.raises(SpecErrors) as raised:
        parse(data) if isinstance(data, dict) else parse_yaml(data)
    return dict(raised.value.errors)


def test_a_full_job_file_is_read():
    spec = parse_yaml(FULL)
    assert spec.argv == ["stdbuf", "-oL", "/bin/bash", "-c", "python train.py"]
    assert spec.environment_vars == {"SEED": "7", "DEBUG": "true", "RATE": "1e-3", "MESSAGE": "a=b=c"}
    assert (spec.resources.cpu, spec.resources.mem, spec.resources.gpu) == (0.5, 1.5, 1)


def test_what_is_written_is_what_was_read():
    spec = parse_yaml(FULL)
    assert parse_yaml(spec.as_yaml()) == spec
    assert Spec.model_validate(spec.stored()) == spec


def test_a_list_of_words_runs_without_a_shell():
    assert parse({"command": ["python", "a b.py", "$HOME"]}).argv == ["python", "a b.py", "$HOME"]


def test_a_list_of_variables_keeps_all_after_the_first_equals_sign():
    assert parse({"command": "x", "environmentVars": ["A=b=c"]}).environment_vars == {"A": "b=c"}


def test_all_errors_are_told_at_once():
    wrong = {
        "command": "x",
        "resources": {"cpu": "many", "mem": -1, "gpus": 1},
        "bid": 101,
        "color": "red",
        "image": "debian",
    }
    found = errors_of(wrong)
    assert set(found) == {"resources.cpu", "resources.mem", "resources.gpus", "bid", "color", "image"}
    assert found["color"] == found["resources.gpus"] == "there is no such key"
    assert "containers" in found["image"]


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("command", {}),
        ("command", {"command": ""}),
        ("command", {"command": []}),
        ("command", {"command": ["a", 1]}),
        ("command", {"command": "a\0b"}),
        ("name", {"command": "x", "name": "two\nlines"}),
        ("name", {"command": "x", "name": "n" * 101}),
        ("workdir", {"command": "x", "workdir": "../.."}),
        ("environmentVars", {"command": "x", "environmentVars": {"1A": "x"}}),
        ("environmentVars", {"command": "x", "environmentVars": {"MLTEAM_JOB_ID": "x"}}),
        ("environmentVars", {"command": "x", "environmentVars": {"A": ["x"]}}),
        ("environmentVars", {"command": "x", "environmentVars": ["A"]}),
        ("packages.pip.0", {"command": "x", "packages": {"pip": ["--index-url=http://evil"]}}),
        ("maxRunTime", {"command": "x", "maxRunTime": 0}),
        ("tags.0", {"command": "x", "tags": ["a,b"]}),
        ("type", {"command": "x", "type": "mining"}),
        ("restartable", {"command": "x", "restartable": "perhaps"}),
        ("job.yml", "- a\n- b\n"),
        ("job.yml", "a: [1, 2"),
        ("job.yml", "command: x\ncommand: y\n"),
        ("job.yml", "a: &a [1]\nb: [*a, *a]\n"),
        ("job.yml", "? [1, 2]\n: x\n"),
        ("job.yml", "!!python/object/apply:os.system ['true']"),
        ("job.yml", "x" * (LARGEST + 1)),
    ],
)
def test_each_mistake_names_its_field(field, data):
    assert field in errors_of(data)


def test_deep_nesting_is_refused_not_followed():
    assert "job.yml" in errors_of("[" * 20_000)


@given(st.text(max_size=300))
def test_any_text_is_a_spec_or_a_spec_error(text):
    try:
        assert parse_yaml(text).argv
    except SpecErrors as error:
        assert error.errors


def test_the_form_makes_the_same_spec_as_the_file():
    spec = parse_yaml(FULL)
    form = JobForm({key: value for key, value in initial_of(spec).items() if value is not False})
    assert form.is_valid(), form.errors
    assert form.spec == spec


def test_the_form_puts_errors_beside_their_fields_and_keeps_what_was_typed():
    form = JobForm({"name": "x", "command": "", "cpu": "lots", "environment": "A", "bid": "7"})
    assert not form.is_valid()
    assert set(form.errors) == {"command", "cpu", "environment"}
    assert form["cpu"].value() == "lots"
    assert form["bid"].value() == "7"


def test_the_form_takes_a_list_of_words():
    form = JobForm({"command": "[python, train.py, --lr, '0.1']"})
    assert form.is_valid(), form.errors
    assert form.spec.argv == ["python", "train.py", "--lr", "0.1"]
