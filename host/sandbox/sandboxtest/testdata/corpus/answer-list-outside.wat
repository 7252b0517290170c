;; a list whose items are outside memory
;; want: call output l: outside memory
(module
  (memory (export "memory") 4)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[2,\"n\"]},{\"name\":\"l\",\"kind\":\"text\",\"list\":true,\"optional\":true}],\"outcomes\":{\"known\":7}}]}")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 201)))
  (func (export "tdm1_alloc") (param $size i32) (param i32) (result i32)
    (i32.shl (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
  ;; describes a value: kind, dtype and rank as bytes of one number, where its data is, two dimensions
  (func $put (param $v i32) (param $what i32) (param $ptr i32) (param $len i64) (param $d0 i64) (param $d1 i64)
    (i32.store offset=8 (local.get $v) (local.get $what))
    (i32.store offset=12 (local.get $v) (i32.const 0))
    (i32.store offset=16 (local.get $v) (local.get $ptr))
    (i32.store offset=20 (local.get $v) (i32.const 0))
    (i64.store offset=24 (local.get $v) (local.get $len))
    (i64.store offset=32 (local.get $v) (local.get $d0))
    (i64.store offset=40 (local.get $v) (local.get $d1)))
  (func (export "tdm1_run") (param $r i32) (result i32) (local $y i32) (local $p i32)
    (local.set $y (i32.load offset=28 (local.get $r)))
    (local.set $p (i32.add (local.get $y) (i32.const 96)))
    (i32.store offset=32 (local.get $r) (i32.const 2))
    (call $put (local.get $y) (i32.const 0x020101) (i32.const 4096) (i64.const 24) (i64.const 2) (i64.const 3)) ;; right
    (i32.store offset=8 (local.get $p) (i32.const 6))
    (i32.store offset=16 (local.get $p) (i32.const -256))
    (i32.store offset=20 (local.get $p) (i32.const 4))
    (i64.store offset=24 (local.get $p) (i64.const 384))
    (i32.const 0)))
