;; counts in globals of every type; -1 if one has changed
;; want: call ok
;; calls: 5
(module
  (global $a (mut i32) (i32.const 1)) (global $b (mut i64) (i64.const -1)) (global $c (mut f32) (f32.const nan:0x200001)) (global $d (mut f64) (f64.const -0))
  (memory (export "memory") 2)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"text\",\"optional\":true}]}]}")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 106)))
  (func (export "tdm1_alloc") (param $size i32) (param i32) (result i32)
    (i32.shl (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
  (func (export "tdm1_run") (param $r i32) (result i32) 
    (if (i32.or (i32.or (i32.ne (global.get $a) (i32.const 1)) (i64.ne (global.get $b) (i64.const -1)))
      (i32.or (i32.ne (i32.reinterpret_f32 (global.get $c)) (i32.const 0x7fa00001)) (i64.ne (i64.reinterpret_f64 (global.get $d)) (i64.const 0x8000000000000000))))
      (then (return (i32.const -1))))
    (global.set $a (i32.const 7)) (global.set $b (i64.const 7)) (global.set $c (f32.const 7)) (global.set $d (f64.const 7)) (i32.const 0)))
