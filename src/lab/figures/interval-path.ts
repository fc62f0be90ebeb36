const short = (value: number): number => Math.round(value * 100) / 100;

/** SVG path of an error bar with caps. Pixels; `at` is its place on the other axis. */
export function intervalPath(from: number, to: number, at: number, upright: boolean, cap: number): string {
  const [start, end, middle] = [short(from), short(to), short(at)];
  if (upright) return `M${middle - cap} ${start}h${2 * cap}M${middle} ${start}V${end}M${middle - cap} ${end}h${2 * cap}`;
  return `M${start} ${middle - cap}v${2 * cap}M${start} ${middle}H${end}M${end} ${middle - cap}v${2 * cap}`;
}
