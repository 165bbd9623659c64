#!/usr/bin/env python3
"""tools/tidy.py: rules of the house that a compiler does not know. Run by ctest as `tidy`; prints FILE:LINE: what is
wrong, and ends with 1 if there was anything.

  layers     each module includes only lower rows of LAYERS, or itself; so do the DEPENDS of its CMakeLists.txt
  includes   our own headers by their path below src/; headers of a library only in that library's home
  length     functions of at most MAX_FUNCTION_LINES lines, lines of at most MAX_COLUMNS columns
  banned     ambient time, entropy, threads and I/O outside of src/world/os; unsafe functions everywhere
  dead       sources that no build file names, headers that nobody includes
  words      unfinished business, absolute paths of the machine it was written on, stray white space
"""
import os
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

# The one place the layers are written. A module includes rows above its own in this list, never its own row's others.
LAYERS = [
    ["base"],
    ["abi", "wasm", "journal", "claims", "config", "world"],
    ["policy", "world/os", "world/sim", "world/fiber", "world/throttle", "world/files", "world/tls", "world/fault",
     "wasm/llvm", "store"],
    ["world/net"],
    ["guest", "tier"],
    ["wasi", "vat"],
    ["provider", "supervise", "task", "lattice"],
    ["app", "machine"],
    ["sim", "api", "node"],
    ["cli"],
]
ROW = {module: row for row, modules in enumerate(LAYERS) for module in modules}

# Libraries with one home each: header pattern -> modules, or files, that may include it.
HOMES = {
    r"uv\.h|uv/.*": ["world/os"],
    r"zstd.*\.h": ["journal"],
    r"openssl/.*": ["base", "world/tls"],
    r"yaml\.h": ["config"],
    r"sodium.*": ["claims"],
    r"llvm-c/.*": ["wasm/llvm"],
    r"sqlite3\.h": ["store", "task"],
    r"curl/.*": ["store"],
    r"pthread\.h|threads\.h|spawn\.h|poll\.h|dirent\.h|netdb\.h|netinet/.*|arpa/.*": ["world/os"],
    r"sys/(socket|epoll|eventfd|inotify|random|syscall|file|wait|un|sendfile|time)\.h":
        ["world/os", "src/wasm/llvm/guard.c"],
}

MAX_COLUMNS = 120
MAX_FUNCTION_LINES = 120
# Functions that may be longer: file -> (lines, why).
LONG_FUNCTIONS = {
    "tests/wasm/test_decode.c": (150, "a module with every section, written out entry by entry"),
}

EVERYWHERE = "strcpy strcat sprintf vsprintf gets strtok alloca setjmp longjmp _setjmp _longjmp rand srand tmpnam" \
             " mktemp"
# What a file may use all the same: file -> {name: why}.
EXCEPTIONS = {
    "src/wasm/native.c": dict.fromkeys(
        ("_setjmp", "_longjmp"), "compiled frames have become data (unwind.c); nothing on the stack dropped is needed"),
}
AMBIENT = """
    time clock clock_gettime clock_getres gettimeofday timespec_get nanosleep clock_nanosleep usleep sleep alarm
    random srandom drand48 getrandom getentropy arc4random arc4random_buf
    pthread_create pthread_mutex_lock thrd_create fork vfork clone execv execve execvp posix_spawn posix_spawnp system
    popen open openat openat2 creat close read write pread pwrite readv writev preadv pwritev preadv2 pwritev2 lseek
    stat fstat lstat fstatat statx unlink unlinkat rename renameat link linkat symlink symlinkat readlink readlinkat
    mkdir mkdirat rmdir opendir readdir scandir ftruncate truncate fsync fdatasync fallocate posix_fallocate fopen
    fdopen freopen dup dup2 pipe pipe2 fcntl ioctl poll ppoll select epoll_wait socket getaddrinfo syscall
""".split()
# Ambient calls that a file outside of src/world/os may make: file -> {name: why}.
WORKER = "a program of its own, which the runtime starts and never links"
ALLOWED = {
    "src/wasm/llvm/worker.c": dict.fromkeys("open close read write pread fstat fopen clock_gettime".split(), WORKER),
    "src/wasm/llvm/guard.c": dict.fromkeys("fopen".split(), WORKER),
}

WORDS = r"\b(TODO|FIXME|XXX|HACK)\b"

problems = []


def name_of(path):
    """A file's path from the top of the tree, as the lists here have it."""
    return str(path.relative_to(TOP))


def complain(path, line, text):
    problems.append(f"{path.relative_to(TOP)}:{line}: {text}")


def files(*patterns):
    for pattern in patterns:
        for path in sorted(TOP.glob(pattern)):
            if path.is_file() and not path.is_relative_to(TOP / "build"):
                yield path


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


TOKENS = re.compile(r'//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)


def code_of(text):
    """The text with comments, strings and characters blanked out; lines and columns stay where they are."""
    return TOKENS.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def module_of(path):
    """The module a file belongs to: the longest name in LAYERS that its directory begins with."""
    parts = path.relative_to(TOP).parts
    parts = parts[1:-1] if parts[0] == "src" else parts[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in ROW:
            return "/".join(parts[:n])
    return None


def check_layer(path, line, module, other, how):
    if other != module and ROW[other] >= ROW[module]:
        complain(path, line, f"{module} {how} {other}, which is not in a lower layer")


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>)', re.M)


def check_includes(path, text, included):
    """Layers and paths of one file's includes; notes in `included` what was included."""
    ours = path.is_relative_to(TOP / "src") or path.is_relative_to(TOP / "abi")
    module = module_of(path) if ours else None
    if ours and module is None:
        complain(path, 1, "this directory is no module of the list LAYERS in tools/tidy.py")
        return
    for match in INCLUDE.finditer(text):
        quoted, system = match.groups()
        line = line_of(text, match.start())
        if system:
            for pattern, homes in HOMES.items():
                if ours and re.fullmatch(pattern, system) and module not in homes and name_of(path) not in homes:
                    complain(path, line, f"<{system}> belongs to {' and '.join(homes)} alone")
            continue
        places = [TOP / "src", TOP, path.parent] + ([] if ours else sorted((TOP / "tests").iterdir()))
        target = next((base / quoted for base in places if (base / quoted).is_file()), None)
        if target is None:
            complain(path, line, f'"{quoted}" is not there')
            continue
        included.add(target.resolve())
        if not ours:
            continue
        if target not in (TOP / "src" / quoted, TOP / quoted):
            complain(path, line, f'"{quoted}": say the path below src/')
        other = module_of(target)
        if other is None:
            complain(path, line, f'"{quoted}" belongs to no module')
        else:
            check_layer(path, line, module, other, "includes")


def balanced(text):
    return text.count("(") == text.count(")")


def check_functions(path, code):
    """Lengths of functions, from the line of the name to the closing brace. Braces in directives do not count."""
    code = DIRECTIVE.sub(blank, code)
    depth, start, head = 0, 0, 0
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match.group() == "{":
            if depth == 0:
                # Macros invoked at file level have no semicolon: the head of a function begins after the last of them.
                before = code[head:at]
                for alone in re.finditer(r"^[A-Z_0-9]+\(.*?\)\n", before, re.M | re.S):
                    if balanced(alone.group(0)):
                        before = " " * alone.end() + before[alone.end():]
                # A function's head ends with its parameter list; what has `=` before the brace is an initialiser.
                is_function = before.rstrip().endswith(")") and "=" not in before
                name = re.search(r"(\w+)\s*\(", before)
                start = line_of(code, head + len(before) - len(before.lstrip())) if is_function and name else 0
                function = name.group(1) if name else ""
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                head = at + 1
                lines = line_of(code, at) - start + 1
                limit = LONG_FUNCTIONS.get(str(path.relative_to(TOP)), (MAX_FUNCTION_LINES, ""))[0]
                if start and lines > limit:
                    complain(path, start, f"{function} has {lines} lines, {limit} are the most")
        elif depth == 0:
            head = at + 1


def check_banned(path, code):
    module = module_of(path)
    allowed = ALLOWED.get(name_of(path), {})
    ambient = [] if module == "world/os" else [name for name in AMBIENT if name not in allowed]
    excepted = EXCEPTIONS.get(str(path.relative_to(TOP)), {})
    unsafe = [name for name in EVERYWHERE.split() if name not in excepted]
    for names, why in ((unsafe, "is unsafe"), (ambient, "is for src/world/os alone")):
        if not names:
            continue
        for match in re.finditer(rf"(?<![\w.>])({'|'.join(names)})\s*\(", code):
            # a name may be a parameter: a file's own function pointer
            if re.search(rf"[\w*]\s*[\s*]{match.group(1)}\s*[,)]", code):
                continue
            complain(path, line_of(code, match.start()), f"{match.group(1)}() {why}")


def check_text(path, text):
    places = [str(TOP) + "/", str(Path.home()) + "/"]
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            complain(path, number, "white space at the end of the line")
        if "\t" in line and path.name != "Makefile" and path.suffix != ".go":
            complain(path, number, "a tab")
        if len(line) > MAX_COLUMNS and path.suffix in (".c", ".h", ".inc", ".py", ".sh", ".cmake"):
            complain(path, number, f"{len(line)} columns, {MAX_COLUMNS} are the most")
        word = re.search(WORDS, line)
        if word and path != Path(__file__).resolve():
            complain(path, number, f"{word.group()}: finish it or say it in an issue")
        for place in places:
            if len(place) > 3 and place in line:
                complain(path, number, f"{place} is a path of this machine")
    if text and not text.endswith("\n"):
        complain(path, text.count("\n") + 1, "no newline at the end")


def named_in(path, build_file):
    """Does this build file name the source: by its path, or by its name in a loop over names (foreach, patterns)?"""
    if not build_file.is_file() or not path.is_relative_to(build_file.parent):
        return False
    text = build_file.read_text()
    relative = path.relative_to(build_file.parent)
    name = re.sub("^test_|_test$", "", path.stem)
    return (re.search(rf"(?<![\w/]){re.escape(str(relative))}\b", text) is not None
            or f"{relative.parent}/*.c" in text
            or ("foreach" in text or ":%=" in text or build_file.name == "run")
            and re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w.])", text) is not None)


def check_dead(included):
    """Every source is named by a build file of its directory or of one above; every header is included by somebody."""
    elsewhere = "".join(path.read_text() for path in files("cmake/*.cmake", "tests/*/CMakeLists.txt"))
    for path in files("src/**/*.c", "abi/**/*.c", "tests/**/*.c", "fuzz/**/*.c", "bench/**/*.c", "examples/**/*.c"):
        builds = [directory / name for directory in path.parents if directory.is_relative_to(TOP)
                  for name in ("CMakeLists.txt", "Makefile", "run")]
        if not any(named_in(path, build) for build in builds) and str(path.relative_to(TOP)) not in elsewhere:
            complain(path, 1, "no build file names this source")
    for path in files("src/**/*.h", "src/**/*.inc", "abi/**/*.h", "tests/**/*.h", "bench/**/*.h", "fuzz/**/*.h"):
        if path.resolve() not in included and not path.is_relative_to(TOP / "tests/guests/lua"):
            complain(path, 1, "nobody includes this header")


def check_depends():
    for path in files("src/**/CMakeLists.txt", "abi/CMakeLists.txt"):
        text = re.sub(r"#[^\n]*", blank, path.read_text())
        for call in re.finditer(r"aeon_module\((\w+)([^)]*)\)", text):
            module = call.group(1) if call.group(1) in ROW else call.group(1).replace("_", "/", 1)
            if module not in ROW:
                complain(path, line_of(text, call.start()), f"{call.group(1)} is no module of the list LAYERS")
                continue
            depends = re.search(r"\bDEPENDS\b([^A-Z]*)", call.group(2))
            for name in depends.group(1).split() if depends else []:
                other = name if name in ROW else name.replace("_", "/", 1)
                if other not in ROW:
                    complain(path, line_of(text, call.start()), f"{name} is no module of the list LAYERS")
                else:
                    check_layer(path, line_of(text, call.start()), module, other, "depends on")


def main():
    included = set()
    for path in files("src/**/*.[ch]", "src/**/*.inc", "abi/**/*.[ch]", "tests/**/*.[ch]", "fuzz/**/*.[ch]",
                      "bench/**/*.[ch]", "examples/**/*.[ch]"):
        text = path.read_text()
        check_includes(path, text, included)
        code = code_of(text)
        if path.suffix == ".c" or path.suffix == ".h":
            check_functions(path, code)
        if path.is_relative_to(TOP / "src"):
            check_banned(path, code)
    for path in files("*", "src/**/*", "abi/**/*", "tests/**/*", "fuzz/*", "bench/**/*", "examples/**/*", "docs/**/*",
                      "tools/*", "cmake/*", ".ci/*"):
        if path.name == "LICENSE" or "__pycache__" in path.parts or path.suffix == ".test":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        check_text(path, text)
    check_dead(included)
    check_depends()
    for problem in problems:
        print(problem)
    print(f"tidy: {len(problems)} problems" if problems else "tidy: all as it should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
