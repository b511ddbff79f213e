"""Fallbacks in all their forms, what is said of them, and what is found in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feathergate.config.fallback import find_fallbacks
from feathergate.config.load import load
from feathergate.config.schema import Config
from feathergate.errors import ConfigError


def read(tmp_path: Path, fallbacks: str, models: str = "abc", **environ: str) -> Config:
    file = tmp_path / "c.yaml"
    entries = "".join(f"- {{model_name: {name}, litellm_params: {{model: mock/echo}}}}\n" for name in models)
    file.write_text(f"model_list:\n{entries}router_settings:\n  fallbacks: {fallbacks}\n")
    return load(file, environ)


def warnings(tmp_path: Path, fallbacks: str) -> list[str]:
    notices = read(tmp_path, fallbacks).notices
    assert {(notice.level, notice.line) for notice in notices} <= {("warning", 6)}
    return [f"{notice.column}: {notice.what} ({notice.fix})" for notice in notices]


@pytest.mark.parametrize(
    "form",
    [
        "[{a: [b, c]}, {b: [c]}]",
        "{a: [b, c], b: [c]}",
        "[{a: [b, c]}, {b: c}]",
        "[{a: ['${B}', os.environ/C]}, {b: [c]}]",
        "[{a: [b, c]}, {b: [c]}, {a: [c]}]",
    ],
)
def test_every_form_of_fallbacks_is_one_table(tmp_path: Path, form: str) -> None:
    assert read(tmp_path, form, B="b", C="c").router.fallbacks == {"a": ("b", "c"), "b": ("c",)}


@pytest.mark.parametrize("form", ["[]", "{}", ""])
def test_no_fallbacks_are_an_empty_table(tmp_path: Path, form: str) -> None:
    assert read(tmp_path, form).router.fallbacks == {}


@pytest.mark.parametrize(
    ("form", "column", "words"),
    [
        ("a", 14, "router_settings.fallbacks must be a list of mappings, each of one model (write for example"),
        (
            "[a]",
            15,
            "fallbacks[0] names no model that it is a fallback of (write {model: [a]}, or write the name under",
        ),
        ("[{a: [b], b: [c]}]", 15, "fallbacks[0] must be a mapping of one model to its fallbacks (write for example"),
        ("[{a: 5}]", 19, "fallbacks[0].a must be a list of names of models (write for example a: [slow])"),
        ("[{a: [b, 5]}]", 23, "fallbacks[0].a[1] must be the name of a model (put it in quotes)"),
        ("{a: [{model: b}]}", 19, "fallbacks.a[0] must be the name of a model (write its model_name alone)"),
        ("{a: [b], c: [os.environ/NO]}", 27, "fallbacks.c[0]: environment variable NO is not set (export it"),
    ],
)
def test_form_that_is_none_is_refused_with_its_place(tmp_path: Path, form: str, column: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, form)
    [problem] = caught.value.problems
    assert words in str(problem)
    assert (problem.line, problem.column) == (6, column)


@pytest.mark.parametrize(
    ("form", "column", "words"),
    [
        (
            "[{a: [bb]}]",
            20,
            "router_settings.fallbacks[0].a[0]: there is no model bb (write a model_name of model_list",
        ),
        ("{aa: [b]}", 15, "router_settings.fallbacks.aa: there is no model aa to fall back from (write a model_name"),
        ("{a: [a]}", 19, "router_settings.fallbacks.a[0]: a falls back to itself (remove it here: retries are router"),
        ("{a: ['*']}", 19, "router_settings.fallbacks.a[0]: * is a pattern (name one model that it serves)"),
        ("[{a: [b]}, {a: [c]}]", 26, "router_settings.fallbacks: a stands here twice (only the first has an effect"),
        (
            "{a: [b], b: [c], c: [a]}",
            35,
            "fallbacks.c[0]: these fallbacks lead in a circle: a -> b -> c -> a (no model",
        ),
    ],
)
def test_fallback_that_leads_nowhere_new_is_warned_of(tmp_path: Path, form: str, column: int, words: str) -> None:
    [warning] = warnings(tmp_path, form)
    assert words in warning
    assert warning.startswith(f"{column}: ")


@pytest.mark.parametrize("form", ["{'*': [a, b]}", "{a: [b, c], b: [c]}", "{a: [mock/echo-of-nothing]}"])
def test_fallbacks_that_lead_on_are_not_warned_of(tmp_path: Path, form: str) -> None:
    file = tmp_path / "c.yaml"
    names = ("a", "b", "c", "mock/*")
    entries = ", ".join(f"{{model_name: '{name}', litellm_params: {{model: mock/echo}}}}" for name in names)
    file.write_text(f"model_list: [{entries}]\nrouter_settings: {{fallbacks: {form}}}")
    assert load(file, {}).notices == ()


def test_circles_are_told_once_each_and_few_of_them(tmp_path: Path) -> None:
    found = warnings(tmp_path, "{a: [b], b: [a, c], c: [b]}")
    assert ["a -> b -> a" in found[0], "b -> c -> b" in found[1], len(found)] == [True, True, 2]
    names = [f"m{number}" for number in range(60)]
    file = tmp_path / "c.yaml"
    file.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "m*", "litellm_params": {"model": "mock/echo"}}],
                "router_settings": {"fallbacks": dict.fromkeys(names, names)},
            }
        )
    )
    circles = [notice for notice in load(file, {}).notices if "circle" in notice.what]
    assert len(circles) == 20


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", ("own",)),
        ("openai/a", ("own",)),
        ("gpt-9", ("prefixed",)),
        ("openai/gpt-9", ("prefixed",)),
        ("mock/gpt-9", ("any",)),
        ("b", ("any",)),
    ],
)
def test_name_is_found_as_it_is_then_without_and_with_its_provider_then_as_any(
    name: str, expected: tuple[str, ...]
) -> None:
    fallbacks = {"*": ("any",), "a": ("own",), "openai/gpt-9": ("prefixed",)}
    assert find_fallbacks(fallbacks, name) == expected


def test_name_without_fallbacks_has_none() -> None:
    assert find_fallbacks({"a": ("b",)}, "c") == ()
    assert find_fallbacks({}, "") == ()
