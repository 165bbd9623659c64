#!/usr/bin/env python3
"""Runs golden tests: transcripts of a shell, one file each.

    @file hello.wat         a file for the test; the text goes on to @end. A .wat is also assembled to .wasm
    ...
    @end
    $ aeon run hello.wasm   a command, run by bash in the test's own directory, with a store of its own
    hello                   what it prints on standard output
    ! run …<id>             and, after "! ", on standard error
    ? 0                     its exit status; left out when it is 0

Lines that begin with "#" outside of files are comments. What differs from run to run is replaced in what a command
prints before it is compared: ids, times, durations, sizes, hashes, the test's directory, runs of blanks.

    golden.py FILE...            exit status 0: all as expected
    golden.py --update FILE...   writes what was printed into the files
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HEX = "[0-9a-f]"
NORMALISE = [
    (rf"{HEX}{{8}}-{HEX}{{4}}-7{HEX}{{3}}-{HEX}{{4}}-{HEX}{{12}}", "<uuid>"),
    (rf"…{HEX}{{8}}\b", "…<id>"),
    (rf"\b{HEX}{{64}}\b", "<sha256>"),
    (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", "<time>"),
    (r"\b\d+(\.\d+)? (ns|us|ms|s)\b|\b\d+ (min \d+ s|h \d+ min)\b", "<duration>"),
    (r"\b\d+(\.\d+)? ([KMGT]iB|B)\b", "<size>"),
    (r"^#(\d+) \d+\.\d{6}\b", r"#\1 <time>"),
    (r'\b(time"?[=:])\d{16,}', r"\1<n>"),
    (r"\b\d+ bytes, every", "<n> bytes, every"),
    (r'"((duration|time)_ns|size_bytes)":\d+', r'"\1":<n>'),
    (r"\baeon \d+\.\d+\.\d+\b", "aeon <version>"),
    (r'"(aeon_)?version":"\d+\.\d+\.\d+"', r'"\1version":"<version>"'),
    (r"(?<=\S)  +", "  "),
    (r" +$", ""),
]


def normalise(text, directory):
    text = text.replace(directory, "<dir>")
    for pattern, by in NORMALISE:
        text = re.sub(pattern, by, text, flags=re.M)
    return text


class Step:
    def __init__(self, command, line):
        self.command, self.line = command, line
        self.out, self.err, self.status = [], [], 0
        self.trailing = []  # blank lines and comments behind it, kept by --update


def parse(path):
    """Returns (items, files): items are raw lines, ('file', ...) blocks and Steps in order."""
    items, files, step, block = [], {}, None, None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if block is not None:
            items.append(line)
            if line == "@end":
                block = None
            else:
                files[block].append(line)
        elif line.startswith("@file "):
            step, block = None, line[6:].strip()
            files[block] = []
            items.append(line)
        elif line.startswith("$ "):
            step = Step(line[2:], number)
            items.append(step)
        elif line.startswith("#") or (step is None and not line):
            step = None
            items.append(line)
        elif step is None:
            sys.exit(f"{path}:{number}: neither comment, @file nor command: {line}")
        elif not line:
            step.trailing.append(line)
            step = None
        elif line.startswith("! ") or line == "!":
            step.err.append(line[2:])
        elif line.startswith("? "):
            step.status = int(line[2:])
        else:
            step.out.append(line[1:] if line.startswith("\\") else line)
    return items, files


def write_files(files, directory):
    for name, lines in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))
        if name.endswith(".wat"):
            subprocess.run(["wat2wasm", "--enable-tail-call", "--debug-names", path, "-o", path[:-3] + "wasm"],
                           check=True)


def escape(line):
    """Output that would read as something else in the file, or as nothing, is marked by a backslash."""
    return "\\" + line if not line or line[0] in "!?$#@\\" else line


def show(out, err, status):
    lines = [escape(line) for line in out] + [("! " + line).rstrip() for line in err]
    return lines + ([f"? {status}"] if status else [])


def environment(directory):
    kept = ("ASAN_", "UBSAN_", "TSAN_", "LLVM_PROFILE", "AEON_GUESTS", "AEON_BUILD_DIR")
    env = {k: v for k, v in os.environ.items() if k.startswith(kept)}
    env.update(AEON_HOME=os.path.join(directory, ".aeon"), HOME=directory, LC_ALL="C.UTF-8", TZ="UTC",
               AEON_LLVM="/none/aeon-llvm",  # what is printed must not depend on what is installed
               PATH=os.path.dirname(os.environ["AEON"]) + ":" + os.environ["PATH"])
    return env


def run(path, update):
    items, files = parse(path)
    failed, updated = [], []
    root = os.path.realpath(tempfile.mkdtemp(prefix="aeon-golden-"))
    directory = os.path.join(root, "t")
    os.mkdir(directory)
    try:
        write_files(files, directory)
        for item in items:
            if isinstance(item, str):
                updated.append(item)
                continue
            p = subprocess.run(["bash", "-c", item.command], cwd=directory, env=environment(directory), timeout=120,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            out, err = (normalise(b.decode("utf-8", "backslashreplace"), directory).splitlines()
                        for b in (p.stdout, p.stderr))
            got = show(out, err, p.returncode)
            expected = show(item.out, item.err, item.status)
            updated += ["$ " + item.command] + got + item.trailing
            if got != expected:
                failed.append((item, expected, got))
    finally:
        shutil.rmtree(root)
    if update:
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in updated))
        return True
    for item, expected, got in failed:
        print(f"{path}:{item.line}: $ {item.command}")
        print("  expected:\n    " + "\n    ".join(expected) + "\n  got:\n    " + "\n    ".join(got))
    return not failed


def main():
    args = sys.argv[1:]
    update = "--update" in args
    paths = [a for a in args if a != "--update"]
    results = [run(path, update) for path in paths]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) and results else 1)


if __name__ == "__main__":
    main()
