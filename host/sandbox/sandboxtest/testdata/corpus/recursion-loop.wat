;; recursion out of a loop, over and over
;; want: call deadline
(module
  (func $g (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $g (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (memory (export "memory") 2)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"text\",\"optional\":true}]}]}")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 106)))
  (func (export "tdm1_alloc") (param $size i32) (param i32) (result i32)
    (i32.shl (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
  (func (export "tdm1_run") (param $r i32) (result i32)
    (loop $l (drop (call $g (i32.const 10000))) (br $l)) (i32.const 0)))
