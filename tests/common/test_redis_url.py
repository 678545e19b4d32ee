from __future__ import annotations

import pytest

from console.common.redis_url import celery_options, celery_url, sentinels

URL = "redis+sentinel://berth:p%40ss@10.0.0.1:26379,10.0.0.2,[::1]:26380/berth/2?sentinel_password=s"


def test_one_redis_stays_as_it_is() -> None:
    assert sentinels("redis://127.0.0.1:6379/0") is None
    assert celery_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock"
    assert celery_options("redis://127.0.0.1:6379/0") == {}


def test_sentinels_are_read_from_one_address() -> None:
    found = sentinels(URL)
    assert found is not None
    assert found.hosts == (("10.0.0.1", 26379), ("10.0.0.2", 26379), ("::1", 26380))
    assert (found.master, found.database) == ("berth", 2)
    assert found.login == {"db": 2, "username": "berth", "password": "p@ss"}
    assert found.sentinel_kwargs["password"] == "s"


def test_celery_gets_each_sentinel() -> None:
    url = "redis+sentinel://berth:pw@a:1,b:2/m"
    assert celery_url(url) == "sentinel://berth:pw@a:1/0;sentinel://berth:pw@b:2/0"
    assert celery_options(url)["master_name"] == "m"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:1",
        "redis+sentinel:///m",
        "redis+sentinel://a:x/m",
        "redis+sentinel://a:1/m/x",
        "redis+sentinel://:1/m",
    ],
)
def test_what_is_wrong_is_said(url: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|number|host:port"):
        sentinels(url)
