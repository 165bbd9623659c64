#!/usr/bin/env python3
"""tools/format.py [--fix] [FILE...]: compares our C and C++ files (all that git knows, unless some are named) with
what clang-format makes of them. Ends with 1 if any differs, after --fix never, and with 77 (skipped) without
clang-format 22: other versions lay code out otherwise."""
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
CLANG_FORMAT = "clang-format-22"


def difference(path):
    """Number of the first line that differs, or 0."""
    before = path.read_text()
    after = subprocess.run([CLANG_FORMAT, f"--assume-filename={path}"], input=before, capture_output=True, text=True,
                           check=True).stdout
    if before == after:
        return 0, after
    lines = list(zip(before.split("\n"), after.split("\n")))
    return next((n for n, (old, new) in enumerate(lines, 1) if old != new), len(lines) + 1), after


def main():
    if not shutil.which(CLANG_FORMAT):
        print(f"{CLANG_FORMAT} is not installed: skipped")
        return 77
    fix = "--fix" in sys.argv
    named = [Path(name).resolve() for name in sys.argv[1:] if name != "--fix"]
    if not named:
        command = ["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h", "*.inc", "*.cc"]
        listed = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
        named = [TOP / name for name in listed if (TOP / name).is_file()]
    wrong = 0
    with ThreadPoolExecutor(2) as pool:
        for path, (line, after) in zip(named, pool.map(difference, named)):
            if line:
                wrong += 1
                print(f"{path.relative_to(TOP)}:{line}: " + ("formatted" if fix else "`make format` would change this"))
                if fix:
                    path.write_text(after)
    print(f"format: {len(named)} files, {wrong} {'changed' if fix else 'to be formatted'}")
    return 1 if wrong and not fix else 0


if __name__ == "__main__":
    sys.exit(main())
