;; a description that wraps around
;; want: refused describe
(module
  (memory (export "memory") 2)
  (func (export "tdm1_describe") (result i64) (i64.const 0xfffffff000000100))
  (func (export "tdm1_alloc") (param $size i32) (param i32) (result i32)
    (i32.shl (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
  (func (export "tdm1_run") (param i32) (result i32) (i32.const 0)))
