"""The YAML layer: places, merge keys, duplicates, and input that means harm."""

from __future__ import annotations

import time

import pytest

from console.workloads.compose import ComposeError, Policy, load
from tests.workloads.compose.helpers import problems


def test_all_problems_of_a_file_are_collected_with_their_places() -> None:
    found = problems(
        """\
        services:
          web:
            image: ${IMAGE:?give an image}
            imgae: nginx
            privileged: true
            ports:
              - "80:80"
              - target: 90
                published: abc
          db:
            image: postgres
            image: mysql
            volumes: [/etc:/etc]
        """
    )
    assert [(one.line, one.column, one.service, one.key, one.code) for one in found] == [
        (3, 12, "web", "services.web.image", "missing"),
        (4, 5, "web", "services.web.imgae", "invalid"),
        (5, 5, "web", "services.web.privileged", "refused"),
        (7, 9, "web", "services.web.ports[0]", "refused"),
        (8, 9, "web", "services.web.ports[1]", "invalid"),
        (12, 5, "db", "services.db", "invalid"),
        (13, 15, "db", "services.db.volumes[0]", "refused"),
    ]
    assert found[0].message == "variable IMAGE is required: give an image"
    assert found[1].message == "unknown key 'imgae'; did you mean image?"
    assert found[5].message == "the key 'image' is here twice"


def test_a_syntax_error_has_its_place() -> None:
    (found,) = problems("services:\n  web: [\n")
    assert (found.line, found.column, found.code) == (3, 1, "syntax")


def test_the_error_says_where_and_what() -> None:
    with pytest.raises(ComposeError, match=r"^line 1: services.web.pid: pid is not allowed"):
        load("services: {web: {image: a, pid: host}}")


def test_explicit_keys_win_over_merged_ones_and_earlier_merges_over_later() -> None:
    web = load(
        """
        x-a: &a {user: a, hostname: a, working_dir: /a}
        x-b: &b {user: b, hostname: b, image: b}
        services:
          web: {<<: [*a, *b], user: own}
        """
    ).services["web"]
    assert (web.user, web.hostname, web.working_dir, web.image) == ("own", "a", "/a", "b")


def test_a_quoted_merge_key_is_an_ordinary_key() -> None:
    (found,) = problems('services: {web: {image: a, "<<": {user: b}}}')
    assert (found.code, found.key) == ("invalid", "services.web.<<")


HOSTILE = {
    "alias bomb": "\n".join(
        f"x-{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(30)
    ),
    "merge bomb": "\n".join(
        f"x-{n}: &a{n} {{k{n}: 1, <<: [{','.join([f'*a{n - 1}'] * 9) if n else ''}]}}" for n in range(2000)
    ),
    "deep flow": "[" * 200_000,
    "deep block": "- " * 100_000,
    "deep maps": "{a: " * 60_000,
    "deep by aliases": "\n".join(
        f"x-{n}: &a{n} {'[' * 30}{f'*a{n - 1}' if n else 'x'}{']' * 30}" for n in range(20)
    ),
    "open keys": "? " * 100_000,
    "self alias": "x-a: &a [*a]",
    "python tag": 'x-a: !!python/object/apply:os.system ["true"]',
    "own tag": "x-a: !reset null",
    "binary tag": "x-a: !!binary aGk=",
    "wrong tag": "x-a: !!int hello",
    "collection tag": "x-a: !!set {a, b}",
    "merge of text": "x-a: {<<: text}",
    "number as key": "services: {80: {image: a}}",
    "null as key": "services: {~: {image: a}}",
    "list as key": "? [a]\n: b",
    "alias of a list as key": "x-a: &a [b]\nx-b: {*a : c}",
    "zero in a key": 'x-a: {"a\\0": 1}',
    "two documents": "services: {w: {image: a}}\n---\nservices: {}",
    "control character": "x-a: \x07",
    "zero character": "x-a: a\0b",
    "escaped zero": 'services: {w: {image: a, environment: {A: "\\0"}}}',
    "lone surrogate": "x-a: \ud800",
    "too large": "#" * 300_000,
    "many unknown keys": "services:\n w:\n  image: a\n" + "".join(f"  imag{n}: 1\n" for n in range(15_000)),
    "long unknown key": "services: {w: {image: a, " + "x" * 200_000 + ": 1}}",
    "many variables": 'x-a: "' + "${A}" * 60_000 + '"',
    "nested variables": 'x-a: "' + "${N:-" * 40_000 + "}" * 40_000 + '"',
    "open variables": "x-a: [" + ",".join(['"${"'] * 40_000) + "]",
    "wide": "x-a: [" + "a," * 100_000 + "]",
    "many ports": "services: {w: {image: a, ports: [" + ",".join(['"1-65535"'] * 9_000) + "]}}",
    "many env files": "services: {w: {image: a, env_file: [" + ",".join(["e"] * 19_000) + "]}}",
    "long image": "services: {w: {image: " + "a-" * 100_000 + "!}}",
    "long number": "services: {w: {image: a, scale: " + "9" * 200_000 + "}}",
    "long duration": "services: {w: {image: a, stop_grace_period: " + "1h" * 100_000 + "}}",
    "extended much": "services:\n  s0: {image: a, environment: {"
    + ", ".join(f"A{n}: 1" for n in range(15_000))
    + "}}\n"
    + "".join(f"  s{n}: {{extends: s0}}\n" for n in range(1, 99)),
    "circle": "services:\n" + "".join(f"  s{n}: {{extends: s{(n + 1) % 90}}}\n" for n in range(90)),
    "many services": "services:\n" + "".join(f"  s{n}: {{image: a}}\n" for n in range(2_000)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused_quickly(name: str) -> None:
    files, variables = {"e": "A=${A}\n" * 10}, {"A": "x" * 100_000}
    before = time.process_time()
    found = problems(HOSTILE[name], files=files, variables=variables)
    assert time.process_time() - before < 1.5
    assert len(found) <= 101
    assert all(len(one.message) < 500 and len(one.key) < 2_000 for one in found)


def test_a_long_chain_of_extends_is_read() -> None:
    text = (
        "services:\n" + "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(90)) + "  s90: {image: a}\n"
    )
    assert {service.image for service in load(text).services.values()} == {"a"}


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Policy(max_text=10), "services: {web: {image: a}}"),
        (Policy(max_nodes=3), "services: {web: {image: a}}"),
        (Policy(max_services=1), "services: {web: {image: a}, db: {image: a}}"),
        (Policy(max_expanded=3), "services: {web: {image: $A}}"),
        (Policy(max_content=3), "services: {web: {image: a}}\nconfigs: {c: {content: abcd}}"),
        (Policy(max_content=5), "services: {web: {image: a, configs: [c]}}\nconfigs: {c: {content: abcd}}"),
        (Policy(max_ports=1), "services: {web: {image: a, ports: [80, 81]}}"),
    ],
)
def test_bounds(policy: Policy, text: str) -> None:
    (found,) = problems(text, policy=policy, variables={"A": "abcd"})
    assert found.code == "limit"


def test_hostile_variables_and_files_are_refused() -> None:
    assert problems("services: {web: {image: a}}", variables={"A": "a\0"})[0].code == "invalid"
    text = "services: {web: {image: a, env_file: e}}"
    assert problems(text, files={"e": "A=a\0"})[0].key == "services.web.env_file"
