from __future__ import annotations

import base64

from console.webhooks import signing

# The example of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_the_specifications() -> None:
    assert signing.signature(SECRET, MESSAGE, TIMESTAMP, BODY) == SIGNATURE


def test_each_of_several_secrets_signs() -> None:
    other = signing.new_secret()
    headers = signing.headers([other, SECRET], MESSAGE, TIMESTAMP, BODY)
    first, second = headers.pop("webhook-signature").split(" ")
    assert (second, first == second, first[:3]) == (SIGNATURE, False, "v1,")
    assert headers == {"webhook-id": MESSAGE, "webhook-timestamp": str(TIMESTAMP)}


def test_a_new_secret_is_a_key_of_256_bits() -> None:
    one, other = signing.new_secret(), signing.new_secret()
    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32
