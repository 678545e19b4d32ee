"""What users deploy: Compose texts. The engine reads the environment's SIM for what a program does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

PULLED = ("registry.test/app:1", "registry.test/app:2")
"""In turn, from one version to the next: the other one is wanted no more, until it is again."""
KINDS = (
    *(
        "plain",
        "checked",
        "bound",
        "capped",
        "pinned",
        "ported",
        "fixed",
        "job",
        "pulled",
        "big",
        "failing-job",
    ),
    *("exclusive", "everywhere", "once", "urgent", "follower"),
)
PINNED = frozenset({"bound", "exclusive"})
"""Never two of one slot run, not even in a partition."""
ALONE = PINNED | {"job", "once"}
"""Nothing is placed beside what lives and can be reached."""
ENDS = frozenset({"job", "failing-job", "once"})
COMMANDED = frozenset({"plain", "checked", "pulled", "capped", "follower", "ported", "pinned", "everywhere"})
GOOD_COMMAND, BAD_COMMAND = "job:2", "crash:2"
BROKEN = ("crash:1", "cannot-start", "sick", "no-image")


@dataclass(frozen=True, slots=True)
class Shape:
    """One service of an app, as its newest file has it."""

    kind: str
    replicas: int
    version: int = 1
    program: str = "serve"
    port: int = 0
    update: str = ""
    """Its update_config."""
    after: str = ""
    """The service that it waits for."""
    command: str = ""
    """What its release command does; empty: it has none."""

    @property
    def broken(self) -> bool:
        return self.program in BROKEN or self.command == BAD_COMMAND

    def next(self, program: str) -> Shape:
        return replace(self, version=self.version + 1, program=program)

    def mended(self) -> Shape:
        command = GOOD_COMMAND if self.command else ""
        return replace(self.next(_program(self.kind) if self.broken else self.program), command=command)

    def with_bad_command(self) -> Shape:
        return replace(self.next(self.program), command=BAD_COMMAND if self.command else "")

    def text(self) -> str:  # noqa: PLR0912 - a case for each kind
        image = PULLED[self.version % 2] if self.kind == "pulled" else "berth/demo"
        if self.program == "no-image":
            image = "registry.test/no-such-app:1"
        lines = [
            f"  {self.kind}:",
            f"    image: {image}",
            f'    environment: {{SIM: "{self.program}", V: "{self.version}"}}',
            "    stop_grace_period: 3s",
        ]
        deploy = [f"replicas: {self.replicas}"]
        match self.kind:
            case "checked":
                lines.append("    healthcheck: {test: [CMD, check], interval: 1s}")
            case "bound":
                lines.append("    volumes: [data:/data]")
            case "capped":
                deploy.append("placement: {max_replicas_per_node: 1}")
            case "pinned":
                deploy.append("placement: {constraints: [node.labels.disk==ssd]}")
            case "ported":
                lines.append('    ports: ["80"]')
            case "fixed":
                lines.append(f'    ports: ["{self.port}:80"]')
            case "job":
                deploy.append("restart_policy: {condition: none}")
            case "failing-job":
                deploy.append("restart_policy: {condition: on-failure, max_attempts: 2}")
            case "exclusive":
                lines.append("    x-berth: {exclusive: true}")
            case "everywhere":
                deploy = ["mode: global"]
            case "once":
                deploy.append("mode: replicated-job")
            case "urgent":
                lines.append("    x-berth: {priority: 10}")
                deploy.append("resources: {reservations: {cpus: '0.3', memory: 256M}}")
            case "big":
                deploy.append("resources: {reservations: {cpus: '0.4', memory: 512M}}")
        if self.command:
            lines.append(f'    x-berth: {{release_command: ["{self.command}"]}}')
        if self.update:
            deploy.append(f"update_config: {{{self.update}}}")
        if self.after:
            lines.append(f"    depends_on: {{{self.after}: {{condition: {_condition(self.after)}}}}}")
        lines.append(f"    deploy: {{{', '.join(deploy)}}}")
        return "\n".join(lines)


def compose(shapes: list[Shape]) -> str:
    volumes = "\nvolumes: {data: {}}" if any(shape.kind == "bound" for shape in shapes) else ""
    return "services:\n" + "\n".join(shape.text() for shape in shapes) + volumes + "\n"


def draw(random: Random) -> list[Shape]:
    kinds = random.sample(KINDS, 1 if random.random() < 0.6 else 2)
    return [
        Shape(
            kind,
            _replicas(kind, random),
            program=_program(kind),
            port=random.randrange(9000, 9004),
            update=_update(kind, random),
            after=kinds[0] if kind == "follower" and kind != kinds[0] else "",
            command=GOOD_COMMAND if kind in COMMANDED and random.random() < 0.5 else "",
        )
        for kind in kinds
    ]


def _update(kind: str, random: Random) -> str:
    """A start-first one would need its host port, its volume or its place on the node twice."""
    if random.random() < 0.4:
        return ""
    said = [f"failure_action: {random.choice(['pause', 'rollback', 'continue'])}", "monitor: 1s"]
    if kind not in (*ALONE, "fixed", "capped") and random.random() < 0.6:
        said.append("order: start-first")
    said.append(f"parallelism: {random.randrange(3)}")
    if random.random() < 0.3:
        said.append("delay: 2s")
    return ", ".join(said)


def _condition(kind: str) -> str:
    if kind in ENDS:
        return "service_completed_successfully"
    return "service_healthy" if kind == "checked" else "service_started"


def _replicas(kind: str, random: Random) -> int:
    return random.randrange(1, 2 if kind in ("bound", "big") else 4)


def _program(kind: str) -> str:
    return {"job": "job:2", "failing-job": "job:3", "once": "job:4", "checked": "slow:2"}.get(kind, "serve")
