// Runs modules on V8 and prints what happened, in the form of run_aeon.c. Needs the flags that run.py gives to node.
// usage: node ... run_node.mjs FILE.wasm...
import fs from 'node:fs';
import path from 'node:path';

const ARGUMENTS = {
    i32: [0, 1, -1, 0x7fffffff, -0x80000000, 42, 65535, 0x12345678],
    i64: [0n, 1n, -1n, 0x7fffffffffffffffn, -0x8000000000000000n, 42n, 0x100000000n, 0x123456789abcdefn],
    f32: [0, -0, 1, -1.5, Infinity, -Infinity, 1e10, 0.1],
    f64: [0, -0, 1, -1.5, Infinity, -Infinity, 1e10, 0.1],
};
const FUEL_CALLS = 250, FUEL_LOOPS = 3000;

const scratch = new DataView(new ArrayBuffer(8));
const hex = (n, digits) => n.toString(16).padStart(digits, '0');

function words(type, v) { // the value's bits, low word first
    switch (type) {
    case 'i32': return [v >>> 0];
    case 'i64': { const u = BigInt.asUintN(64, v); return [Number(u & 0xffffffffn), Number(u >> 32n)]; }
    case 'f32':
        if (v !== v) return [0x7fc00000];
        scratch.setFloat32(0, v);
        return [scratch.getUint32(0)];
    case 'f64':
        if (v !== v) return [0, 0x7ff80000];
        scratch.setFloat64(0, v);
        return [scratch.getUint32(4), scratch.getUint32(0)];
    }
}

function show(type, v) {
    if (type === 'funcref') return v === null ? 'null' : 'func';
    if (type === 'externref') return v === null ? 'null' : 'ref:' + v;
    return type + ':' + words(type, v).reverse().map(w => hex(w, 8)).join('');
}

const mix = (h, w) => Math.imul(h ^ w, 16777619) >>> 0;

function hash(bytes) { // FNV-1a over 32-bit words
    const w = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
    let h = 2166136261;
    for (let i = 0; i < w.length; i++) h = Math.imul(h ^ w[i], 16777619);
    return h >>> 0;
}

// V8 tells fewer kinds apart than the specification; run_aeon.c prints these.
function kind(e) {
    const m = String(e.message);
    if (e instanceof RangeError && /call stack/.test(m)) return 'stack';
    if (e instanceof TypeError) return 'host';
    if (/^unreachable/.test(m)) return 'unreachable';
    if (/(divide|remainder) by zero/.test(m)) return 'zero';
    if (/unrepresentable/.test(m)) return 'range';
    if (/memory access out of bounds|data segment/.test(m)) return 'memory';
    if (/null function or function signature/.test(m)) return 'indirect';
    if (/table|element segment/.test(m)) return 'table';
    return m;
}

function run(file) {
    const out = ['module ' + path.basename(file)];
    let module;
    try {
        module = new WebAssembly.Module(fs.readFileSync(file));
    } catch (e) {
        out.push('invalid ' + e.message);
        return out;
    }
    let logs = 0, log = 2166136261;
    const logger = type => v => { logs++; for (const w of words(type, v)) log = mix(log, w); };
    const imports = {
        'fuzzing-support': {
            'log-i32': logger('i32'), 'log-i64': logger('i64'), 'log-f32': logger('f32'), 'log-f64': logger('f64'),
            'log-v128': () => {},
            'make-ref': i => i === 0 ? null : i >>> 0,
            'read-ref': r => r === null ? 0 : r,
        },
        env: {
            i32: new WebAssembly.Global({value: 'i32'}, 1234567),
            i64: new WebAssembly.Global({value: 'i64', mutable: true}, -5n),
            memory: new WebAssembly.Memory({initial: 1, maximum: 4}),
        },
    };
    let exports;
    try {
        exports = new WebAssembly.Instance(module, imports).exports;
    } catch (e) {
        out.push('instantiation ' + kind(e));
        return out;
    }
    let ordinal = 0;
    for (const {name, kind: what, type} of WebAssembly.Module.exports(module)) {
        if (what !== 'function') continue;
        const {parameters, results} = type;
        const base = 7 * ordinal++;
        if (parameters.includes('v128') || results.includes('v128')) continue;
        if (exports.calls instanceof WebAssembly.Global) {
            exports.calls.value = FUEL_CALLS;
            exports.loops.value = FUEL_LOOPS;
        } else if (exports.hangLimitInitializer) {
            exports.hangLimitInitializer();
        }
        const args = parameters.map((t, j) => t === 'funcref' ? null : t === 'externref' ? base + j + 1
                                                  : ARGUMENTS[t][(base + 3 * j) & 7]);
        let line;
        try {
            const r = exports[name](...args);
            const values = results.length === 0 ? [] : results.length === 1 ? [r] : r;
            line = values.map((v, i) => ' ' + show(results[i], v)).join('');
        } catch (e) {
            line = ' trap ' + kind(e);
        }
        out.push(name + line + (logs ? ` log ${logs} ${hex(log, 8)}` : '') +
                 (exports.ticks instanceof WebAssembly.Global ? ` ticks ${exports.ticks.value}` : ''));
    }
    for (const {name, kind: what, type} of WebAssembly.Module.exports(module)) {
        const x = exports[name];
        if (what === 'memory') {
            out.push(`memory ${x.buffer.byteLength} ${hex(hash(new Uint8Array(x.buffer)), 8)}`);
        } else if (what === 'global' && type.value !== 'v128' && name !== 'ticks') {
            out.push(`global ${name} ${show(type.value, x.value)}`);
        } else if (what === 'table') {
            let h = 2166136261;
            for (let i = 0; i < x.length; i++) {
                const v = x.get(i);
                h = mix(h, v === null ? 0 : typeof v === 'number' ? v : 1);
            }
            out.push(`table ${name} ${x.length} ${hex(h, 8)}`);
        }
    }
    return out;
}

for (const file of process.argv.slice(2)) process.stdout.write(run(file).join('\n') + '\n');
