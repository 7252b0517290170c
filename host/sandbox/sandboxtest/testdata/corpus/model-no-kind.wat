;; gives a model an input of no kind
;; want: call ok
(module
  (import "tdm1" "model_open" (func $model_open (param i32 i32) (result i32)))
  (import "tdm1" "model_run" (func $model_run (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 1024) "{\"name\":\"x\",\"functions\":[{\"name\":\"f\",\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"kind\":\"text\",\"optional\":true}]}]}")
  (data (i32.const 2048) "okslowbadsecret")
  (data (i32.const 4104) "\03") ;; a text of two bytes at 4096, for models
  (data (i32.const 4112) "\00\08\00\00\00\00\00\00\02")
  (func (export "tdm1_describe") (result i64)
    (i64.or (i64.shl (i64.const 1024) (i64.const 32)) (i64.const 106)))
  (func (export "tdm1_alloc") (param $size i32) (param i32) (result i32)
    (i32.shl (memory.grow (i32.shr_u (i32.add (local.get $size) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
  (func $want (param $got i32) (param $want i32) (if (i32.ne (local.get $got) (local.get $want)) (then unreachable)))
  (func (export "tdm1_run") (param $r i32) (result i32) (local $n i32)
    (call $want (call $model_run (call $model_open (i32.const 2048) (i32.const 2)) (i32.const 16384) (i32.const 1) (i32.const 0) (i32.const 0)) (i32.const -2))
    (i32.const 0)))
