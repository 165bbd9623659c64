#!/usr/bin/env python3
"""bench/run itself, with next to nothing to do: every figure is there, wrong output is no figure, and what cannot run
is said. How large the figures are is nobody's business here."""
import json
import os
import subprocess
import sys
import tempfile

AEON = os.environ.get("AEON") or sys.exit("AEON is not set: the program under test")
RUN = os.path.join(os.environ["AEON_SOURCE_DIR"], "bench/run")
failures = []
checks = 0


def check(what, said):
    global checks
    checks += 1
    if not what:
        failures.append(said)
        print(f"smoke.py: {said}", file=sys.stderr)


def bench(directory, *args):
    return subprocess.run([sys.executable, RUN, *args, "--runs", "1", "--work", "1", "--kernel", "hash", "--build",
                           directory, "--aeon", AEON], capture_output=True, text=True, check=False)


def main():
    none = dict.fromkeys(["WASM3", "IWASM", "IWASM_AOT", "WAMRC", "WAZERO", "WASMTIME", "NODE"], "/none")
    os.environ.update(none)  # whatever engines this machine has
    with tempfile.TemporaryDirectory() as directory:
        done = bench(directory, "kernels", "replay", "--json", "--peer", "broken=false {wasm}")
        check(done.returncode == 0, f"status {done.returncode}: {done.stderr}")
        if done.returncode == 0:
            result = json.loads(done.stdout)
            check(set(result["kernels"]) == {"hash", "start"}, f"kernels: {list(result['kernels'])}")
            for name in ["native", "interp", "interp-rec"]:
                check(result["kernels"]["hash"].get(name, {}).get("user", 0) > 0, f"no time of {name}")
            again = result["replay"]["hash"]["interp-rec"]
            check(again["live"]["user"] > 0 and again["replay"]["user"] > 0, f"replay: {again}")
            check("broken left out" in done.stderr, f"the broken peer went unmentioned: {done.stderr}")
        done = bench(directory, "kernels", "--engine", "interp")
        check(done.returncode == 0 and "mean, net of start" in done.stdout and "interp-rec" not in done.stdout,
              f"the table: status {done.returncode}: {done.stdout}{done.stderr}")
        done = bench(directory, "kernels", "--engine", "interp", "--peer", "liar=echo {wasm}")
        check(done.returncode == 2 and "liar printed" in done.stderr and not done.stdout,
              f"wrong output: status {done.returncode}: {done.stdout}{done.stderr}")
    print(f"{checks - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
