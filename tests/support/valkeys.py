"""A Valkey of ours as tests see it: asked through redis-py, watched through /proc, killed."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from waiting import until

from services.queue.valkey import ValkeyServer

AOF = "appendonlydir/appendonly.aof"


def client(server: ValkeyServer | str) -> Redis:
    url = server if isinstance(server, str) else server.url
    return Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def answers(redis: Redis) -> bool:
    with suppress(RedisError):
        return bool(redis.ping())
    return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def socket_of(server: ValkeyServer) -> Path:
    return Path(server.url.removeprefix("unix://").removesuffix("?db=0"))


def running(server: ValkeyServer) -> int:
    assert server.pid
    return server.pid


def kill(server: ValkeyServer, redis: Redis) -> None:
    """Ends the Valkey like a machine short of memory, and returns when the next one answers."""
    pid, restarts = running(server), server.restarts
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.restarts > restarts)
    until(lambda: answers(redis))
