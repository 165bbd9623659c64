# A walk through the standard library: what it imports is the point, since imports are most of what a runtime reads.
import base64
import bisect
import collections
import contextlib
import csv
import dataclasses
import datetime
import difflib
import enum
import functools
import hashlib
import heapq
import io
import itertools
import operator
import re
import statistics
import string
import struct
import textwrap
import typing
import unicodedata
import zlib

print(hashlib.sha256(b"aeon").hexdigest(), hashlib.md5(b"aeon").hexdigest(), zlib.crc32(b"aeon"))
packed = zlib.compress(b"abc" * 1000, 9)
print(len(packed), zlib.decompress(packed) == b"abc" * 1000, base64.b64encode(bytes(range(10))))
print(re.findall(r"(\w+)@(\w+\.\w+)", "a@b.com, joe@example.org; x@y"), re.sub(r"(?<=a)b+", "-", "abbb ab b"))
print(collections.Counter("mississippi").most_common(2), collections.deque(range(5), 3))
print(list(itertools.islice(itertools.permutations("abcd", 2), 5)), list(itertools.accumulate(range(6), operator.mul)))


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: typing.List[str] = dataclasses.field(default_factory=list)


class Colour(enum.Flag):
    RED = enum.auto()
    GREEN = enum.auto()


print(sorted([Point(2, 1), Point(1, 5), Point(1)]), Colour.RED | Colour.GREEN)
print(datetime.datetime(2024, 2, 29, 12, 30) + datetime.timedelta(days=366), datetime.date(2026, 1, 1).isocalendar())
print(struct.pack("<IhQ", 1, -2, 3).hex(), struct.unpack(">d", bytes.fromhex("400921fb54442d18")))
rows = list(csv.reader(io.StringIO('a,"b, c",d\n1,"2 ""x""",3\n')))
print(rows, textwrap.wrap("the quick brown fox jumps over the lazy dog", 16))
print(statistics.mean([1, 2, 3.5]), statistics.stdev([1, 2, 3.5]), unicodedata.name("\u00e9"))
heap = [5, 1, 4]
heapq.heapify(heap)
print(heapq.nsmallest(2, heap), bisect.bisect([1, 3, 5], 4), string.Template("$a!").substitute(a="hi"))
print("".join(difflib.unified_diff(["a\n", "b\n"], ["a\n", "c\n"])))


# (Not deeper: each level passes through C, and this CPython has half a megabyte of C stack.)
@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


print(fibonacci(30), fibonacci.cache_info().hits)


def squares():
    with contextlib.suppress(GeneratorExit):
        for n in itertools.count():
            yield n * n


generator = squares()
print([next(generator) for _ in range(5)], generator.close())
