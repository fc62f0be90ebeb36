import { interpolateRgb, scaleLinear } from 'd3';

/** Colours of figures. Blue towards, red away, grey untouched; amber for how far a distribution moved. Light and dark grounds. */
export interface FigureColours {
  readonly towards: string;
  readonly away: string;
  readonly neutral: string;
  readonly untouched: string;
  readonly ink: string;
  readonly muted: string;
  readonly ground: string;
}

export const figureColours: Readonly<Record<'light' | 'dark', FigureColours>> = {
  light: {
    towards: '#1f5fae',
    away: '#b3262e',
    neutral: '#cfd2d6',
    untouched: '#e9eaec',
    ink: '#1b1d21',
    muted: '#5d636d',
    ground: '#ffffff',
  },
  dark: {
    towards: '#6aa9f0',
    away: '#f0827d',
    neutral: '#4a4f58',
    untouched: '#2a2d33',
    ink: '#eceef1',
    muted: '#a4abb6',
    ground: '#17191d',
  },
};

/** Colour of an effective strength: grey at 0, full blue or red at `reach` and beyond. */
export function strengthColour(colours: FigureColours, strength: number, reach: number): string {
  const share = scaleLinear().domain([0, reach]).range([0.28, 1]).clamp(true)(Math.abs(strength));
  if (strength === 0) return colours.neutral;
  return interpolateRgb(colours.neutral, strength > 0 ? colours.towards : colours.away)(share);
}

/** Share (0 to 1) of the amber ground behind a token whose distribution moved by `kl` nats; 1 nat is half way. */
export const klShare = (kl: number): number => 1 - Math.exp(-Math.max(0, kl) * Math.LN2);
