// A node's configuration: settings are fields of a function's class.
import { quote } from "./abi";
import { building } from "./building";
import { configText } from "./server";

/** One setting, whatever its type. */
export abstract class SettingBase {
  name: string = "";
  needed: bool = false;

  /** The setting as a member of the schema's properties. */
  abstract describe(): string;
  /** Reads the node's value; false when it is missing or wrong. */
  abstract read(): bool;
}

function number(n: f64): string {
  return n == Math.trunc(n) && Math.abs(n) < 1e15 ? (<i64>n).toString() : n.toString();
}

/** A setting of type bool, i32, u32, i64, f32, f64 or string. */
export class Setting<T> extends SettingBase {
  value: T;
  private fallback: T;
  private rules: string = "";
  private hasFallback: bool = false;

  constructor(private readonly about: string = "") {
    super();
    if (isString<T>()) {
      this.value = changetype<T>("");
      this.fallback = changetype<T>("");
    } else {
      this.value = <T>0;
      this.fallback = <T>0;
    }
  }

  /** The value when the node does not say. Without one it is 0, false or "". */
  or(fallback: T): Setting<T> {
    this.hasFallback = true;
    this.fallback = fallback;
    this.value = fallback;
    return this;
  }

  /** The least value. */
  min(n: f64): Setting<T> {
    this.rules += ',"minimum":' + number(n);
    return this;
  }
  /** The greatest value. */
  max(n: f64): Setting<T> {
    this.rules += ',"maximum":' + number(n);
    return this;
  }
  /** The only texts that are allowed. */
  oneOf(texts: string[]): Setting<T> {
    const quoted = new Array<string>();
    for (let i = 0; i < texts.length; i++) quoted.push(quote(texts[i]));
    this.rules += ',"enum":[' + quoted.join(",") + "]";
    return this;
  }
  /** Makes the setting one that a node must have. */
  required(): Setting<T> {
    this.needed = true;
    return this;
  }

  describe(): string {
    let type = '"string"';
    if (isBoolean<T>()) type = '"boolean"';
    else if (isFloat<T>()) type = '"number"';
    else if (isInteger<T>()) type = '"integer"';
    let text = quote(this.name) + ':{"type":' + type + this.rules;
    if (this.hasFallback) text += ',"default":' + this.json(this.fallback);
    if (this.about.length > 0) text += ',"description":' + quote(this.about);
    return text + "}";
  }

  private json(v: T): string {
    if (isString<T>()) return quote(changetype<string>(v));
    if (isBoolean<T>()) return v ? "true" : "false";
    return number(<f64>v);
  }

  read(): bool {
    const text = configText(this.name);
    if (text === null) {
      this.value = this.fallback;
      return !this.needed;
    }
    if (isString<T>()) {
      this.value = changetype<T>(text);
    } else if (isBoolean<T>()) {
      this.value = <T>(text == "true");
      return text == "true" || text == "false";
    } else if (isInteger<T>()) {
      this.value = <T>I64.parseInt(text);
      return (<i64>this.value).toString() == text;
    } else {
      const n = F64.parseFloat(text);
      this.value = <T>n;
      return !isNaN(n);
    }
    return true;
  }
}

/** Declares a setting: a field of a function's class. */
export function setting<T>(name: string, doc: string = ""): Setting<T> {
  const s = new Setting<T>(doc);
  s.name = name;
  building.settings.push(s);
  return s;
}
