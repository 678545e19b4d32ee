"""The gates behind `make check` find what they are for, and nothing in code that is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from ops import locks_check, migrations_check, security_check, translations_check
from ops.home import ROOT

HERE = Path("console/x.py")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import subprocess\nsubprocess.run('ls', shell=True)", "shell=True: pass a list of words"),
        ("import os\nos.system('ls')", "os.system is a shell"),
        ("import pickle", "pickle runs code from its data"),
        ("from pickle import loads", "pickle runs code from its data"),
        ("eval('1')", "eval runs text as code"),
        ("mark_safe('<b>')", "mark_safe skips HTML escaping"),
        ("html.mark_safe('<b>')", "mark_safe skips HTML escaping"),
        ("yaml.load(text)", "yaml.load builds any object: use safe_load"),
        ("App.objects.raw(f'SELECT {x}')", "raw() of a string put together: pass the values as parameters"),
        ("c.execute('SELECT %s' % x)", "execute() of a string put together: pass the values as parameters"),
        ("c.execute('SELECT ' + x)", "execute() of a string put together: pass the values as parameters"),
        (
            "c.execute('SELECT {}'.format(x))",
            "execute() of a string put together: pass the values as parameters",
        ),
    ],
)
def test_dangerous_code_is_found(code: str, why: str) -> None:
    assert list(security_check.findings(HERE, code)) == [f"{HERE}:{code.count(chr(10)) + 1}: {why}"]


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
        "c.execute('SELECT %s', [x])",
        "model.eval(x)",
        "mark_safe('<b>')  # checked: a constant",
    ],
)
def test_careful_code_is_let_through(code: str) -> None:
    assert list(security_check.findings(HERE, code)) == []


def test_templates_that_skip_escaping_are_found() -> None:
    text = "<p>{{ a }}</p>\n{{ b|safe }}\n{% autoescape off %}\n{{ c|safeseq }}\n"
    found = list(security_check.template_findings(Path("t.html"), text))
    assert found == ["t.html:2: skips HTML escaping", "t.html:3: skips HTML escaping"]


def test_our_own_lock_files_pass() -> None:
    for name in locks_check.LOCKS:
        assert locks_check.findings(name, (ROOT / name).read_text()) == []


def test_an_address_or_a_missing_hash_in_a_lock_is_found() -> None:
    digest = "0" * 64
    text = (
        "--index-url https://example.org/simple\n"
        f"good==1.0 \\\n    --hash=sha256:{digest}\n    # via x\n"
        f'marked[extra]==2.0 ; python_version < "3.12" \\\n    --hash=sha256:{digest}\n'
        "bad==3.0\n"
        "loose>=1\n"
    )
    assert locks_check.findings("r.txt", text) == [
        "r.txt: an address: --index-url https://example.org/simple",
        "r.txt: not pinned with a hash: bad==3.0",
        "r.txt: not pinned with a hash: loose>=1",
    ]


def test_texts_that_were_not_collected_and_fuzzy_ones_are_found(tmp_path: Path) -> None:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    committed, fresh = tmp_path / "committed.po", tmp_path / "fresh.po"
    committed.write_text(f'{head}msgid "Apps"\nmsgstr "应用"\n\n#, fuzzy\nmsgid "Node"\nmsgstr "节"\n')
    fresh.write_text(
        f'{head}msgid "Apps"\nmsgstr ""\n\nmsgid "Node"\nmsgstr ""\n\nmsgid "Teams"\nmsgstr ""\n'
    )
    assert translations_check.findings(committed, fresh, "zh") == [
        "zh: not collected: 'Teams'",
        "zh: fuzzy: 'Node'",
    ]


def _findings(*operations: Operation, **attributes: str) -> list[str]:
    """Of a migration that follows the newest ones."""
    made = type("Migration", (migrations.Migration,), {"operations": list(operations), **attributes})
    migration = made("9999_next", "cluster")
    return migrations_check.findings("cluster", migration, MigrationLoader(None).project_state())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("node", "rack", models.CharField(max_length=9, default="")),
        migrations.AddField("node", "rack", models.CharField(max_length=9, unique=True, db_default="")),
        migrations.RemoveField("node", "zone"),
        migrations.RenameField("node", "zone", "room"),
        migrations.DeleteModel("rotation"),
        migrations.AlterField("node", "zone", models.CharField(max_length=10)),
        migrations.AlterField("node", "contact_at", models.DateTimeField()),
        migrations.AddConstraint("node", models.UniqueConstraint(fields=["address"], name="node_address")),
        migrations.RunPython(migrations.RunPython.noop),
        migrations.RunSQL("SELECT 1"),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_a_migration_that_breaks_the_release_before_is_found(operation: Operation) -> None:
    [found] = _findings(operation)
    assert found.startswith("cluster 9999_next: ")
    assert _findings(operation, safe_because="Nothing has used it since the release before.") == []


@pytest.mark.thorough
def test_a_migration_that_only_adds_is_let_through() -> None:
    rack: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=9)),
    ]
    assert (
        _findings(
            migrations.CreateModel("Rack", rack),
            migrations.AddConstraint("rack", models.UniqueConstraint(fields=["name"], name="rack_name")),
            migrations.AddField("node", "rack", models.CharField(max_length=9, db_default="")),
            migrations.AddField("node", "seen_at", models.DateTimeField(null=True)),
            migrations.AddIndex("node", models.Index(fields=["zone"], name="node_zone")),
            migrations.AlterField("node", "zone", models.CharField(max_length=40, blank=True, help_text="x")),
        )
        == []
    )


def test_our_own_migrations_pass() -> None:
    assert list(migrations_check.checked(MigrationLoader(None))) == []
