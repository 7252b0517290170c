;; an arena over the plugin's own data: its own problem
;; want: call ok
;; calls: 5
(module
  (memory (export "memory") 2)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"text\",\"optional\":true}]}]}")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 106)))
  (func (export "tdm1_alloc") (param i32 i32) (result i32) (i32.const 4096))
  (func (export "tdm1_run") (param $r i32) (result i32) 
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i32.sub (i32.const 1) (i32.load (i32.const 0)))))
