#!/usr/bin/env python3
"""Runs random modules interpreted and compiled beside each other (tiers.c): everything must be the same.

    tests/differential/tiers.py --count 10000 --seed 1 [--effort 2] [--source found|own|binaryen] [--keep DIR]

Modules are those of run.py.  $AEON_TIERS_COUNT replaces --count.  Modules on which the tiers differ are copied to the
directory given by --keep; what is printed says how to see it again.
Exit status: 0 all agree, 1 some differ, 2 it could not run.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import run

BATCH = 50


def run_batch(args, source, batch, totals):
    """The modules that differ, with what was said of them."""
    with tempfile.TemporaryDirectory() as directory:
        files = run.MAKERS[source](args, batch, directory)
        said = run.run_all([args.tiers, '--effort', str(args.effort), '--seed', str(args.plans)], files)
        bad = []
        for path in files:
            name = '%s-%s' % (source, os.path.basename(path))
            lines = run.of(said, path)
            for line in lines:
                if line.startswith('total '):
                    for what, n in re.findall(r'(\w+) (\d+)', line[6:]):
                        totals[what] = totals.get(what, 0) + int(n)
            trouble = [x for x in lines if not x.startswith(('total ', 'invalid '))]
            if trouble:
                bad.append((name, trouble))
                if args.keep:
                    os.makedirs(args.keep, exist_ok=True)
                    shutil.copy(path, os.path.join(args.keep, name))
        return bad


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--count', type=int, default=300, help='modules of each source')
    p.add_argument('--seed', type=int, default=1, help='k of the first module')
    p.add_argument('--plans', type=int, default=0, help='another number: other things are done to the same modules')
    p.add_argument('--effort', type=int, choices=[1, 2], default=1, help='of the compiler')
    p.add_argument('--source', choices=list(run.MAKERS), action='append', help='may be repeated; all when absent')
    p.add_argument('--keep', metavar='DIR', help='where modules with differences go')
    p.add_argument('--build', default=os.environ.get('AEON_BUILD_DIR', os.path.join(run.HERE, '../../build/release')))
    p.add_argument('--until', metavar='HH:MM', help='stop then')
    args = p.parse_args()
    args.count = int(os.environ.get('AEON_TIERS_COUNT', args.count))
    for program in ['gen', 'instrument', 'tiers']:
        setattr(args, program, os.path.join(args.build, 'tests/differential', program))
    failed = False
    for source in args.source or list(run.MAKERS):
        if source != 'own' and not shutil.which(run.TOOLS[source]):
            print('%s: left out, there is no %s here' % (source, run.TOOLS[source]))
            continue
        modules = (sorted(glob.glob(os.path.join(run.HERE, 'found/*.wat'))) if source == 'found' else
                   range(args.seed, args.seed + args.count))
        totals, different, done = {}, 0, 0
        for i in range(0, len(modules), BATCH):
            if args.until and time.strftime('%H:%M') >= args.until:
                break
            batch = modules[i:i + BATCH]
            done += len(batch)
            for name, lines in run_batch(args, source, batch, totals):
                different += 1
                print('%s: %s' % (name, '\n    '.join(lines)), flush=True)
        print('%s: %d modules, %d differ; %s' %
              (source, done, different, ', '.join('%s %d' % t for t in totals.items())), flush=True)
        failed = failed or different > 0 or not totals.get('calls')
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (OSError, subprocess.CalledProcessError) as e:
        print('cannot run: %s' % e, file=sys.stderr)
        sys.exit(2)
