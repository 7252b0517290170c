// The smallest useful plugin: it repeats a text in capitals.
import { Func, Level, Scalar, Setting, Text, input, log, output, plugin, setting } from "../../assembly";
export { tdm1_alloc, tdm1_describe, tdm1_init, tdm1_run } from "../../assembly";

/** Says it louder. Nothing to say is an error. */
class Shout extends Func {
  text: Text = input.text("text", "what to say");
  marks: Setting<i32> = setting<i32>("marks", "exclamation marks to add").or(1).min(0).max(9);
  loud: Text = output.text("text");
  length: Scalar<i64> = output.scalar<i64>("length", "bytes of the text");

  run(): void {
    if (this.text.value.length == 0) return this.fail("nothing to say");
    log(Level.Debug, "shouting");
    this.loud.value = this.text.value.toUpperCase() + "!".repeat(this.marks.value);
    this.length.value = String.UTF8.byteLength(this.loud.value);
  }
}

plugin("shout", "0.1.0", "Says it louder.").add("shout", "repeats a text in capitals", new Shout());
