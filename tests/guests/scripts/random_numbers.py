# Entropy: differs between live runs, and must not in a replay. So must the order of a set of strings.
import os
import random
import secrets
import uuid

print(random.random(), random.randint(0, 10**9), random.sample(range(1000), 5))
print(os.urandom(16).hex(), secrets.token_hex(8), uuid.uuid4())
print(list({f"item-{i}" for i in range(8)}), hash("aeon"))
random.seed(42)
print(random.random(), [random.gauss(0, 1) for _ in range(2)])
