// @ts-check
/** Spectra of sounds in float64, and the bands over them that edgesft/data/media/audio.py computes. */

/**
 * A discrete Fourier transform of one size: of powers of two by halves (Cooley and Tukey, 1965), of others term by
 * term.
 */
export class Fourier {
  /** @param {number} size Of what is transformed. */
  constructor(size) {
    this.size = size;
    this.cosines = Float64Array.from({ length: size }, (_, turn) => Math.cos((2 * Math.PI * turn) / size));
    this.sines = Float64Array.from({ length: size }, (_, turn) => -Math.sin((2 * Math.PI * turn) / size));
    const bits = Math.ceil(Math.log2(size));
    this.fast = 2 ** bits === size;
    this.order = Uint32Array.from({ length: size }, (_, place) => {
      let found = 0;
      for (let bit = 0; bit < bits; bit++) if (place & (1 << bit)) found |= 1 << (bits - 1 - bit);
      return found;
    });
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
  }

  /**
   * Transforms in place what `real` and `imaginary` hold.
   *
   * @param {Float64Array} real @param {Float64Array} imaginary Both of `size`.
   */
  transform(real, imaginary) {
    if (!this.fast) return this.slow(real, imaginary);
    const { size, cosines, sines, order } = this;
    for (let place = 0; place < size; place++) {
      const other = order[place];
      if (other <= place) continue;
      [real[place], real[other]] = [real[other], real[place]];
      [imaginary[place], imaginary[other]] = [imaginary[other], imaginary[place]];
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let turn = 0; turn < half; turn++) {
          const [here, there] = [start + turn, start + turn + half];
          const [cosine, sine] = [cosines[turn * step], sines[turn * step]];
          const x = real[there] * cosine - imaginary[there] * sine;
          const y = real[there] * sine + imaginary[there] * cosine;
          real[there] = real[here] - x;
          imaginary[there] = imaginary[here] - y;
          real[here] += x;
          imaginary[here] += y;
        }
      }
    }
  }

  /** @param {Float64Array} real @param {Float64Array} imaginary */
  slow(real, imaginary) {
    const { size, cosines, sines } = this;
    const [before, beside] = [real.slice(), imaginary.slice()];
    for (let k = 0; k < size; k++) {
      let [x, y] = [0, 0];
      for (let place = 0; place < size; place++) {
        const turn = (k * place) % size;
        x += before[place] * cosines[turn] - beside[place] * sines[turn];
        y += before[place] * sines[turn] + beside[place] * cosines[turn];
      }
      [real[k], imaginary[k]] = [x, y];
    }
  }

  /**
   * @param {ArrayLike<number>} spectrum Of each frequency from 0 to half of the rate the real and the imaginary part.
   * @returns {Float64Array} Samples of which it is the spectrum; of the first and the last the imaginary part does
   *   not count.
   */
  inverse(spectrum) {
    const { size, real, imaginary } = this;
    for (let k = 0; k <= size / 2; k++) {
      real[k] = real[(size - k) % size] = spectrum[2 * k];
      // Mirrored and turned the other way, which makes of a transform its inverse.
      const edge = k === 0 || 2 * k === size;
      imaginary[k] = edge ? 0 : -spectrum[2 * k + 1];
      imaginary[(size - k) % size] = -imaginary[k];
    }
    this.transform(real, imaginary);
    return real.map((value) => value / size);
  }

  /**
   * @param {Float64Array} samples At most `size` of them; zeros behind.
   * @returns {Float64Array} Power of each frequency from 0 to half of the rate.
   */
  power(samples) {
    this.real.fill(0);
    this.imaginary.fill(0);
    this.real.set(samples);
    this.transform(this.real, this.imaginary);
    return Float64Array.from({ length: this.size / 2 + 1 }, (_, k) => this.real[k] ** 2 + this.imaginary[k] ** 2);
  }
}

/**
 * Triangles in Hz between points that are evenly spaced in mel (HTK: m = 2595 log10(1 + f / 700)), not normalised.
 *
 * @param {number} rate @param {number} fft @param {number} count @param {number} low @param {number} high
 * @returns {Float64Array[]} For each band, what each point of a spectrum counts for.
 */
export function bands(rate, fft, count, low, high) {
  const [from, to] = [low, high].map((hertz) => 2595 * Math.log10(1 + hertz / 700));
  const edges = Array.from({ length: count + 2 }, (_, place) => {
    const mel = place === count + 1 ? to : from + place * ((to - from) / (count + 1));
    return 700 * (10 ** (mel / 2595) - 1);
  });
  return Array.from({ length: count }, (_, band) =>
    Float64Array.from({ length: fft / 2 + 1 }, (_, place) => {
      const point = (place * rate) / fft;
      const rising = (point - edges[band]) / (edges[band + 1] - edges[band]);
      const falling = (edges[band + 2] - point) / (edges[band + 2] - edges[band + 1]);
      return Math.max(0, Math.min(rising, falling));
    }),
  );
}

/**
 * An orthonormal cosine transform of the second kind.
 *
 * @param {number} count Of bands. @param {number} coefficients How many of the lowest.
 * @returns {Float64Array[]} For each coefficient, what each band counts for.
 */
export function cosines(count, coefficients) {
  return Array.from({ length: coefficients }, (_, wave) =>
    Float64Array.from({ length: count }, (_, band) => {
      const value = Math.sqrt(2 / count) * Math.cos((Math.PI / count) * (band + 0.5) * wave);
      return wave === 0 ? value / Math.SQRT2 : value;
    }),
  );
}

/** @param {Float64Array} one @param {Float64Array} other */
export function dot(one, other) {
  let sum = 0;
  for (let place = 0; place < one.length; place++) sum += one[place] * other[place];
  return sum;
}
