;; A reference to an imported function went into snapshots as one to the first import.
(module
  (import "fuzzing-support" "log-i64" (func (param i64)))
  (import "fuzzing-support" "log-i32" (func $log (param i32)))
  (table 1 funcref)
  (elem (i32.const 0) $log)
  (func (export "f") (local $i i32)
    (loop $again
      (call_indirect (param i32) (local.get $i) (i32.const 0))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))))
