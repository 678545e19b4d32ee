"""Writes that are made once, however often they are sent.

The key's row is the first that the write's own transaction inserts. Of requests that arrive together the others wait
at its unique index until that transaction ends: then they find the answer, or (it was rolled back, by an error or a
crash) one of them is the next to try. So a key without an answer is never seen, and nothing is left to clean up.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.api.models import KeptAnswer
from console.common.errors import BerthError, Conflict

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
KEPT_HEADERS = ("Location", "Content-Type")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Claim:
    """A write under this key, which nobody has made before; held by the transaction that inserted its row."""

    row: KeptAnswer
    sealer: AESGCM

    def keep(self, response: HttpResponse) -> None:
        self.row.status = response.status_code
        self.row.headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        nonce = os.urandom(_NONCE_BYTES)
        self.row.content = nonce + self.sealer.encrypt(nonce, response.content, None)
        self.row.save()


def claim(request: HttpRequest, key: str, caller: str) -> Claim | HttpResponse:
    """In a transaction: the right to make this write, or the answer that it had. The key belongs to the caller alone.
    Raises Conflict where the key stood for another request, BerthError where it can be none."""
    if not _KEY.fullmatch(key):
        message = _("Use 1 to 200 visible ASCII characters.")
        raise BerthError(message, fields={HEADER: [message]})
    now, name = timezone.now(), sha256(f"{caller}\0{key}".encode()).hexdigest()
    asked = sha256(b"\0".join((_address(request), request.body))).hexdigest()
    sealer = AESGCM(_secret(caller, key))
    KeptAnswer.objects.filter(pk=name, created_at__lt=now - KEPT).delete()
    try:
        with transaction.atomic():
            return Claim(KeptAnswer.objects.create(key=name, request=asked, created_at=now), sealer)
    except IntegrityError:
        return _replay(KeptAnswer.objects.get(pk=name), asked, sealer)


def _address(request: HttpRequest) -> bytes:
    return f"{request.method} {request.get_full_path()}".encode()


def _secret(caller: str, key: str) -> bytes:
    """Neither the database nor the console's secret key alone opens an answer."""
    kdf = HKDF(SHA256(), length=32, salt=settings.SECRET_KEY.encode(), info=b"berth idempotency")
    return kdf.derive(f"{caller}\0{key}".encode())


def _replay(row: KeptAnswer, asked: str, sealer: AESGCM) -> HttpResponse:
    if row.request != asked:
        message = _("This Idempotency-Key was used for another request. Take a new one.")
        raise Conflict(message, code="idempotency_mismatch", data={"operation": None})
    try:
        kept = bytes(row.content)
        content = sealer.decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], None)
    except InvalidTag as error:
        message = _("The answer was kept under another secret key of the console. Look whether it is done.")
        raise Conflict(message, code="idempotency_unreadable", data={"operation": None}) from error
    return HttpResponse(content, status=row.status, headers={**row.headers, REPLAYED: "true"})


def forget_old() -> int:
    """Delete answers past their time; how many there were."""
    return KeptAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
