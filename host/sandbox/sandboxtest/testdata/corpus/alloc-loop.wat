;; tdm1_alloc never ends
;; want: call start
(module
  (memory (export "memory") 2)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"text\",\"optional\":true}]}]}")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 106)))
  (func (export "tdm1_alloc") (param i32 i32) (result i32) (loop $l (br $l)) (i32.const 0))
  (func (export "tdm1_run") (param i32) (result i32) (i32.const 0)))
