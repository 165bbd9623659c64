;; What gets hot: a function that is called for ever, one it calls, and a loop that is entered once.
(module
  (global $sum (mut i32) (i32.const 0))
  (func $inner (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))
  (func $work (local $i i32)
    (loop $again
      (call $inner (local.get $i))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000)))))
  (func $other (local $i i32)
    (loop $again
      (global.set $sum (i32.xor (global.get $sum) (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000)))))
  (func (export "forever")
    (loop $again (call $work) (call $other) (br $again))))
