;; What another user of the same address space could find: memory, a global, a table, the stack.
(module
  (import "host" "mark" (func $mark (param i32) (result i32)))
  (memory (export "memory") 1 300)
  (table (export "table") 2 100 funcref)
  (global $g (mut i32) (i32.const 5))
  (data (i32.const 16) "data")
  (elem declare func $deep)

  (func (export "dirty") (param $byte i32) (param $bytes i32) (result i32)
    (memory.fill (i32.const 0) (local.get $byte) (local.get $bytes))
    (global.set $g (local.get $byte))
    (table.set 0 (i32.const 0) (ref.func $deep))
    (drop (table.grow 0 (ref.func $deep) (i32.const 5)))
    (call $deep (i32.const 40)))

  (func (export "global") (result i32) (global.get $g))

  ;; the host sees what was written before, the guest what the host wrote, across growth
  (func (export "grow") (param $pages i32) (result i32)
    (i32.store (i32.const 100) (i32.const 42))
    (drop (call $mark (i32.const 100)))
    (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then (return (i32.const -1))))
    (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 7))
    (i32.add (call $mark (i32.const 100)) (i32.load (i32.const 100))))

  ;; a frame of some size, so that every size of stack is passed through
  (func $deep (export "deep") (param $n i32) (result i32)
    (local $a i32) (local $b i64) (local $c i64)
    (local.set $a (i32.add (local.get $n) (i32.const 1)))
    (local.set $b (i64.extend_i32_u (local.get $a)))
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (local.set $c (i64.extend_i32_u (call $deep (i32.sub (local.get $n) (i32.const 1)))))
    (i32.wrap_i64 (i64.add (local.get $b) (local.get $c))))

  (func (export "tail") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 9))))
    (return_call $wide (local.get $n)))
  (func $wide (param $n i32) (result i32)
    (i32.add (i32.const 1)
      (i32.add (call $deep (i32.const 3))
        (call $deep (i32.mul (local.get $n) (i32.const 10)))))))
