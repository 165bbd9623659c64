# Time: differs between live runs, and must not in a replay.
import datetime
import time

start = time.time_ns()
begin = time.perf_counter()
time.sleep(0.01)
slept = time.perf_counter() - begin
assert slept >= 0.01, slept
stamps = [time.monotonic_ns() for _ in range(100)]
assert stamps == sorted(stamps)
print(start, slept, stamps[0], stamps[-1] - stamps[0])
print(datetime.datetime.now(datetime.timezone.utc).isoformat())
