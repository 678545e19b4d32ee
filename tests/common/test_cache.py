from __future__ import annotations

import pytest
import redis

from console.common.cache import Cache, JsonSerializer
from lab.redis_server import RedisServer


def _cache(url: str) -> Cache:
    options = {"socket_timeout": 1, "socket_connect_timeout": 1}
    return Cache(url, {"KEY_PREFIX": "berth:cache", "OPTIONS": options})


def test_without_redis_each_process_counts_by_itself() -> None:
    cache = _cache("unix:///nonexistent/redis.sock")
    cache.clear()
    assert cache.add("tried", 1, 60) is True
    assert cache.add("tried", 1, 60) is False
    assert cache.incr("tried") == 2
    cache.set("times", [1.5, 2.5], 60)
    assert cache.get("times") == [1.5, 2.5]
    cache.delete("times")
    assert cache.get("times", []) == []


@pytest.mark.redis
def test_with_redis_counts_are_shared_and_clearing_empties_nothing_else(redis_server: RedisServer) -> None:
    one, other = _cache(redis_server.url), _cache(redis_server.url)
    client = redis.Redis.from_url(redis_server.url)
    client.set("berth:reports", "kept")
    assert one.add("tried", 1, 60) is True
    assert (other.add("tried", 1, 60), other.incr("tried"), one.get("tried")) == (False, 2, 2)
    one.set("times", [1.5], 60)
    assert other.get("times") == [1.5]
    one.clear()
    assert client.get("berth:reports") == b"kept"
    redis_server.stop()
    assert one.add("tried", 1, 60) is True
    assert one.incr("tried") == 2


def test_what_is_stored_is_data_and_no_code() -> None:
    stored = JsonSerializer().dumps({"a": [1, True, None, "x"]})
    assert JsonSerializer().loads(stored) == {"a": [1, True, None, "x"]}
    with pytest.raises(TypeError):
        JsonSerializer().dumps(object())
    with pytest.raises(ValueError, match="decode"):
        JsonSerializer().loads(b"\x80\x04K\x01.")
