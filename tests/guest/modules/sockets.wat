;; The shapes that only sockets have: good pointers first, then every way to point out of bounds, each of which must be
;; answered with fault (21); the number of those that are is the exit status.
(module
  (import "wasi_snapshot_preview1" "sock_open" (func $sock_open (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_bind" (func $sock_bind (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv_from"
    (func $recv_from (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv_from"
    (func $recv_from1 (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getsockopt" (func $getsockopt (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_setsockopt" (func $setsockopt (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getaddrinfo"
    (func $getaddrinfo (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept1 (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getpeeraddr" (func $getpeeraddr1 (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1 1)
  (global $faults (mut i32) (i32.const 0))
  (global $failed (mut i32) (i32.const 0))
  ;; addresses: at 64 4 bytes, at 72 room for 128, at 80 one byte too many, at 88 far beyond
  (data (i32.const 64) "\e8\03\00\00\04\00\00\00" "\f2\03\00\00\80\00\00\00" "\f0\ff\00\00\11\00\00\00"
    "\ff\ff\ff\ff\ff\ff\ff\ff")
  (data (i32.const 96) "\b0\04\00\00\0a\00\00\00") ;; pieces: 10 bytes at 1200
  (data (i32.const 1000) "\7f\00\00\01")
  ;; lists: pointers to a good one, one that goes on out of bounds, a circle, one whose data are out of bounds
  (data (i32.const 112) "\d0\07\00\00" "\b8\0b\00\00" "\1c\0c\00\00" "\80\0c\00\00")
  ;; an option's length: 100, and far too large
  (data (i32.const 128) "\64\00\00\00" "\00\00\ff\ff")
  ;; the good list: room for a name of 4 in the first; none for an IPv6 address in the second
  (data (i32.const 2000)
    "\00\00\00\00\00\00\00\00\00\00\00\00\34\08\00\00\98\08\00\00\04\00\00\00\ec\07\00\00"
    "\00\00\00\00\00\00\00\00\00\00\00\00\40\08\00\00\00\00\00\00\00\00\00\00\08\08\00\00"
    "\00\00\00\00\00\00\00\00\00\00\00\00\4c\08\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 2100) "\00\00\00\00\1a\00\00\00\fc\08\00\00" "\00\00\00\00\0e\00\00\00\1a\09\00\00"
    "\00\00\00\00\1a\00\00\00\38\09\00\00")
  (data (i32.const 3000) "\00\00\00\00\00\00\00\00\00\00\00\00\34\08\00\00\00\00\00\00\00\00\00\00\f0\ff\00\00")
  (data (i32.const 3100) "\00\00\00\00\00\00\00\00\00\00\00\00\34\08\00\00\00\00\00\00\00\00\00\00\1c\0c\00\00")
  (data (i32.const 3200) "\00\00\00\00\00\00\00\00\00\00\00\00\9c\0c\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
    "\00\00\00\00\ff\ff\ff\ff\64\00\00\00")
  (data (i32.const 4000) "a.example\00" "http")
  (data (i32.const 4020) "\01\00\01\02\01\00\00\00") ;; hints: passive, IPv4, stream, TCP
  (func $ok (param i32)
    (if (local.get 0) (then (global.set $failed (i32.const 1)))))
  (func $is (param i32)
    (if (i32.eq (local.get 0) (i32.const 21))
      (then (global.set $faults (i32.add (global.get $faults) (i32.const 1))))))
  (func $find (param $list i32) (result i32)
    (call $getaddrinfo (i32.const 4000) (i32.const 10) (i32.const 4010) (i32.const 4) (i32.const 4020)
      (local.get $list) (i32.const 5) (i32.const 1516)))
  (func (export "_start")
    (call $ok (call $sock_open (i32.const 1) (i32.const 2) (i32.const 1500)))
    (call $ok (call $sock_bind (i32.const 9) (i32.const 64) (i32.const 8080)))
    (call $ok (call $recv_from (i32.const 9) (i32.const 96) (i32.const 1) (i32.const 72) (i32.const 0)
      (i32.const 1504) (i32.const 1508) (i32.const 1512)))
    (call $ok (call $setsockopt (i32.const 9) (i32.const 6) (i32.const 15) (i32.const 1500) (i32.const 4)))
    (call $ok (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 7) (i32.const 1301) (i32.const 4)))
    (call $ok (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 9) (i32.const 1320) (i32.const 128)))
    (call $ok (call $find (i32.const 112)))
    (call $ok (call $accept1 (i32.const 9) (i32.const 1520)))
    (call $ok (call $getpeeraddr1 (i32.const 9) (i32.const 72) (i32.const 1524) (i32.const 1528)))
    (call $ok (call $recv_from1 (i32.const 9) (i32.const 96) (i32.const 1) (i32.const 64) (i32.const 0)
      (i32.const 1532) (i32.const 1536)))
    (if (global.get $failed) (then unreachable))
    (call $is (call $sock_bind (i32.const 9) (i32.const 80) (i32.const 1)))     ;; 1: one byte beyond
    (call $is (call $sock_bind (i32.const 9) (i32.const 88) (i32.const 1)))     ;; 2: wraps
    (call $is (call $sock_bind (i32.const 9) (i32.const 0xfffc) (i32.const 1))) ;; 3: the pair itself
    (call $is (call $recv_from (i32.const 9) (i32.const 96) (i32.const 1) (i32.const 80) (i32.const 0)
      (i32.const 1504) (i32.const 1508) (i32.const 1512)))                     ;; 4: as room
    (call $is (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 7) (i32.const 0xfff1) (i32.const 16))) ;; 5
    (call $is (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 7) (i32.const 1301) (i32.const 0xfffd))) ;; 6
    (call $is (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 7) (i32.const 1301) (i32.const 132))) ;; 7
    (call $is (call $find (i32.const 116)))    ;; 8: the second element
    (call $is (call $find (i32.const 124)))    ;; 9: room for an address
    (call $is (call $find (i32.const 0xfffd))) ;; 10: the pointer to the list
    (call $is (call $find (i32.const 88)))     ;; 11: the list
    (call $is (call $getaddrinfo (i32.const 4000) (i32.const 10) (i32.const 4010) (i32.const 4) (i32.const 0xffe5)
      (i32.const 112) (i32.const 5) (i32.const 1516)))                         ;; 12: hints
    (call $is (call $getaddrinfo (i32.const 4000) (i32.const 10) (i32.const 4010) (i32.const 4) (i32.const 4020)
      (i32.const 112) (i32.const 5) (i32.const 0xfffd)))                       ;; 13: where their number goes
    (call $is (call $getpeeraddr1 (i32.const 9) (i32.const 72) (i32.const -1) (i32.const 1528))) ;; 14
    ;; and these are fine: a circle, no list at all, nothing at the very end
    (call $ok (call $find (i32.const 120)))
    (call $ok (call $find (i32.const 1600)))
    (call $ok (call $getsockopt (i32.const 9) (i32.const 0) (i32.const 7) (i32.const 0xfffc) (i32.const 4)))
    (if (global.get $failed) (then unreachable))
    (call $proc_exit (global.get $faults))))
