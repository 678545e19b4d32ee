from __future__ import annotations

from datetime import timedelta

import pytest
import yaml
from django.utils import timezone

from console.web import numbers
from console.web.composing import DiffLine, differences, from_image


def test_an_image_alone_makes_the_smallest_file() -> None:
    assert yaml.safe_load(from_image(image="berth/demo")) == {
        "services": {"web": {"image": "berth/demo", "deploy": {"replicas": 1}}}
    }


def test_all_answers_reach_the_file() -> None:
    text = from_image(image="berth/demo", port=80, replicas=3, environment={"A": "yes", "N": "1", "P": "$5"})
    assert yaml.safe_load(text)["services"]["web"] == {
        "image": "berth/demo",
        "ports": ["80"],
        "environment": {"A": "yes", "N": "1", "P": "$$5"},
        "deploy": {"replicas": 3},
    }


def test_the_difference_of_two_texts() -> None:
    assert differences("a\nb\n", "a\nc\n") == [
        DiffLine("hunk", "@@ -1,2 +1,2 @@"),
        DiffLine("same", " a"),
        DiffLine("del", "-b"),
        DiffLine("add", "+c"),
    ]
    assert differences("a\n", "a\n") == []


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (8 * 1024**3, "8 GiB"), (1024**5, "1024 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert numbers.bytesize(size) == text


@pytest.mark.parametrize(
    ("cpu", "text"), [(0, "0"), (250, "0.25"), (1000, "1"), (10_000, "10"), (1500, "1.5")]
)
def test_cores(cpu: int, text: str) -> None:
    assert numbers.cores(cpu) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-30, "in 29 sec."),
        (0, "0 sec. ago"),
        (59, "59 sec. ago"),
        (60, "1 min. ago"),
        (7200, "2 hr. ago"),
        (200_000, "2 days ago"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert numbers.ago(timezone.now() - timedelta(seconds=seconds)) == text
