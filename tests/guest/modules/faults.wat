;; Every way to point out of bounds. Each must be answered with fault (21); the number of those that are is the exit
;; status.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1 1)
  (global $faults (mut i32) (i32.const 0))
  ;; at 0: a piece that ends one byte beyond memory; at 8: one that wraps; at 16: a good one, then a bad one
  (data (i32.const 0) "\00\ff\00\00\01\01\00\00" "\ff\ff\ff\ff\ff\ff\ff\ff" "\00\00\00\00\04\00\00\00" "\01\00\01\00\00\00\00\00")
  (func $is (param i32)
    (if (i32.eq (local.get 0) (i32.const 21))
      (then (global.set $faults (i32.add (global.get $faults) (i32.const 1))))))
  (func (export "_start")
    (call $is (call $args_sizes_get (i32.const 0xfffd) (i32.const 64)))            ;; 1: a number that does not fit
    (call $is (call $args_sizes_get (i32.const 64) (i32.const -1)))                ;; 2
    (call $is (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0xfff9))) ;; 3: 8 bytes
    (call $is (call $random_get (i32.const 0xffff) (i32.const 2)))                 ;; 4
    (call $is (call $random_get (i32.const 64) (i32.const -1)))                    ;; 5: wraps
    (call $is (call $random_get (i32.const 0x10001) (i32.const 0)))                ;; 6: empty, but nowhere
    (call $is (call $fd_fdstat_get (i32.const 1) (i32.const 0xffe9)))              ;; 7: a record
    (call $is (call $path_unlink_file (i32.const 3) (i32.const 0xfff0) (i32.const 17))) ;; 8
    (call $is (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))  ;; 9: piece beyond
    (call $is (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64))) ;; 10: piece wraps
    (call $is (call $fd_write (i32.const 1) (i32.const 16) (i32.const 2) (i32.const 64))) ;; 11: second piece
    (call $is (call $fd_write (i32.const 1) (i32.const 0xfffc) (i32.const 1) (i32.const 64))) ;; 12: the list itself
    (call $is (call $fd_write (i32.const 1) (i32.const 64) (i32.const 0x20000000) (i32.const 64))) ;; 13: wraps in 32 bits
    (call $is (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 0x5555556) (i32.const 64))) ;; 14: count * 48 wraps
    (call $is (call $poll_oneoff (i32.const 64) (i32.const 0xfff0) (i32.const 1) (i32.const 64)))   ;; 15: room for events
    (call $is (call $args_get (i32.const 0xfffd) (i32.const 64)))                  ;; 16: room for the pointers
    (call $is (call $args_get (i32.const 64) (i32.const 0xffff)))                  ;; 17: room for the strings
    ;; and these are fine: at the very end, and empty there
    (call $is (call $random_get (i32.const 0xffff) (i32.const 1)))
    (call $is (call $random_get (i32.const 0x10000) (i32.const 0)))
    (call $is (call $fd_write (i32.const 1) (i32.const 0x10000) (i32.const 0) (i32.const 64)))
    (call $proc_exit (global.get $faults))))
