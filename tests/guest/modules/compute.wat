;; Counts to 20 000 in a loop with nested calls, writing one byte of the state every 4 000 steps; returns from _start.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\20\00\00\00\01\00\00\00")
  (func $mix (param i64) (result i64)
    (i64.xor (i64.mul (local.get 0) (i64.const 0x5851f42d4c957f2d)) (i64.shr_u (local.get 0) (i64.const 17))))
  (func $step (param $state i64) (result i64) (call $mix (call $mix (local.get $state))))
  (func (export "_start") (local $i i32) (local $state i64)
    (drop (call $random_get (i32.const 0) (i32.const 8)))
    (local.set $state (i64.load (i32.const 0)))
    (loop $again
      (local.set $state (call $step (i64.add (local.get $state) (i64.extend_i32_u (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 4000)))
        (then
          (i64.store (i32.const 32) (local.get $state))
          (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40)))))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 20000))))))
