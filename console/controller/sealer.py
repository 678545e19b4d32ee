"""What a job must not hold in the outbox, sealed to its node's own key when it is sent: logins and secrets."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import msgspec
from nacl.exceptions import CryptoError

from console.accounts.secrets import seal_to_node
from console.cluster.models import Node
from console.common import events
from console.common.errors import BerthError
from console.images.models import RegistryCredential
from console.images.services import password_of
from console.workloads.models import SecretVersion
from console.workloads.secretstore import open_version
from nodeagent import protocol

if TYPE_CHECKING:
    from console.controller.send import Message

logger = logging.getLogger(__name__)


MOST_TOLD = 10_000


class Told:
    """What could not be sent to which node, and why: it is sent again and again, and told once for each reason.

    In memory, for as long as a controller leads: the next one may say it once more.
    """

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], str] = {}

    def is_news(self, what: str, node: Node, error: str) -> bool:
        """`what` names a secret's version and its app, or a login."""
        key = what, node.id
        if self._errors.get(key) == error:
            return False
        if len(self._errors) >= MOST_TOLD:
            self._errors.clear()
        self._errors[key] = error
        return True

    def went_well(self, what: str, node: Node) -> None:
        self._errors.pop((what, node.id), None)


class Sealer:
    """Of one step's messages: each login and each secret is looked up once. Nothing opened outlives it."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._logins: dict[str, RegistryCredential | None] = {}
        self._values: dict[tuple[str, str, str], bytes | BerthError] = {}

    def seal(self, node: Node, message: Message) -> protocol.Job:
        """The message with its registry's login and its secrets. What cannot be had is left out, and events say so:
        without its login a registry refuses, without its secrets an agent starts nothing."""
        job = message.job
        if isinstance(job, protocol.Pull | protocol.Ensure) and message.registry and node.public_key:
            job = msgspec.structs.replace(job, auth=self._login(node, message))
        if isinstance(job, protocol.Ensure) and job.spec.secrets and node.public_key:
            job = msgspec.structs.replace(job, sealed=self._secrets(node, job))
        return job

    def _login(self, node: Node, message: Message) -> bytes:
        credential = self._credential(message.registry)
        if credential is None:
            return b""
        try:
            login = {"username": credential.username, "password": password_of(credential)}
            sealed = seal_to_node(bytes(node.public_key), json.dumps(login).encode())
        except (BerthError, CryptoError) as error:
            logger.error("Job %s goes without the login %s: %s", message.id, credential.id, error)
            if self._told.is_news(credential.id, node, str(error)):
                events.record(
                    "registry.unreadable",
                    f"The login for {credential.host} cannot be sent to node {node.name}: {error}",
                    actor=events.CONTROLLER,
                    team=credential.team_id,
                    warning=True,
                )
            return b""
        self._told.went_well(credential.id, node)
        return sealed

    def _secrets(self, node: Node, job: protocol.Ensure) -> bytes:
        values: dict[str, bytes] = {}
        for secret in job.spec.secrets:
            value = self._value(node, job, secret)
            if value is not None:
                values[secret.version] = value
        try:
            return seal_to_node(bytes(node.public_key), msgspec.msgpack.encode(values))
        except CryptoError as error:
            logger.error(
                "Job %s goes without its secrets: node %s has no usable key: %s", job.id, node.name, error
            )
            return b""

    def _value(self, node: Node, job: protocol.Ensure, secret: protocol.Secret) -> bytes | None:
        whose = job.identity.team, job.identity.app
        key = (secret.version, *whose)
        if key not in self._values:
            self._values[key] = _opened(secret.version, whose)
        found = self._values[key]
        # Each app has events of its own.
        what = f"{secret.version} {job.identity.app}"
        if isinstance(found, bytes):
            self._told.went_well(what, node)
            return found
        logger.error("Job %s goes without the secret %s: %s", job.id, secret.name, found)
        if self._told.is_news(what, node, str(found)):
            events.record(
                "secret.unreadable",
                f"The secret {secret.name} cannot be sent to node {node.name}, so {job.identity.name} does not start "
                f"there, nor does any other that takes it: {found}",
                actor=events.CONTROLLER,
                app=job.identity.app,
                warning=True,
            )
        return None

    def _credential(self, id_: str) -> RegistryCredential | None:
        if id_ not in self._logins:
            self._logins[id_] = RegistryCredential.objects.filter(pk=id_).first()
        return self._logins[id_]


def _opened(version: str, whose: tuple[str, str]) -> bytes | BerthError:
    """Its value, or why it cannot be had. The app's own or its team's: a job that names another's gets nothing."""
    found = SecretVersion.objects.select_related("secret__team").filter(pk=version).first()
    if found is None or whose != (found.secret.team.slug, found.secret.app_id or whose[1]):
        return BerthError("it was deleted")
    try:
        return open_version(found)
    except BerthError as error:
        return error
