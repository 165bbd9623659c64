#!/usr/bin/env python3
"""Real programs: each runs live, then its journal is replayed, and everything is compared: standard output, standard
error, exit status; `verify` agrees, and a replay with the program's files and environment gone gives the same again.

    guests.py [CASE...]"""
import os
import subprocess

from box import Box, check, guest, main

PYTHON_LIBRARY = ["--dir", guest("python-3.11/usr") + ":/usr:ro"]

PY_ARITHMETIC = """
import math, decimal, fractions
print(2**500 % 1000007, math.comb(60, 30), sum(i*i for i in range(20000)))
print(math.sin(1.5), math.pi ** 0.5, 0.1 + 0.2, 1e308 * 10, float('nan'))
decimal.getcontext().prec = 40
print(decimal.Decimal(2).sqrt(), fractions.Fraction(1, 3) + fractions.Fraction(1, 6))
"""
PY_JSON = """
import json, hashlib, zlib, re, collections, itertools, textwrap, datetime, struct, base64
data = {'n': list(range(50)), 'nested': {'x': None, 'y': [True, 1.5, 'é']}}
text = json.dumps(data, sort_keys=True, indent=1)
assert json.loads(text) == data
print(hashlib.sha256(text.encode()).hexdigest(), zlib.crc32(text.encode()))
print(collections.Counter(re.findall(r'[a-z]', text)).most_common(3), base64.b64encode(struct.pack('<d', 1.5)))
print(datetime.date(2024, 2, 29) + datetime.timedelta(days=365), next(itertools.permutations('abc')))
"""
PY_FILES = """
import os, sys
with open('/data/out.txt', 'w') as f:
    for i in range(2000):
        print('line', i, file=f)
print(os.path.getsize('/data/out.txt'), open('/data/in.txt').read().strip(), sorted(os.listdir('/data')))
os.mkdir('/data/d'); os.rename('/data/out.txt', '/data/d/moved'); print(os.stat('/data/d/moved').st_size)
lines = open('/data/d/moved').read().splitlines(); print(len(lines), lines[-1])
try:
    open('/etc/passwd')
except OSError as e:
    print('refused', e.errno, file=sys.stderr)
"""
PY_RANDOM = """
import sys, time, random, os, uuid, secrets
print(time.time(), time.monotonic(), time.perf_counter_ns())
print(random.random(), random.randint(0, 10**9), os.urandom(16).hex(), uuid.uuid4(), secrets.token_hex(8))
if sys.version_info >= (3, 12):  # this 3.11's libc cannot sleep
    time.sleep(0.02)
print(time.time_ns(), hash('seeded by entropy'), id(object()))
"""
PY_EXCEPTION = """
import sys
print('before')
def deeper(n):
    if n == 0:
        raise ValueError('as asked')
    deeper(n - 1)
deeper(3)
"""
PY_EXIT = "import sys; print(sys.stdin.read().upper()); print('err', file=sys.stderr); sys.exit(7)"

RUBY = r"""
require 'json'
puts RUBY_VERSION, (1..30).reduce(:*), JSON.generate({a: [1, 2.5, nil], b: "é"})
puts Time.now.to_f, rand, Random.bytes(8).unpack1('H*')
File.write('/data/ruby.txt', (1..500).map { |i| "row #{i}" }.join("\n"))
puts File.size('/data/ruby.txt'), Dir.children('/data').sort.inspect, File.read('/data/in.txt')
warn 'to stderr'
begin; raise 'oops'; rescue => e; puts e.message; end
exit 3
"""

SQL = """
create table t(id integer primary key, name text, value real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into t select i, 'name ' || i, i * 1.5 from n;
commit;
create index by_name on t(name);
select count(*), sum(value), max(name) from t;
select hex(randomblob(8)), length(strftime('%s', 'now'));
update t set value = value * 2 where id % 10 = 0;
select * from t where id in (10, 11, 500);
"""

LUA = """
print(_VERSION, 2^53, 7 // 2, string.format('%5.2f', math.pi))
local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end
table.sort(t) print(t[1], t[500], t[1000])
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
print(co(), co(), co())
print(pcall(function() error({code = 5}) end))
print(select('#', ...), ...)
local f = assert(io.open('/data/lua.txt', 'w')) for i = 1, 300 do f:write(i, '\\n') end f:close()
local n = 0 for _ in io.lines('/data/lua.txt') do n = n + 1 end print(n, os.time() > 1700000000, os.clock() >= 0)
for w in string.gmatch('the quick brown fox', '%a+') do io.write(w:upper(), ' ') end print()
os.exit(5)
"""


# A program nobody here wrote, on the first generation of the socket extension: both sides of a connection, a name, and
# somebody who is not there.
QUICKJS = """
import * as net from 'wasi_net';
const text = bytes => String.fromCharCode(...new Uint8Array(bytes));
async function serve(server, n) {
    for (let i = 0; i < n; i++) {
        let conn = await server.accept();
        conn.write('echo: ' + text(await conn.read()));
        conn.end();
    }
}
async function main() {
    let server = new net.WasiTcpServer(8123);
    serve(server, 5);
    for (let i = 0; i < 5; i++) {
        let conn = await net.WasiTcpConn.connect('127.0.0.1:8123');
        print('peer', conn.peer());
        conn.write('hello ' + i);
        print(text(await conn.read()));
    }
    try {
        await net.WasiTcpConn.connect('127.0.0.1:1');
    } catch (e) {
        print('nobody there:', e);
    }
}
main().catch(e => print('failed', e));
"""


def live_and_replayed(module, *args, options=(), files=None, stdin=b"", status=0, out=(), err=(), differs=False):
    """`out`, `err`: texts the live run must have printed. `differs`: two live runs print different things."""
    def case():
        if not os.path.exists(guest(module)):
            return f"skipped: {guest(module)} is not there (tools/guests.sh brings it)"
        with Box() as box:
            os.mkdir(os.path.join(box.work, "data"))
            for name, text in (files or {}).items():
                with open(os.path.join(box.work, name), "w", encoding="utf-8") as f:
                    f.write(text)
            command = ["run", "-q", *options, guest(module), *args]
            live = box.aeon(*command, stdin=stdin, expect=status)
            for text in out:
                check(text.encode() in live.out, f"no {text!r} in the output of {live}")
            for text in err:
                check(text.encode() in live.err, f"no {text!r} in the errors of {live}")
            run = box.runs()[-1]
            check(run["state"] == "finished", f"not listed as finished: {run}")
            compare(live, box.aeon("replay", run["id"]))
            box.aeon("verify", run["id"], expect=0)
            compare(live, box.replay_elsewhere(run["id"]))
            logs = box.aeon("logs", run["id"], "--stdout", expect=0)
            check(logs.out == live.out, f"logs --stdout is not what was printed: {logs}")
            if differs:
                again = box.aeon(*command, stdin=stdin)
                check(again.out != live.out, f"two live runs printed the same, so that this proves nothing: {live}")
            return f"{run['records']} records"
    return case


def compare(live, replayed):
    for what in ("status", "out", "err"):
        check(getattr(live, what) == getattr(replayed, what), f"{what} differs.\nlive: {live}\nreplayed: {replayed}")


def sqlite():
    """The shell on a database file, which the machine's own sqlite3, where there is one, must then find in order."""
    with Box() as box:
        if not os.path.exists(guest("sqlite.wasm")):
            return f"skipped: {guest('sqlite.wasm')} is not there (tools/guests.sh brings it)"
        live = box.aeon("run", "-q", "--dir", ".:/data", guest("sqlite.wasm"), "/data/test.db", stdin=SQL.encode(),
                        expect=0)
        for text in (b"500|187875.0|name 99", b"500|name 500|1500.0"):
            check(text in live.out, f"no {text!r} in the output of {live}")
        run_id = box.last_id()
        compare(live, box.aeon("replay", run_id))
        box.aeon("verify", run_id, expect=0)
        compare(live, box.replay_elsewhere(run_id))
        try:
            look = "select count(*), sum(value) from t; pragma integrity_check;"
            native = subprocess.run(["sqlite3", "test.db", look], cwd=box.work, stdout=subprocess.PIPE, check=True)
            check(native.stdout == b"500|207000.0\nok\n", f"the machine's sqlite3 reads {native.stdout!r}")
        except FileNotFoundError:
            return "the machine has no sqlite3 to look at the file"
        return "the machine's sqlite3 agrees"


def python(module, options, tag, version):
    def with_script(text, **kwargs):
        kwargs.setdefault("files", {})["script.py"] = text
        opts = [*options, "--dir", ".:/work:ro", *kwargs.pop("options", ())]
        return live_and_replayed(module, "/work/script.py", options=opts, **kwargs)
    show_version = ["-c", "import sys; print(sys.version)"]
    sums = ["118264581564861424", "0.30000000000000004", "inf nan", "1/2"]
    return {
        f"{tag}-version": live_and_replayed(module, *show_version, options=options, out=[version]),
        f"{tag}-arithmetic": with_script(PY_ARITHMETIC, out=sums),
        f"{tag}-library": with_script(PY_JSON, out=["2025-02-28 ('a', 'b', 'c')"]),
        f"{tag}-files": with_script(PY_FILES, files={"data/in.txt": "input\n"}, options=["--dir", "data:/data"],
                                    out=["input ['in.txt', 'out.txt']", "2000 line 1999"], err=["refused"]),
        f"{tag}-random": with_script(PY_RANDOM, differs=True),
        f"{tag}-exception": with_script(PY_EXCEPTION, status=1, out=["before"], err=["ValueError: as asked"]),
        f"{tag}-exit": with_script(PY_EXIT, stdin=b"shout", status=7, out=["SHOUT"], err=["err"]),
    }


DATA = ["--dir", "data:/data"]
CASES = {
    "hello": live_and_replayed("hello.wasm", out=["hello, world"]),
    "args": live_and_replayed("args.wasm", "--", "-x", "two words", options=["--env", "A=1"],
                              out=["arg 1: -x", "arg 2: two words", "env: A=1"]),
    "cat": live_and_replayed("cat.wasm", stdin=bytes(range(256)) * 1000, err=["256000 bytes"]),
    "clock": live_and_replayed("clock.wasm", differs=True),
    "exit": live_and_replayed("exit.wasm", "42", status=42, out=["bye"], err=["leaving with 42"]),
    "files": live_and_replayed("files.wasm", "/data", options=DATA, out=["all done"]),
    "descriptors": live_and_replayed("descriptors.wasm", "/data", options=DATA, out=["all done"]),
    "poll": live_and_replayed("poll.wasm", stdin=b"abc\n" * 10, out=["40 bytes"]),
    "sockets": live_and_replayed("sockets.wasm", out=["20 connections, 300000 bytes", "datagrams", "ok"]),
    "quickjs": live_and_replayed("quickjs.wasm", "/data/net.js", options=DATA, files={"data/net.js": QUICKJS},
                                 out=["peer 127.0.0.1:8123", "echo: hello 0", "echo: hello 4", "nobody there:"]),
    "cpp": live_and_replayed("stl.wasm", out=["1000 47262215 0", "down static"]),
    "rust": live_and_replayed("rust.wasm", "/data", options=[*DATA, "--env", "GREETING=hi"], differs=True,
                              out=["arguments 2", "greeting hi", "gone"]),
    "rust-panic": live_and_replayed("rust.wasm", "/data", "panic", options=DATA, status=134, err=["as asked"]),
    "go": live_and_replayed("go.wasm", "/data", options=[*DATA, "--env", "GREETING=hi"], differs=True,
                            out=["goroutines 338350", "timers 3 6 9", "done"]),
    "go-exit": live_and_replayed("go.wasm", "/data", "9", options=DATA, status=9),
    "go-panic": live_and_replayed("go.wasm", "/data", "panic", options=DATA, status=2, err=["panic: as asked"]),
    "lua": live_and_replayed("lua.wasm", "/data/script.lua", "x", "y", options=DATA, files={"data/script.lua": LUA},
                             status=5, out=["Lua 5.4", "1\t2\t3", "2\tx\ty", "THE QUICK BROWN FOX"]),
    "sqlite": sqlite,
    "ruby": live_and_replayed("ruby.wasm", "/data/script.rb", options=DATA, status=3, differs=True,
                              files={"data/script.rb": RUBY, "data/in.txt": "given"},
                              out=["3.2", "265252859812191058636308480000000", "given", "oops"], err=["to stderr"]),
    **python("python.wasm", [], "python312", "3.12"),
    **python("python-3.11.wasm", PYTHON_LIBRARY, "python311", "3.11"),
}

if __name__ == "__main__":
    main(CASES)
