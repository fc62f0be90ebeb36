/**
 * Assembles WGSL. A kernel is one file in shaders/; what differs between its variants (weight format, rows per
 * invocation, ...) is written in front of it as `const NAME = value;`, `//#include name` lines bring in fragments, and
 * `//#for i COUNT` ... `//#end` blocks are written out.
 * Constants rather than `override`s, because the sizes of function-local arrays must be const-expressions in WGSL.
 */
export type Defines = Readonly<Record<string, number | boolean>>;

const literal = (value: number | boolean): string => {
  if (typeof value === 'boolean') return String(value);
  return Number.isInteger(value) && value >= 0 ? `${value}u` : `f32(${value})`;
};

/**
 * Writes out `//#for NAME COUNT` ... `//#end` blocks, `$(NAME)` being the index. Software drivers keep indexed local arrays
 * in memory and do not unroll; named variables stay in registers on every driver.
 */
function unroll(lines: readonly string[], defines: Defines): string[] {
  const out: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const head = /^\/\/#for (\w+) (\w+)$/.exec(lines[at].trim());
    if (!head) {
      out.push(lines[at]);
      continue;
    }
    const [, index, bound] = head;
    let depth = 1;
    let end = at + 1;
    for (; end < lines.length && depth > 0; end += 1) {
      const line = lines[end].trim();
      if (line.startsWith('//#for ')) depth += 1;
      if (line === '//#end') depth -= 1;
    }
    if (depth > 0) throw new Error(`//#for ${index} has no //#end`);
    const count = Number(defines[bound] ?? bound);
    if (!Number.isInteger(count)) throw new Error(`//#for ${index}: ${bound} is not a defined count`);
    const block = lines.slice(at + 1, end - 1);
    for (let i = 0; i < count; i += 1) {
      out.push(
        ...unroll(
          block.map((line) => line.replaceAll(`$(${index})`, String(i))),
          defines,
        ),
      );
    }
    at = end - 1;
  }
  return out;
}

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
  const directives = new Set<string>();
  const body = (file: string): string =>
    shader(file)
      .split('\n')
      .map((line) => {
        // Directives must precede every declaration, so they are lifted out of fragments.
        if (/^(enable|diagnostic)\b.*;$/.test(line.trim())) {
          directives.add(line.trim());
          return '';
        }
        const include = /^\/\/#include (\w+)$/.exec(line.trim());
        return include ? body(includes[include[1]] ?? include[1]) : line;
      })
      .join('\n');
  const text = unroll(body(name).split('\n'), defines).join('\n');
  const constants = Object.entries(defines).map(([key, value]) => `const ${key} = ${literal(value)};`);
  return [...directives, ...constants, text].join('\n');
}
