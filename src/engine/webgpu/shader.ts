/**
 * Assembles WGSL. A kernel is one file in shaders/; what differs between its variants (weight format, rows per
 * invocation, ...) is written in front of it as `const NAME = value;`, and `//#include name` lines bring in fragments.
 * Constants rather than `override`s, because the sizes of function-local arrays must be const-expressions in WGSL.
 */
export type Defines = Readonly<Record<string, number | boolean>>;

const literal = (value: number | boolean): string => {
  if (typeof value === 'boolean') return String(value);
  return Number.isInteger(value) && value >= 0 ? `${value}u` : `f32(${value})`;
};

/**
 * @param name kernel file without `.wgsl`
 * @param defines constants written before the text
 * @param includes what each `//#include KEY` means in this variant; a key that is absent names the file itself
 */
export function assembleShader(
  shader: (name: string) => string,
  name: string,
  defines: Defines = {},
  includes: Readonly<Record<string, string>> = {},
): string {
  const enables = new Set<string>();
  const body = (file: string): string =>
    shader(file)
      .split('\n')
      .map((line) => {
        // `enable` directives must precede every declaration, so they are lifted out of fragments.
        const enable = /^enable (\w+);$/.exec(line.trim());
        if (enable) {
          enables.add(enable[1]);
          return '';
        }
        const include = /^\/\/#include (\w+)$/.exec(line.trim());
        return include ? body(includes[include[1]] ?? include[1]) : line;
      })
      .join('\n');
  const text = body(name);
  const constants = Object.entries(defines).map(([key, value]) => `const ${key} = ${literal(value)};`);
  return [...[...enables].map((feature) => `enable ${feature};`), ...constants, text].join('\n');
}
