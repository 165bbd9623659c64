#!/usr/bin/env python3
"""Compares our engine with Node's V8 on random valid modules: results, traps, memory, tables, globals, clock.

    tests/differential/run.py --count 10000 --seed 1 [--source found|own|binaryen] [--jobs 2] [--keep DIR]

Programs gen, instrument and run_aeon come from the build tree ($AEON_BUILD_DIR, or --build).  Module k of a source
depends on k alone; `found` is modules on which we once were wrong.  Modules on which the engines differ are copied to
the directory given by --keep.
Exit status: 0 all agree, 1 some differ, 2 it could not run, 77 a tool is missing.
"""
import argparse
import concurrent.futures
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = ['node', '--experimental-wasm-type-reflection', '--experimental-wasm-extended-const',
        os.path.join(HERE, 'run_node.mjs')]
# Does V8 take a function that calls itself in tail position?
PROBE = ('process.exit(WebAssembly.validate(Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, '
         '0, 10, 6, 1, 4, 0, 18, 0, 11])) ? 0 : 1)')
# References are missing because V8 rejects most of what comes out with them; gen makes up for it.
BINARYEN = ['-ttf', '--denan', '--enable-simd', '--enable-bulk-memory', '--enable-multivalue', '--enable-sign-ext',
            '--enable-nontrapping-float-to-int', '--enable-tail-call']
BATCH = 100
TIMEOUT_SECONDS = 300


def numbered(numbers, directory):
    return [os.path.join(directory, '%06d.wasm' % n) for n in numbers]


def make_own(args, numbers, directory):
    subprocess.run([args.gen, '--seed', str(numbers[0]), '--count', str(len(numbers)), '--out', directory], check=True)
    return numbered(numbers, directory)


def make_found(args, sources, directory):
    made = [os.path.join(directory, os.path.basename(s)[:-3] + 'wasm') for s in sources]
    for source, target in zip(sources, made):
        subprocess.run(['wat2wasm', '--enable-tail-call', '--enable-extended-const', source, '-o', target], check=True)
    return made


def make_binaryen(args, numbers, directory):
    for n, made in zip(numbers, numbered(numbers, directory)):
        draw = random.Random(n)
        noise = os.path.join(directory, 'noise')
        with open(noise, 'wb') as f:
            f.write(draw.randbytes(draw.randrange(200, 8000)))
        raw = os.path.join(directory, 'raw')
        subprocess.run(['wasm-opt', noise, '-o', raw] + BINARYEN, check=True, stderr=subprocess.DEVNULL)
        subprocess.run([args.instrument, 'nans', raw, made], check=True)  # --denan knows nothing of vectors
    return numbered(numbers, directory)


MAKERS = {'found': make_found, 'own': make_own, 'binaryen': make_binaryen}
TOOLS = {'found': 'wat2wasm', 'own': 'node', 'binaryen': 'wasm-opt'}


def blocks_of(text):
    blocks = {}
    for line in text.splitlines():
        if line.startswith('module '):
            current = blocks.setdefault(line[7:], [])
        else:
            current.append(line)
    return blocks


def run_all(command, files):
    """What `command` prints of each file; after a crash it goes on behind the culprit."""
    blocks = {}
    while files:
        try:
            done = subprocess.run(command + files, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  errors='replace', timeout=TIMEOUT_SECONDS)
            text, trouble = done.stdout, done.returncode and 'exit status %d: %s' % (
                done.returncode, ' / '.join(done.stderr.strip().splitlines()[-3:]))
        except subprocess.TimeoutExpired as e:
            text, trouble = (e.stdout or b'').decode(errors='replace'), 'no end in sight'
        seen = blocks_of(text)
        blocks.update(seen)
        if not trouble:
            break
        culprit = max(len(seen) - 1, 0)
        blocks.setdefault(os.path.basename(files[culprit]), []).append(trouble)
        files = files[culprit + 1:]
    return blocks


def first_difference(left, a, right, b):
    for x, y in zip(a, b):
        if x != y:
            return '%s %r, %s %r' % (left, x, right, y)
    return '%s %d lines, %s %d' % (left, len(a), right, len(b)) if len(a) != len(b) else None


def counting(args, files, directory):
    """Copies of the modules that count their own ticks."""
    os.mkdir(directory)
    made = [os.path.join(directory, os.path.basename(f)) for f in files]
    for source, target in zip(files, made):
        subprocess.run([args.instrument, 'ticks', source, target], check=True)
    return made


def of(results, path):
    return results.get(os.path.basename(path), ['not run'])


def without_ticks(lines):
    return [re.sub(' ticks [0-9]+$', '', x) for x in lines]


def v8_difference(once, path, v8, v8_counting, counting_path):
    return (first_difference('aeon', without_ticks(of(once, path)), 'V8', of(v8, path)) or
            first_difference('aeon', of(once, path), 'counted by V8', of(v8_counting, counting_path)))


def v8_is_wrong(path, counting_path, once):
    """Whether V8's optimising compiler agrees with us, so that its baseline compiler is wrong (own 105436: a loop)."""
    command = NODE[:1] + ['--no-liftoff'] + NODE[1:]
    return not v8_difference(once, path, run_all(command, [path]), run_all(command, [counting_path]), counting_path)


def run_batch(args, source, number, batch):
    """Returns (calls, those that trapped, [(file, difference)])."""
    with tempfile.TemporaryDirectory() as directory:
        files = MAKERS[source](args, batch, directory)
        counted = counting(args, files, directory + '/ticks')
        v8, v8_counting = run_all(NODE, files), run_all(NODE, counted)
        once = run_all([args.runner, '--ticks'], files)
        # stopped and continued all the time, the second time in a new store: the same, clock included
        stepped = run_all([args.runner, '--ticks', '--steps', str(1 + number % 4 * 10)], files)
        frozen = run_all([args.runner, '--ticks', '--steps', '200000', '--freeze'], files)
        calls = traps = 0
        bad = []
        for path, counting_path in zip(files, counted):
            name = '%s-%s' % (source, os.path.basename(path))
            calls += sum(not x.startswith(('global ', 'memory ', 'table ')) for x in of(v8, path))
            traps += sum(' trap ' in x for x in of(v8, path))
            difference = v8_difference(once, path, v8, v8_counting, counting_path)
            if difference and v8_is_wrong(path, counting_path, once):
                print('%s: %s; but V8 disagrees with itself' % (name, difference), flush=True)
                difference = None
            difference = (difference or first_difference('in steps', of(stepped, path), 'at once', of(once, path)) or
                          first_difference('frozen', of(frozen, path), 'at once', of(once, path)))
            if difference:
                bad.append((name, difference))
                if args.keep:
                    os.makedirs(args.keep, exist_ok=True)
                    shutil.copy(path, os.path.join(args.keep, name))
        return calls, traps, bad


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--count', type=int, default=300, help='modules of each source')
    p.add_argument('--seed', type=int, default=1, help='k of the first module')
    p.add_argument('--source', choices=list(MAKERS), action='append', help='may be repeated; all when absent')
    p.add_argument('--jobs', type=int, default=2)
    p.add_argument('--keep', metavar='DIR', help='where modules with differences go')
    p.add_argument('--build', default=os.environ.get('AEON_BUILD_DIR', os.path.join(HERE, '../../build/release')))
    args = p.parse_args()
    for program in ['gen', 'instrument', 'runner']:
        setattr(args, program, os.path.join(args.build, 'tests/differential', program.replace('runner', 'run_aeon')))
    sources = args.source or list(MAKERS)
    for tool in ['node'] + [TOOLS[source] for source in sources]:
        if not shutil.which(tool):
            print('skipped: there is no %s here' % tool)
            return 77
    if subprocess.run(['node', '-e', PROBE]).returncode != 0:
        print('skipped: this Node is too old (20 is enough): it knows no tail calls')
        return 77
    failed = False
    for source in sources:
        modules = (sorted(glob.glob(os.path.join(HERE, 'found/*.wat'))) if source == 'found' else
                   range(args.seed, args.seed + args.count))
        batches = [modules[i:i + BATCH] for i in range(0, len(modules), BATCH)]
        calls = traps = different = 0
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for c, t, bad in pool.map(lambda b: run_batch(args, source, *b), enumerate(batches)):
                calls, traps, different = calls + c, traps + t, different + len(bad)
                for name, difference in bad:
                    print('%s: %s' % (name, difference), flush=True)
        print('%s: %d modules, %d calls of which %d trapped, %d modules differ' %
              (source, len(modules), calls, traps, different), flush=True)
        failed = failed or different > 0 or calls == 0
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (OSError, subprocess.CalledProcessError) as e:
        print('cannot run: %s' % e, file=sys.stderr)
        sys.exit(2)
