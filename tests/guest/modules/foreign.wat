(module (import "env" "emscripten_notify" (func (param i32))) (func (export "_start")))
