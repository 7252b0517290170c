// Functions and the plugin that they make up.
import { quote } from "./abi";
import { Declared, begin } from "./building";
import { Port } from "./ports";

/** A function of a plugin. Its fields are ports and settings; run is called once a call. */
export abstract class Func {
  readonly declared: Declared = begin();
  /** What fail and end have said. */
  error: string | null = null;
  outcome: i32 = 0;

  /** Serves one call: read the inputs, set the outputs. */
  abstract run(): void;

  /** Ends the call with an error: return this.fail("nothing to say"). */
  fail(text: string): void {
    this.error = text;
  }

  /** Ends the call with an outcome from 1 to 255 that the function declares: return this.end(1). */
  end(outcome: i32): void {
    this.outcome = outcome;
  }
}

class Entry {
  outcomes: string = "";
  constructor(public name: string, public doc: string, public func: Func) {}

  describe(): string {
    const d = this.func.declared;
    let text = '{"name":' + quote(this.name) + ',"doc":' + quote(this.doc);
    text += ',"inputs":' + ports(d.inputs) + ',"outputs":' + ports(d.outputs);
    if (d.settings.length > 0) text += ',"with":' + this.schema();
    if (this.outcomes.length > 0) text += ',"outcomes":{' + this.outcomes + "}";
    return text + "}";
  }

  private schema(): string {
    const settings = this.func.declared.settings;
    const properties = new Array<string>();
    const needed = new Array<string>();
    for (let i = 0; i < settings.length; i++) {
      properties.push(settings[i].describe());
      if (settings[i].needed) needed.push(quote(settings[i].name));
    }
    const required = needed.length > 0 ? ',"required":[' + needed.join(",") + "]" : "";
    return '{"type":"object","properties":{' + properties.join(",") + "}" + required + ',"additionalProperties":false}';
  }
}

function ports(list: Port[]): string {
  const texts = new Array<string>();
  for (let i = 0; i < list.length; i++) texts.push(list[i].describe());
  return "[" + texts.join(",") + "]";
}

/** What a module offers. */
export class Plugin {
  private entries: Entry[] = [];
  private keepsState: bool = false;
  constructor(private name: string, private version: string, private doc: string) {}

  /** Adds a function. */
  add(name: string, doc: string, func: Func): Plugin {
    this.entries.push(new Entry(name, doc, func));
    return this;
  }

  /** Declares an outcome of the function that was added last. */
  outcome(name: string, code: i32): Plugin {
    const e = this.entries[this.entries.length - 1];
    e.outcomes += (e.outcomes.length > 0 ? "," : "") + quote(name) + ":" + code.toString();
    return this;
  }

  /** Keeps the plugin's memory between calls. Build such a plugin with --runtime incremental. */
  stateful(): Plugin {
    this.keepsState = true;
    return this;
  }

  /** The function with a number, null when there is none. */
  func(op: u32): Func | null {
    return op < <u32>this.entries.length ? this.entries[op].func : null;
  }

  get length(): i32 {
    return this.entries.length;
  }

  describe(): string {
    const texts = new Array<string>();
    for (let i = 0; i < this.entries.length; i++) texts.push(this.entries[i].describe());
    let text = '{"name":' + quote(this.name) + ',"version":' + quote(this.version) + ',"doc":' + quote(this.doc);
    if (this.keepsState) text += ',"stateful":true';
    return text + ',"functions":[' + texts.join(",") + "]}";
  }
}

export let registered: Plugin = new Plugin("", "", "");

/** Makes the module a plugin; call it once, at the top level of the main file. */
export function plugin(name: string, version: string, doc: string): Plugin {
  registered = new Plugin(name, version, doc);
  return registered;
}
