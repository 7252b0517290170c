// The function whose fields are being made: its constructor runs first, then the fields that declare ports and settings.
import { Port } from "./ports";
import { SettingBase } from "./setting";

/** What a function has declared. */
export class Declared {
  inputs: Port[] = [];
  outputs: Port[] = [];
  settings: SettingBase[] = [];
}

export let building: Declared = new Declared();

/** Begins a function. */
export function begin(): Declared {
  building = new Declared();
  return building;
}
