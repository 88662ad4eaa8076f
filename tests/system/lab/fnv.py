"""The sum by which the hosts' programs show a token without showing it."""


def fnv(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    h = 2166136261
    for byte in data:
        h = (h ^ byte) * 16777619 & 0xffffffff
    return h
