"""engines.py: what bench/run compares: programs, native and as WebAssembly, and whatever can run the latter."""
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from measure import Failure, run, say

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
CC = "clang-22"

# aeon's ways to run a guest: name -> options of `aeon run`. Those that record have names in -rec.
AEON = {
    "interp": ["--tier", "interp", "--no-record"],
    "interp-rec": ["--tier", "interp"],
    "compiled": ["--tier", "compiled", "--no-record"],
    "compiled-rec": ["--tier", "compiled"],
    "uncounted": ["--tier", "compiled", "--no-record", "--no-count"],
    "auto": ["--tier", "auto", "--no-record"],
    "auto-rec": ["--tier", "auto"],
}

AEON_ITSELF = "exit status 125:"  # it says that it cannot, and why


class Peer:
    """Another engine: a program, by an environment variable or its name on PATH, and how it runs {wasm}. `make`, by a
    program of its own where `maker` names one, turns {wasm} into {made} beforehand."""

    def __init__(self, variable, name, command, make=None, maker=None):
        self.variable, self.name, self.command, self.make = variable, name, command, make
        self.maker = maker or (variable, name)
        self.exe = self.maker_exe = None

    def find(self):
        def one(variable, name):
            return shutil.which(os.environ.get(variable, name))
        self.exe, self.maker_exe = one(self.variable, self.name), one(*self.maker)
        return bool(self.exe and self.maker_exe)


class NamedPeer(Peer):
    """One that the command line describes: 'CMD {wasm}'."""

    def __init__(self, command):
        super().__init__("", "", command)


PEERS = {
    "wasm3": Peer("WASM3", "wasm3", "{exe} {wasm}"),
    "wamr-fast": Peer("IWASM", "iwasm", "{exe} --stack-size=1048576 {wasm}"),
    "wamr-aot": Peer("IWASM_AOT", "iwasm", "{exe} --stack-size=1048576 {made}", "{maker} -o {made} {wasm}",
                     ("WAMRC", "wamrc")),
    "wazero": Peer("WAZERO", "wazero", "{exe} run -cachedir={cache} {wasm}"),
    "wasmtime": Peer("WASMTIME", "wasmtime", "{exe} run --allow-precompiled {made}",
                     "{maker} compile -o {made} {wasm}"),
    "v8": Peer("NODE", "node", "{exe} --no-warnings --no-liftoff {here}/node_wasi.mjs {wasm}"),
}


class Program:
    """Something to run: the native command, or None, and the module; and what follows either."""

    def __init__(self, native, wasm, *args):
        self.native, self.wasm, self.args = native, wasm, [str(a) for a in args]


def is_older(out, sources):
    return not out.exists() or out.stat().st_mtime < max(s.stat().st_mtime for s in sources)


def compile_c(sources, out, flags, what):
    if not is_older(out, sources):
        return str(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([CC, "-O2", *flags, *map(str, sources), "-o", str(out), "-lm"], check=True,
                       stderr=subprocess.PIPE)
    except OSError as error:
        raise Failure(f"cannot build {what}: {error}") from error
    except subprocess.CalledProcessError as error:
        raise Failure(f"cannot build {what}: {error.stderr.decode(errors='replace')[-400:]}") from error
    return str(out)


WASM_FLAGS = ["--target=wasm32-wasi", "-Wno-deprecated", "--no-wasm-opt"]


def build_wasm(source, directory):
    return compile_c([source], directory / "wasm" / f"{source.stem}.wasm", WASM_FLAGS, f"{source.name} (wasm)")


def build_c(source, directory):
    """One source, natively and as a WASI program, with the same compiler and flags."""
    return compile_c([source], directory / "native" / source.stem, [], source.name), build_wasm(source, directory)


def build_lua(directory):
    """Lua of Debian's source, both from the same files with the same flags. What Lua does to leave several frames at
    once, setjmp, is not to be had in WebAssembly 2.0; here an error ends the program instead, natively too."""
    source = TOP / "build/toolchain/src/lua5.4/src"
    if not source.is_dir():
        subprocess.run([str(TOP / "tools/toolchain.sh"), "source:lua5.4"], check=True)
    files = sorted(f for f in source.glob("*.c") if f.name != "luac.c")
    flags = [f"-I{TOP / 'tests/guests/lua'}", f"-I{source}", "-include", "wasi.h", "-DPROTECTED_H",
             "-Dluai_jmpbuf=int", "-DLUAI_THROW(L,c)=abort()", "-DLUAI_TRY(L,c,a)=a"]
    wasi = ["-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_PROCESS_CLOCKS", "-lwasi-emulated-signal",
            "-lwasi-emulated-process-clocks", "-Wl,-z,stack-size=1048576,--stack-first"]
    return (compile_c(files, directory / "native/lua", flags, "lua"),
            compile_c(files, directory / "wasm/lua.wasm", [*WASM_FLAGS, *flags, *wasi], "lua (wasm)"))


class Engines:
    """Those that there are, and their commands; `wanted` restricts them, None takes all."""

    def __init__(self, aeon, directory, wanted=None, named=None):
        self.directory, self.home = directory, directory / "home"
        self.env = dict(os.environ, AEON_HOME=str(self.home))
        self.aeon = aeon if os.access(aeon, os.X_OK) else None
        self.help = {}
        self.wanted = wanted
        self.warmed = set()
        self.names = []
        if not self.aeon:
            say(f"no {aeon}: only native code and peers are measured")
        for name, options in AEON.items() if self.aeon else []:
            if self.is_wanted(name) and self.can("run", name, options):
                self.names.append(name)
        self.peers = {}
        for name, command in (named or {}).items():
            self.peers[name] = NamedPeer(command)
        for name, peer in PEERS.items():
            if name not in self.peers and self.is_wanted(name) and peer.find():
                self.peers[name] = peer

    def is_wanted(self, name):
        return self.wanted is None or name in self.wanted

    def help_of(self, command):
        if command not in self.help:
            done = subprocess.run([self.aeon, "help", command], capture_output=True, text=True, check=False)
            self.help[command] = done.stdout + done.stderr
        return self.help[command]

    def has(self, command, option):
        return option in self.help_of(command).replace(",", " ").split()

    def can(self, command, name, options):
        """An aeon without tiers interprets; whatever else it lacks is left out, and that is said."""
        missing = [o for o in options if o.startswith("--") and not self.has(command, o)]
        if not missing or missing == ["--tier"] and "interp" in options:
            return True
        say(f"{name} left out: `aeon {command}` has no {' and no '.join(missing)}")
        return False

    def options(self, name, command="run"):
        options = AEON[name]
        if not self.has(command, "--tier"):
            options = [o for o in options if o not in ("--tier", "interp")]
        return options

    def aeon_command(self, name, wasm, *args, options=()):
        return [self.aeon, "run", "-q", *self.options(name), *options, wasm, *args]

    def replay_command(self, name):
        tier = [o for o in self.options(name, "replay") if o != "--no-record"]
        return [self.aeon, "replay", *tier, "last"]

    def peer_words(self, name, text, wasm):
        peer = self.peers[name]
        values = {"exe": peer.exe, "maker": peer.maker_exe, "wasm": wasm, "here": str(HERE),
                  "made": str(self.directory / "made" / name / Path(wasm).with_suffix(".bin").name),
                  "cache": str(self.directory / "made" / name / "cache")}
        words = shlex.split(text)
        for key, value in values.items():
            if value:
                words = [w.replace("{" + key + "}", value) for w in words]
        return words

    def peer_command(self, name, wasm, *args):
        return [*self.peer_words(name, self.peers[name].command, wasm), *args]

    def make(self, name, wasm):
        """What a peer wants to have done to a module before it runs it."""
        peer = self.peers[name]
        out = self.directory / "made" / name / Path(wasm).with_suffix(".bin").name
        out.parent.mkdir(parents=True, exist_ok=True)
        if peer.make and is_older(out, [Path(wasm), Path(peer.maker_exe)]):
            say(f"{name}: compiling {Path(wasm).name}")
            done = run(self.peer_words(name, peer.make, wasm))[0]
            say(f"{name}: {done.cpu:.1f} s, {done.peak_mb:.0f} MB")

    def commands(self, program, names=None):
        """Name to command of all that can run PROGRAM, native first."""
        chosen = [n for n in self.names if n in (names or AEON)]
        commands = {"native": [program.native, *program.args]} if program.native else {}
        for name in chosen:
            commands[name] = self.aeon_command(name, program.wasm, *program.args)
        for name in list(self.peers):
            try:
                self.make(name, program.wasm)
                commands[name] = self.peer_command(name, program.wasm, *program.args)
            except (Failure, OSError) as error:
                self.leave_out(name, error)
        return commands

    def leave_out(self, name, error):
        """A peer that cannot run a program is no reason to stop, nor is an aeon that has no compiler at all. Anything
        else that aeon cannot run is."""
        if name in self.names and AEON_ITSELF in str(error):
            self.names.remove(name)
        elif name not in self.peers:
            raise error
        say(f"{name} left out: {error}")

    def warm(self, commands, program, runs=1):
        """Fills the caches: each command that has one runs RUNS times, unmeasured."""
        for name, command in list(commands.items()):
            if name == "wazero" or "compiled" in AEON.get(name, []) or "auto" in AEON.get(name, []):
                options = " ".join(o for o in AEON.get(name, [name]) if o != "--no-record")
                if (options, program.wasm) in self.warmed:
                    continue
                self.warmed.add((options, program.wasm))
                try:
                    for _ in range(runs if name in AEON else 1):
                        run(command, self.env)
                        self.forget_runs()
                except Failure as error:
                    self.leave_out(name, error)
                    del commands[name]

    def empty_home(self):
        self.warmed.clear()
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)

    def forget_runs(self):
        """Records go, so that the disk does not fill; modules and compiled code stay."""
        shutil.rmtree(self.home / "runs", ignore_errors=True)
