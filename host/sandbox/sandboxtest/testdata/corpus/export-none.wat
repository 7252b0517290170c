;; no memory at all
;; want: refused
(module
  (func (export "tdm1_describe") (result i64) (i64.const 0))
  (func (export "tdm1_alloc") (param i32 i32) (result i32) (i32.const 0))
  (func (export "tdm1_run") (param i32) (result i32) (i32.const 0)))
