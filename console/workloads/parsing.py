"""From a Compose text to its model, with errors as the faces show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.accounts.models import InstanceSize
from console.cluster.queries import Largest, largest
from console.common.errors import BerthError, Unprocessable
from console.common.prepared import Prepared
from console.workloads import compose
from console.workloads.compose import Problem, Project

_GIB = 1024**3
_SIZES = Prepared(InstanceSize.objects.all)


def parse(text: str, variables: Mapping[str, str], files: Mapping[str, str]) -> Project:
    """The checked model. Raises BerthError `compose_invalid` or `does_not_fit`, with `data["problems"]` by line."""
    policy = policy_now()
    try:
        project = compose.load(text, variables=variables, files=files, policy=policy)
    except compose.ComposeError as error:
        raise _refusal(error.problems, "compose_invalid", BerthError) from error
    if problems := _too_large(project, largest()):
        raise _refusal(problems, "does_not_fit", Unprocessable)
    return project


def policy_now() -> compose.Policy:
    """With the instance sizes as they are now."""
    policy, sizes = compose.Policy(low_ports=settings.ALLOW_LOW_PORTS), sizes_now()
    usual = next((one for one in sizes if one.default), None)
    return msgspec.structs.replace(
        policy,
        sizes={one.name: (one.cpu, one.memory) for one in sizes},
        cpu=usual.cpu if usual else policy.cpu,
        memory=usual.memory if usual else policy.memory,
    )


def sizes_now() -> list[InstanceSize]:
    """Those that administrators made; before they made any, the usual ones."""
    usual = compose.Policy().sizes
    made = _SIZES()
    return made or [InstanceSize(name=name, cpu=cpu, memory=memory) for name, (cpu, memory) in usual.items()]


def _refusal(problems: Sequence[Problem], code: str, kind: type[BerthError]) -> BerthError:
    message = ngettext(
        "The Compose file has %(count)d problem.", "The Compose file has %(count)d problems.", len(problems)
    ) % {"count": len(problems)}
    lines = [
        _("Line %(line)d: %(message)s") % {"line": problem.line, "message": problem.message}
        for problem in problems
    ]
    return kind(
        message,
        code=code,
        fields={"compose": lines},
        data={"problems": [msgspec.to_builtins(problem) for problem in problems]},
    )


def _too_large(project: Project, top: Largest) -> list[Problem]:
    """Services that no node could ever hold. Before a node has joined, nothing is known and nothing refused."""
    if not top.nodes:
        return []
    problems = []
    for name, service in project.services.items():
        asked = service.resources
        if asked.memory > top.memory:
            reason = (
                f"{asked.memory / _GIB:.1f} GiB of memory; the largest node has {top.memory / _GIB:.1f} GiB"
            )
        elif asked.cpu > top.cpu:
            reason = f"{asked.cpu / 1000:g} CPUs; the largest node has {top.cpu / 1000:g}"
        else:
            continue
        problems.append(
            Problem(
                line=service.line,
                column=1,
                service=name,
                key=f"services.{name}.deploy.resources.limits",
                code="does_not_fit",
                message=f"{name} asks for {reason}. Lower the limit, or add a larger node.",
            )
        )
    return problems
