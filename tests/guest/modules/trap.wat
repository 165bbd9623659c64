;; Writes nothing, divides by zero two calls deep.
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (memory (export "memory") 1)
  (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func $outer (result i32) (call $inner (call $sched_yield)))
  (func (export "_start") (drop (call $outer))))
