# Ends with an uncaught exception: a traceback on standard error, exit status 1. exception.py CODE ends by sys.exit.
import atexit
import sys

atexit.register(print, "at exit")
if len(sys.argv) > 1:
    sys.exit(int(sys.argv[1]))


class Mishap(Exception):
    pass


def inner(n):
    if n == 0:
        raise Mishap("at the bottom")
    try:
        inner(n - 1)
    finally:
        print("unwinding", n)


try:
    inner(3)
except Mishap as error:
    raise RuntimeError("as planned") from error
