// @ts-check
/**
 * Characters of which the tables of Hugging Face's `tokenizers`, which are Unicode 8's, say something else than a
 * system of today, up to Unicode 17: those that came into a category since then, and those that left it.
 * `tests/export` holds the outcome against `tokenizers` on all of them.
 */

/** @param {string} text Hexadecimal numbers and ranges. @returns {[number, number][]} */
function ranges(text) {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((part) => {
      const [first, last = first] = part.split("-").map((each) => parseInt(each, 16));
      return [first, last];
    });
}

/** Controls, formats and private ones. */
export const CONTROL = {
  later: ranges("890-891 8e2 110cd 13430-1343f"),
  former: ranges(""),
};

/** Marks without a width of their own. */
export const MARK = {
  later: ranges(`
    7fd 897-89f 8ca-8e1 9fe afa-aff b55 c04 c3c d00 d3b-d3c d81 eba ece 180f 1885-1886 1abf-1add 1ae0-1aeb 1df6-1dfb
    a82c a8c5 a8ff a9bd 10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10eff 10f46-10f50 10f82-10f85 11070 11073-11074
    110c2 111c9 111cf 1123e 11241 1133b 113bb-113c0 113ce 113d0 113d2 113e1-113e2 11438-1143f 11442-11444 11446
    1145e 1182f-11837 11839-1183a 1193b-1193c 1193e 11943 119d4-119d7 119da-119db 119e0 11a01-11a0a 11a33-11a38
    11a3b-11a3e 11a47 11a51-11a56 11a59-11a5b 11a8a-11a96 11a98-11a99 11b60 11b62-11b64 11b66 11c30-11c36
    11c38-11c3d 11c3f 11c92-11ca7 11caa-11cb0 11cb2-11cb3 11cb5-11cb6 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45
    11d47 11d90-11d91 11d95 11d97 11ef3-11ef4 11f00-11f01 11f36-11f3a 11f40 11f42 11f5a 13440 13447-13455
    1611e-16129 1612d-1612f 16f4f 16fe4 1cf00-1cf2d 1cf30-1cf46 1e000-1e006 1e008-1e018 1e01b-1e021 1e023-1e024
    1e026-1e02a 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5
    1e944-1e94a
  `),
  former: ranges("1734 1171e"),
};

/** Punctuation. */
export const PUNCTUATION = {
  later: ranges(`
    61d 9fd a76 c77 c84 1b4e-1b4f 1b7d-1b7f 2e43-2e4f 2e52-2e5d 10d6e 10ead 10ed0 10f55-10f59 10f86-10f89
    113d4-113d5 113d7-113d8 1144b-1144f 1145a-1145b 1145d 11660-1166c 116b9 1183b 11944-11946 119e2 11a3f-11a46
    11a9a-11a9c 11a9e-11aa2 11b00-11b09 11be1 11c41-11c45 11c70-11c71 11ef7-11ef8 11f43-11f4f 11fff 12ff1-12ff2
    16d6d-16d6f 16e97-16e9a 16fe2 1e5ff 1e95e-1e95f
  `),
  former: ranges("166d 111c9"),
};

/** Letters that later versions compose of others, and `tokenizers` leaves whole. */
const WHOLE =
  "\u{105c9}\u{105e4}\u{11383}\u{11385}\u{1138e}\u{11391}\u{113c5}\u{113c7}\u{113c8}\u{11938}\u{16121}-\u{16128}\u{16d68}-\u{16d6a}";

/** Runs of all others. */
export const DECOMPOSED = new RegExp(`[^${WHOLE}]+`, "gu");
