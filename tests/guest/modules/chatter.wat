;; 20 000 times: 64 random bytes, written to standard output as they are. A journal that grows.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "\00\01\00\00\40\00\00\00")
  (func (export "_start") (local $i i32)
    (loop $again
      (drop (call $random_get (i32.const 256) (i32.const 64)))
      (i32.store (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2))) (i32.load (i32.const 256)))
      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 20000))))))
