import { scaleAt } from './half-scale.ts';

/** Types whose weights are entries of a fixed table. The tables are constants of the format (ggml-common.h): a file has only indices. */

const levels4 = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** f16 d, 16 bytes of indices; low nibbles are weights 0 to 15, high ones 16 to 31: w = level d. */
export function dequantizeIq4Nl(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 18, at += 32) {
    const d = scaleAt(bytes, block);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[block + 2 + i];
      out[at + i] = levels4[byte & 15] * d;
      out[at + 16 + i] = levels4[byte >> 4] * d;
    }
  }
}

/** f16 d, eight 6-bit scales as 2 + 4 bytes, 128 bytes of indices: w = d (s - 32) level, sub-blocks of 32 as IQ4_NL. */
export function dequantizeIq4Xs(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 136, at += 256) {
    const d = scaleAt(bytes, block);
    const highs = bytes[block + 2] | (bytes[block + 3] << 8);
    for (let sub = 0; sub < 8; sub++) {
      const low = (bytes[block + 4 + (sub >> 1)] >> ((sub & 1) * 4)) & 15;
      const scale = d * ((low | (((highs >> (2 * sub)) & 3) << 4)) - 32);
      const from = block + 8 + sub * 16;
      const to = at + sub * 32;
      for (let i = 0; i < 16; i++) {
        const byte = bytes[from + i];
        out[to + i] = levels4[byte & 15] * scale;
        out[to + 16 + i] = levels4[byte >> 4] * scale;
      }
    }
  }
}

/** Magnitudes of IQ2_XXS. */
const levels2 = [8, 25, 43];

/**
 * The 256 points of eight magnitudes that IQ2_XXS chooses from, ascending: four hex digits a point, two bits a magnitude, the first
 * in the lowest bits. Every point has an even number of middle magnitudes (a subset of the E8 lattice, chosen by the format's authors).
 */
const points = [
  '0000000200050008000a00110014002000220028002a00410044005000580061',
  '006400800082008a00a201010104011001150140018401980200020202220282',
  '04010404041004210424044004420448046004810484049004a4050005020508',
  '05200546056905800591060906100640068406a4080008050808081408280841',
  '0844085008520888090409400a020a1410011004101010211040106010841090',
  '10951100110811201150115a1180122412451400140814201425144914801518',
  '156216001616180118041810184018811900190519a01a5120002002200a2044',
  '2061208020822129214822002202240124042410244024562500254125642690',
  '2808282028942a44400140044010401840214024404040484056406040814084',
  '4090410041204161418041854201421042484256426844004408442044804499',
  '4512452446004801480448104840484549004958496149824a454a9050005008',
  '501150195020508050885104514251a4529154905492550a5601565458005811',
  '5819586459405a08600460106040606861006155621862606400640565106512',
  '6584684280008002800a80418082810481188140821184018404841084158440',
  '8460850085468594860986408660880289048a11900490109024904090a19116',
  '91809245940094229444955198819920a002a050a085a109a200a418a850a904',
].join('');

/** [256, 8] magnitudes. */
const grid = Uint8Array.from({ length: 256 * 8 }, (_, i) => {
  const code = parseInt(points.slice((i >> 3) * 4, (i >> 3) * 4 + 4), 16);
  return levels2[(code >> (2 * (i & 7))) & 3];
});

/** Seven signs are stored; the eighth makes their number even. */
const signs = Uint8Array.from({ length: 128 }, (_, seven) => {
  let odd = 0;
  for (let bits = seven; bits !== 0; bits >>= 1) odd ^= bits & 1;
  return seven | (odd << 7);
});

/**
 * f16 d, then for each 32 weights 4 bytes of grid points and 4 bytes with four times seven signs and a 4-bit scale on top:
 * w = d (s + 1/2) / 4 times magnitude and sign.
 */
export function dequantizeIq2Xxs(bytes: Uint8Array, out: Float32Array): void {
  for (let block = 0, at = 0; at < out.length; block += 66, at += 256) {
    const d = scaleAt(bytes, block);
    for (let sub = 0; sub < 8; sub++) {
      const from = block + 2 + sub * 8;
      const packed = bytes[from + 4] | (bytes[from + 5] << 8) | (bytes[from + 6] << 16) | (bytes[from + 7] << 24);
      const scale = d * (0.5 + (packed >>> 28)) * 0.25;
      for (let eight = 0; eight < 4; eight++) {
        const point = bytes[from + eight] * 8;
        const negative = signs[(packed >>> (7 * eight)) & 127];
        const to = at + sub * 32 + eight * 8;
        for (let i = 0; i < 8; i++) {
          const value = scale * grid[point + i];
          out[to + i] = ((negative >> i) & 1) === 1 ? -value : value;
        }
      }
    }
  }
}
