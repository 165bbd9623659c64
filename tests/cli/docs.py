#!/usr/bin/env python3
"""docs/cli.md holds what `aeon help` and `aeon help COMMAND` print, each in a fenced block that begins with the command
line. This checks that they still say the same, and that no command is missing.

    docs.py          exit status 0: they agree
    docs.py --fix    writes what aeon prints into docs/cli.md"""
import os
import re
import subprocess
import sys

AEON = os.environ.get("AEON") or sys.exit("AEON is not set: the program under test")
SOURCE = os.environ.get("AEON_SOURCE_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGE = os.path.join(SOURCE, "docs/cli.md")
BLOCK = re.compile(r"```\n\$ aeon help( [a-z]+)?\n(.*?)```\n", re.S)


def printed(command):
    p = subprocess.run([AEON, "help", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return p.stdout.decode()


def main():
    page = open(PAGE, encoding="utf-8").read()
    overview = printed([])
    commands = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    found, differ = [], []

    def block(match):
        name = (match.group(1) or "").strip()
        text = printed([name] if name else [])
        found.append(name)
        if text != match.group(2):
            differ.append(name or "(overview)")
        return f"```\n$ aeon help{match.group(1) or ''}\n{text}```\n"

    fixed = BLOCK.sub(block, page)
    missing = [c for c in ["", *commands] if c not in found]
    if "--fix" in sys.argv[1:]:
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(fixed)
        differ = []
    for name in differ:
        print(f"docs/cli.md: the block of {name} is not what aeon prints (tests/cli/docs.py --fix)")
    for name in missing:
        print(f"docs/cli.md: no block of `aeon help {name}`")
    bad = len(set(differ) | set(missing))
    print(f"{len(found) - len(differ)} passed, {bad} failed")
    sys.exit(1 if bad or len(found) < 2 else 0)


if __name__ == "__main__":
    main()
