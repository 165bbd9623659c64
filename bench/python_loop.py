# The loop of docs/performance.md for CPython, any version: bodies under Newton's law, then counting in a dictionary.
# Argument: how often; with 0 it is the start of the interpreter, which is subtracted.
import sys


def nbody(steps):
    bodies = [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.478],
        [5.2, -0.3, 0.1, 0.2, 2.7, -0.05, 0.0377],
        [-9.1, 2.2, -0.2, -0.6, -1.9, 0.06, 0.0113],
        [12.4, -15.0, 0.3, 1.0, 0.9, -0.02, 0.0017],
        [-16.0, 25.5, -0.4, -0.9, -0.6, 0.03, 0.0020],
    ]
    pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1:]]
    for _ in range(steps):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            pull = 0.001 / (dx * dx + dy * dy + dz * dz) ** 1.5
            a[3] -= dx * b[6] * pull
            a[4] -= dy * b[6] * pull
            a[5] -= dz * b[6] * pull
            b[3] += dx * a[6] * pull
            b[4] += dy * a[6] * pull
            b[5] += dz * a[6] * pull
        for body in bodies:
            body[0] += 0.001 * body[3]
            body[1] += 0.001 * body[4]
            body[2] += 0.001 * body[5]
    return bodies[1][0]


def count(n):
    seen = {}
    for i in range(n):
        key = f"k{i * 7919 % 1000}"
        seen[key] = seen.get(key, 0) + i
    return max(seen.values())


last = ""
for _ in range(int(sys.argv[1])):
    last = f"{nbody(12000):.9f} {count(200000)}"
print("python", last)
