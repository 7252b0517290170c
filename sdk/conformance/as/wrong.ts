// A plugin whose declaration is wrong: the server must say what is.
import { Func, Text, input, plugin } from "../../as/assembly";
export { tdm1_alloc, tdm1_describe, tdm1_init, tdm1_run } from "../../as/assembly";

class Wrong extends Func {
  text: Text = input.text("a b");

  run(): void {}
}

plugin("wrong", "1.0.0", "").add("wrong", "", new Wrong());
