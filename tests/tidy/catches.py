#!/usr/bin/env python3
"""Does tools/tidy.py find what it is there to find? Each offence is planted in a small tree of its own."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

CLEAN = {
    "CMakeLists.txt": "aeon_add_directories(src/*)\n",
    "cmake/AeonTargets.cmake": "",
    "src/base/CMakeLists.txt": "aeon_module(base SOURCES base.c)\n",
    "src/base/base.c": '#include "base/base.h"\n\nint base(void)\n{\n    return 1;\n}\n',
    "src/base/base.h": "int base(void);\n",
    "src/wasm/CMakeLists.txt": "aeon_module(wasm\n    SOURCES wasm.c\n    DEPENDS base)\n",
    "src/wasm/wasm.c": '#include "base/base.h"\n#include "wasm/wasm.h"\n\nint wasm(void)\n{\n    return base();\n}\n',
    "src/wasm/wasm.h": "int wasm(void);\n",
}

LONG = "int f(int x)\n{\n" + "    x++;\n" * 130 + "    return x;\n}\n"

# file, what is appended to it, what must be said of it
OFFENCES = [
    ("src/base/base.c", '#include "wasm/wasm.h"\n', "base includes wasm"),
    ("src/wasm/wasm.c", '#include "wasm/none.h"\n', "is not there"),
    ("src/wasm/wasm.c", '#include "wasm.h"\n', "say the path below src/"),
    ("src/wasm/wasm.c", "#include <uv.h>\n", "<uv.h> belongs to world/os alone"),
    ("src/wasm/wasm.c", LONG, "f has 134 lines"),
    ("src/wasm/wasm.c", "long g(void) { return time(0); }\n", "time() is for src/world/os alone"),
    ("src/wasm/wasm.c", "void g(char *s) { strcpy(s, s); }\n", "strcpy() is unsafe"),
    ("src/wasm/wasm.c", "int x; \n", "white space"),
    ("src/wasm/wasm.c", "\tint x;\n", "a tab"),
    ("src/wasm/wasm.c", "// TO" + "DO\n", "finish it"),
    ("src/wasm/wasm.c", "// " + "x" * 130 + "\n", "133 columns"),
    ("src/wasm/wasm.c", "int x;", "no newline"),
    ("src/wasm/lost.c", "int x;\n", "no build file names this source"),
    ("src/wasm/lost.h", "int x;\n", "nobody includes this header"),
    ("src/stray/x.h", "int x;\n", "no module of the list"),
    ("src/base/CMakeLists.txt", "aeon_module(base SOURCES base.c DEPENDS wasm)\n", "base depends on wasm"),
]

# What looks like an offence and is none.
INNOCENT = [
    ("src/wasm/wasm.c", "// time(0) and strcpy() in a comment\nconst char *s = \"fork()\";\n"),
    ("src/wasm/wasm.c", "int h(struct ops *o) { return o->read(1) + my_time(2); }\n"),
    ("src/wasm/wasm.c", "#define TABLE(x) {x}, \\\n    {x}\nint t[] = {\n" + "    1,\n" * 200 + "};\n"),
]


def tidy(top):
    run = subprocess.run([sys.executable, top / "tools/tidy.py"], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def tree(changes):
    top = Path(tempfile.mkdtemp(prefix="aeon-tidy-"))
    (top / "tools").mkdir()
    (top / "tests").mkdir()
    shutil.copy(TOP / "tools/tidy.py", top / "tools/tidy.py")
    for name, text in CLEAN.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    for name, text in changes:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        with open(top / name, "a") as file:
            file.write(text)
    return top


def main():
    failures = 0
    for name, text, wanted in [(None, "", "")] + [(n, t, "") for n, t in INNOCENT] + OFFENCES:
        top = tree([(name, text)] if name else [])
        status, output = tidy(top)
        shutil.rmtree(top)
        if (status != (1 if wanted else 0)) or wanted not in output:
            failures += 1
            print(f"FAIL {name} + {text[:60]!r}: status {status}, wanted {wanted!r} in:\n{output}")
    print(f"{len(OFFENCES) + len(INNOCENT) + 1} trees, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
