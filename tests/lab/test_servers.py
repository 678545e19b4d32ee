"""The private Redis and PostgreSQL that tests, lab and `make run` share."""

from __future__ import annotations

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.postgres import PostgresServer
from lab.processes import wait_until
from lab.redis_server import RedisServer


@pytest.mark.redis
def test_redis_lets_only_its_administrator_in(redis_server: RedisServer) -> None:
    stranger = redis.Redis(host="127.0.0.1", port=redis_server.port, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(redis_server.url) as admin:
        assert admin.acl_whoami() == "berth"
        assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with redis.Redis(
        unix_socket_path=str(redis_server.socket), username="berth", password=redis_server.password
    ) as r:
        assert r.ping() is True


@pytest.mark.redis
def test_redis_keeps_users_and_written_keys_through_a_kill(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as admin:
        admin.acl_setuser(
            "node-1", enabled=True, passwords=["+secret"], keys=["node:1:*"], commands=["+ping"]
        )
        admin.execute_command("ACL SAVE")
        admin.set("kept", "yes")
        with admin.pipeline(transaction=True) as together:
            together.rpush("kept-too", "a").rpush("kept-too", "b").execute()
        # While the disk is busy with an fsync, Redis answers before it has written (two seconds at most).
        assert wait_until(lambda: admin.info("persistence")["aof_buffer_length"] == 0, 5.0)
    redis_server.kill()
    assert not redis_server.process.alive
    redis_server.start()
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as admin:
        assert admin.get("kept") == "yes"
        assert admin.lrange("kept-too", 0, -1) == ["a", "b"]
        assert sorted(admin.acl_users()) == ["berth", "default", "node-1"]
        admin.acl_deluser("node-1")
        admin.execute_command("ACL SAVE")


@pytest.mark.postgres
def test_postgres_is_empty_private_and_comes_back_after_a_kill(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgres://berth:wrong@127.0.0.1:{postgres_server.port}/berth")
    postgres_server.kill()
    postgres_server.start()
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
        connection.execute("DROP TABLE kept")
