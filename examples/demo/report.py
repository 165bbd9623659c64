# report.py WHO: a small program with everything that makes two executions differ: files, time, entropy, hash order.
import json
import random
import sys
import time

with open("/data/orders.json") as file:
    orders = json.load(file)

totals = {}
for order in orders:
    totals[order["customer"]] = totals.get(order["customer"], 0) + order["cents"]
for customer, cents in sorted(totals.items()):
    print(f"{customer:8} {cents / 100:8.2f}")

winner = random.choice(sorted(totals))
print(f"prepared for {sys.argv[1]} at {time.strftime('%H:%M:%S')}.{time.time_ns() % 1_000_000_000:09}")
print(f"the prize goes to {winner}; a set in its order today: {set(totals)}")

try:
    open("/data/orders.json", "w")
except OSError as error:
    print("changing the data:", error.strerror)
sys.exit(3)
