import { type AdapterConfig, adapterConfigJson, parseAdapterConfig } from './adapter-config.ts';
import {
  ADAPTER_CONFIG_FILE,
  type BundleFile,
  HEAD_CONFIG_FILE,
  type LayoutName,
  type WeftFile,
} from './adapter-format.ts';
import { hubConfigTexts, parseHubConfigs } from './adapterhub-config.ts';
import { type AnyConfigInput, formatOf } from './methods/index.ts';

/** The files of settings of one layout. */
interface ConfigFiles {
  parse(textOf: (file: BundleFile) => string, what: string): AdapterConfig;
  write(input: AnyConfigInput, weft: WeftFile): [BundleFile, string][];
}

const CONFIG_FILES: Readonly<Record<LayoutName, ConfigFiles>> = {
  peft: {
    parse: (textOf, what) => parseAdapterConfig(textOf(ADAPTER_CONFIG_FILE), what),
    write: (input) => [[ADAPTER_CONFIG_FILE, adapterConfigJson(input)]],
  },
  adapterhub: {
    parse: parseHubConfigs,
    write: (input, weft) => {
      const [adapter, head] = hubConfigTexts(input, weft);
      return [
        [ADAPTER_CONFIG_FILE, adapter],
        [HEAD_CONFIG_FILE, head],
      ];
    },
  },
};

/** What the files of settings of a layout say. @throws {AppError} `invalid_adapter`, naming file and key, for what is not served */
export function parseConfigFiles(
  layout: LayoutName,
  bytesOf: (file: BundleFile) => Uint8Array,
  what: string,
): AdapterConfig {
  return CONFIG_FILES[layout].parse((file) => new TextDecoder().decode(bytesOf(file)), what);
}

/** The texts of an adapter's files of settings, in its method's layout. */
export function configFileTexts(input: AnyConfigInput, weft: WeftFile): [BundleFile, string][] {
  return CONFIG_FILES[formatOf(input.method.type).layout].write(input, weft);
}
