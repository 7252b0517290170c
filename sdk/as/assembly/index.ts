/**
 * Turns ordinary AssemblyScript classes into a Tandem plugin: a WebAssembly module that a server runs in a sandbox between
 * the models of a graph. A function is a class whose fields are its ports and settings; the description follows from them:
 *
 *     import { Func, input, output, setting, plugin } from "./tandem";
 *     export { tdm1_describe, tdm1_alloc, tdm1_init, tdm1_run } from "./tandem";
 *
 *     class Shout extends Func {
 *       text: Text = input.text("text", "what to say");
 *       marks: Setting<i32> = setting<i32>("marks").or(1).min(0).max(9);
 *       loud: Text = output.text("text");
 *
 *       run(): void {
 *         if (this.text.value.length == 0) return this.fail("nothing to say");
 *         this.loud.value = this.text.value.toUpperCase() + "!".repeat(this.marks.value);
 *       }
 *     }
 *
 *     plugin("shout", "0.1.0", "Says it louder.").add("shout", "repeats a text in capitals", new Shout());
 *
 * Tensors that come in are views of the memory that the server filled: read them only, and only during the call. Each call
 * finds the plugin's memory as it was before the first one, so nothing need be freed. One instance runs one call at a time.
 */
export { Func, plugin, Plugin } from "./func";
export { AnyTensor, Binary, Json, List, Port, Scalar, Strings, Tensor, Text, input, optional, output, f16ToF32, f32ToF16 } from "./ports";
export { Setting, setting } from "./setting";
export { DType } from "./abi";
export { Argument, Level, MetricKind, Model, Remote, Ticket, argument, argumentOf, budgetNs, deadlineNs, keep, lastError, log, metric, model, record, requestId, waitAny } from "./server";
export { tandemAbort, tdm1_alloc, tdm1_describe, tdm1_init, tdm1_run } from "./guest";
