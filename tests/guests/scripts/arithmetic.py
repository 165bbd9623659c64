# Integers of any size, floats, fractions, decimals: pure computation, the same on every run.
import cmath
import decimal
import fractions
import math

print(2**200 % 1000003, math.factorial(50), -7 // 2, -7 % 3, divmod(2**70, 12345))
print(0.1 + 0.2, 1e308 * 10, float("nan") == float("nan"), 1 / 3, round(2.5), round(3.5))
print(math.sin(1), math.exp(1), math.log(10), math.sqrt(2), math.hypot(3, 4), math.fsum([0.1] * 10))
print(fractions.Fraction(1, 3) + fractions.Fraction(1, 6), fractions.Fraction(0.75))
decimal.getcontext().prec = 50
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
print(cmath.exp(1j * math.pi), abs(3 + 4j))


def primes(limit):
    sieve = bytearray([1]) * (limit + 1)
    sieve[:2] = b"\0\0"
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(sieve[n * n :: n]))
    return [n for n, prime in enumerate(sieve) if prime]


found = primes(20000)
print(len(found), found[-1], sum(found))


def collatz(n):
    steps = 0
    while n != 1:
        n = 3 * n + 1 if n & 1 else n >> 1
        steps += 1
    return steps


print(max((collatz(n), n) for n in range(1, 3000)))
