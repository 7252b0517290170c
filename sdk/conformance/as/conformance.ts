// The conformance plugin in AssemblyScript: the same functions as c/conformance.c, which the suite calls alike.
import {
  AnyTensor, Argument, Binary, Func, Json, Level, List, MetricKind, Model, Scalar, Setting, Strings, Tensor, Text, Ticket, argument,
  argumentOf, input, keep, lastError, log, metric, model, optional, output, plugin, record, setting, waitAny,
} from "../../as/assembly";
export { tdm1_alloc, tdm1_describe, tdm1_init, tdm1_run } from "../../as/assembly";

class Echo extends Func {
  text: Text = input.text("text");
  json: Json = input.json("json");
  bytes: Binary = input.bytes("bytes");
  image: Binary = input.image("image");
  tensor: AnyTensor = input.any("tensor");
  textOut: Text = output.text("text");
  jsonOut: Json = output.json("json");
  bytesOut: Binary = output.bytes("bytes");
  imageOut: Binary = output.image("image");
  tensorOut: AnyTensor = output.any("tensor");

  run(): void {
    this.textOut.value = this.text.value;
    this.jsonOut.value = this.json.value;
    this.bytesOut.same(this.bytes);
    this.imageOut.same(this.image);
    this.tensorOut.same(this.tensor);
  }
}

/** Copies a tensor, so that the output is the plugin's own memory. */
class Copy extends Func {
  x: AnyTensor = input.any("x");
  y: AnyTensor = output.any("y");

  run(): void {
    const copy = new ArrayBuffer(this.x.byteLength);
    memory.copy(changetype<usize>(copy), this.x.ptr, this.x.byteLength);
    this.y.from(copy, this.x.element, this.x.dims);
  }
}

class Reverse extends Func {
  tensors: List<Tensor<f32>> = input.list<Tensor<f32>>("tensors", "? 2");
  texts: List<Text> = input.list<Text>("texts");
  tensorsOut: List<Tensor<f32>> = output.list<Tensor<f32>>("tensors", "? 2");
  textsOut: List<Text> = output.list<Text>("texts");

  run(): void {
    this.tensorsOut.items = this.tensors.items.reverse();
    this.textsOut.items = this.texts.items.reverse();
  }
}

class Lengths extends Func {
  strings: Strings = input.strings("strings", "n");
  lengths: Tensor<i64> = output.tensor<i64>("lengths", "n");

  run(): void {
    this.lengths.make(this.strings.dims);
    for (let i = 0; i < this.strings.length; i++) this.lengths[i] = this.strings.byteLength(i);
  }
}

/** Says which of the optional inputs were given, and hands them on. */
class Optional extends Func {
  tensor: Tensor<f32> = optional(input.tensor<f32>("tensor", "n"));
  text: Text = optional(input.text("text"));
  given: Text = output.text("given");
  tensorOut: Tensor<f32> = optional(output.tensor<f32>("tensor", "n"));
  textOut: Text = optional(output.text("text"));

  run(): void {
    const one = this.tensor.present ? "tensor" : this.text.present ? "text" : "none";
    this.given.value = this.tensor.present && this.text.present ? "both" : one;
    this.tensorOut.same(this.tensor);
    if (this.text.present) this.textOut.value = this.text.value;
  }
}

class Scale extends Func {
  x: Tensor<f32> = input.tensor<f32>("x", "n");
  y: Tensor<f32> = output.tensor<f32>("y", "n");
  factor: Setting<f32> = setting<f32>("factor").or(2).min(-100).max(100);
  negate: Setting<bool> = setting<bool>("negate");

  run(): void {
    const factor = this.negate.value ? -this.factor.value : this.factor.value;
    this.y.make(this.x.dims);
    for (let i = 0; i < this.x.length; i++) this.y[i] = factor * this.x[i];
  }
}

/** Returns n tensors, of 0, 1, 2 and so on elements. */
class Make extends Func {
  n: Scalar<i64> = input.scalar<i64>("n");
  list: List<Tensor<f32>> = output.list<Tensor<f32>>("list", "?");

  run(): void {
    const n = this.n.value;
    if (n < 0 || n > 1000) return this.fail("n is not in 0..1000");
    this.list.items = new Array<Tensor<f32>>();
    for (let i = 0; i < <i32>n; i++) {
      const t = this.list.create();
      t.make([i]);
      for (let k = 0; k < i; k++) t[k] = <f32>i;
      this.list.items.push(t);
    }
  }
}

/** Answers a tensor whose shape has one element more than its data. */
class Bad extends Func {
  n: Scalar<i64> = input.scalar<i64>("n");
  y: Tensor<f32> = output.tensor<f32>("y", "n");

  run(): void {
    this.y.from(new ArrayBuffer(4 * <i32>this.n.value), [this.n.value + 1]);
  }
}

class Fail extends Func {
  text: Text = input.text("text");

  run(): void {
    this.fail(this.text.value);
  }
}

class Skip extends Func {
  run(): void {
    this.end(7);
  }
}

/** Logs, measures and records its input. */
class Tell extends Func {
  doc: Json = input.json("doc");
  recorded: Scalar<bool> = output.scalar<bool>("recorded");

  run(): void {
    log(Level.Warn, "told");
    metric(MetricKind.Gauge, "told", 2.5);
    this.recorded.value = record("told", this.doc.value);
  }
}

/** Counts its calls; each should be the first. */
class Count extends Func {
  calls: Scalar<i64> = output.scalar<i64>("calls");
  private n: i64 = 0;

  run(): void {
    this.calls.value = ++this.n;
  }
}

/** Asks models in every way there is. */
class Ask extends Func {
  how: Text = input.text("how");
  x: Tensor<f32> = input.tensor<f32>("x", "n");
  y: AnyTensor = output.any("y");

  run(): void {
    const how = this.how.value;
    const m = model(how == "denied" ? "secret" : how == "fail" ? "broken" : "double");
    if (!m) return this.fail(lastError());
    const x = [argument("x", this.x)];
    if (how == "many") return this.many(m, x);
    const y = m.run(x, [how == "missing" ? "z" : "y"]);
    if (!y) return this.fail(lastError());
    if (how == "hand") {
      const twice = m.run([argumentOf("", y[0])], [""]);
      return twice ? this.y.setRemote(twice[0]) : this.fail(lastError());
    }
    const data = y[0].read<f32>();
    return data ? this.give(data) : this.fail(lastError());
  }

  /** Starts a model three times and adds the answers up as they come. */
  private many(m: Model, x: Argument[]): void {
    const tickets = new Array<Ticket>();
    for (let i = 0; i < 3; i++) {
      const t = m.start(x);
      if (!t) return this.fail(lastError());
      tickets.push(t);
    }
    const sum = new Tensor<f32>();
    sum.make(this.x.dims);
    while (tickets.length > 0) {
      const i = waitAny(tickets);
      if (i < 0) return this.fail(lastError());
      const y = tickets.splice(i, 1)[0].wait(["y"]);
      const data = y ? y[0].read<f32>() : null;
      if (!data) return this.fail(lastError());
      for (let k = 0; k < sum.length; k++) sum[k] = sum[k] + data[k];
    }
    this.give(sum);
  }

  private give(t: Tensor<f32>): void {
    const kept = keep(t);
    if (!kept) return this.fail(lastError());
    this.y.setRemote(kept);
  }
}

/** Reads what a model answers as JSON beside a tensor. */
class Explain extends Func {
  x: Tensor<f32> = input.tensor<f32>("x", "n");
  doc: Json = output.json("doc");

  run(): void {
    const m = model("double");
    const out = m ? m.run([argument("x", this.x)], ["y", "doc"]) : null;
    if (!out) return this.fail(lastError());
    if (out[1].read<f32>() || out[0].readJson() !== null) return this.fail("a tensor and a document were taken for each other");
    const doc = out[1].readJson();
    if (doc === null) return this.fail(lastError());
    this.doc.value = doc;
  }
}

plugin("conformance", "1.0.0", "Calls that every SDK passes.")
  .add("echo", "hands every kind on", new Echo())
  .add("copy", "copies a tensor", new Copy())
  .add("reverse", "turns lists round", new Reverse())
  .add("lengths", "measures strings", new Lengths())
  .add("optional", "says what was given", new Optional())
  .add("scale", "multiplies", new Scale())
  .add("make", "makes a list", new Make())
  .add("fail", "fails with its input", new Fail())
  .add("skip", "ends with an outcome", new Skip()).outcome("skip", 7)
  .add("tell", "logs, measures and records", new Tell())
  .add("count", "counts its calls", new Count())
  .add("bad", "answers what it should not", new Bad())
  .add("ask", "asks models", new Ask())
  .add("explain", "asks for a document", new Explain());
