from tests.live.conftest import with_redis

__all__ = ["with_redis"]
