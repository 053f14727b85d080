/** Cell of the bitmap font, pixels at scale 1: a 5 × 7 glyph and one column and one row of air. */
export const GLYPH_WIDTH = 5;
export const GLYPH_HEIGHT = 7;
export const CELL_WIDTH = 6;

/** Printable ASCII 0x20..0x7e: five columns a glyph, two hex digits each, lowest bit on top. */
const COLUMNS =
  '000000000000005f00000007000700147f147f14242a7f2a12231308646236495522500005030000001c2241000041221c00' + // space ! " # $ % & ' ( )
  '082a1c2a0808083e080800503000000808080808006060000020100804023e5149453e00427f400042615149462141454b31' + // * + , - . / 0 1 2 3
  '1814127f1027454545393c4a49493001710905033649494936064949291e0036360000005636000008142241001414141414' + // 4 5 6 7 8 9 : ; < =
  '00412214080201510906324979413e7e1111117e7f494949363e414141227f4141221c7f494949417f090909013e4149497a' + // > ? @ A B C D E F G
  '7f0808087f00417f41002040413f017f081422417f404040407f020c027f7f0408107f3e4141413e7f090909063e4151215e' + // H I J K L M N O P Q
  '7f09192946464949493101017f01013f4040403f1f2040201f3f4038403f63140814630708700807615149454300' + // R S T U V W X Y Z
  '7f4141000204081020' + // [ \
  '0041417f0004020102044040404040000102040020545454787f484444383844444420384444487f3854545418087e090102' + // ] ^ _ ` a b c d e f
  '0c5252523e7f0804047800447d40002040443d007f1028440000417f40007c041804787c0804047838444444387c14141408' + // g h i j k l m n o p
  '081414187c7c080404084854545420043f4440203c4040207c1c2040201c3c4030403c44281028440c5050503c4464544c44' + // q r s t u v w x y z
  '000836410000007f000000413608000804081008'; // { | } ~

const FIRST = 0x20;
const LAST = 0x7e;
const GLYPHS = new Uint8Array((LAST - FIRST + 1) * GLYPH_WIDTH);
for (let index = 0; index < GLYPHS.length; index++)
  GLYPHS[index] = Number.parseInt(COLUMNS.slice(2 * index, 2 * index + 2), 16);

/** True when the glyph of a character code has ink at (column, row); anything outside printable ASCII is drawn as `?`. */
export function hasInk(code: number, column: number, row: number): boolean {
  const known = code >= FIRST && code <= LAST ? code : 0x3f;
  return ((GLYPHS[(known - FIRST) * GLYPH_WIDTH + column] >> row) & 1) === 1;
}

/** Width of a text in pixels at a scale. */
export function textWidth(text: string, scale: number): number {
  return text.length === 0 ? 0 : (text.length * CELL_WIDTH - 1) * scale;
}
