// Spectra: the discrete Fourier transform, log-mel bands, and frames of sound as it comes (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "fields.hpp"
#include "sound.hpp"

namespace edgesft {

constexpr double TURN = 2 * 3.14159265358979323846;

using Complexes = std::vector<std::complex<double>>;

/// The discrete Fourier transform of any length, halved as long as that is even (Cooley and Tukey 1965).
///
/// Args:
///     sign: -1, or 1 for the inverse, which is not divided by the length.
inline Complexes transformed(const Complexes& values, int sign) {
    std::size_t count = values.size();
    auto root = [&](std::size_t turns) {
        return std::polar(1.0, sign * TURN * static_cast<double>(turns % count) / static_cast<double>(count));
    };
    Complexes found(count);
    if (count % 2) {
        for (std::size_t k = 0; k < count; ++k) {
            for (std::size_t n = 0; n < count; ++n) found[k] += values[n] * root(k * n);
        }
        return found;
    }
    Complexes even, odd;
    for (std::size_t n = 0; n < count; n += 2) even.push_back(values[n]), odd.push_back(values[n + 1]);
    even = transformed(even, sign), odd = transformed(odd, sign);
    for (std::size_t k = 0; k < count / 2; ++k) {
        auto turned = odd[k] * root(k);
        found[k] = even[k] + turned;
        found[k + count / 2] = even[k] - turned;
    }
    return found;
}

/// Samples a second. Throws Broken where they are more than any sound has.
inline int rate_of(const Fields& said) {
    std::int64_t rate = said.whole("rate", 1);
    if (rate <= MOST_RATE) return static_cast<int>(rate);
    throw Broken("contract.json: rate must be at most " + std::to_string(MOST_RATE) + ", got " + std::to_string(rate));
}

/// What a model reads of a sound, in log-mel bands or as samples: `edgesft/data/media/audio.py` in C++.
class Listener {
  public:
    /// Throws Broken where it says what cannot be.
    explicit Listener(const Fields& said)
        : rate(rate_of(said)), count_(samples_of(said, "seconds")), frame_(samples_of(said, "frame")),
          hop_(samples_of(said, "hop")),
          mels_(static_cast<std::size_t>(said.whole("mels", 1))),
          coefficients_(said.given("coefficients") ? static_cast<std::size_t>(said.whole("coefficients", 1)) : 0),
          floor_(said.number("floor")), centre_(said.text("window") == "centre"), raw_(said.text("features") == "none"),
          normalise_(said.flag("normalise")) {
        fft_ = 1;
        while (fft_ < frame_) fft_ *= 2;
        make_bands(said.number("low"), said.given("high") ? said.number("high") : rate / 2.0);
    }

    /// What is fed, and its shape without a batch axis.
    std::pair<std::vector<float>, std::vector<std::int64_t>> operator()(const Samples& heard) const {
        Samples values = cut(heard);
        // As in training, where samples are kept in single precision.
        for (double& value : values) value = static_cast<double>(static_cast<float>(value));
        std::size_t width = raw_ ? 1 : coefficients_ ? coefficients_ : mels_;
        if (!raw_) values = spectrum(values);
        if (normalise_) normalise(values, width, raw_ ? 1e-7 : 1e-3);
        std::vector<float> fed(values.begin(), values.end());
        auto length = static_cast<std::int64_t>(values.size());
        if (raw_) return {fed, {length}};
        auto bands = static_cast<std::int64_t>(width);
        return {fed, {1, length / bands, bands}};
    }

    const int rate;

  private:
    /// A length in samples that is said in seconds.
    std::size_t samples_of(const Fields& said, const std::string& name) const {
        double count = std::nearbyint(said.number(name) * rate);
        if (!(count >= 1 && count <= std::numeric_limits<std::int32_t>::max())) {
            throw Broken("contract.json: " + name + " must be seconds of at least one sample, got " + shown(said.find(name)));
        }
        return static_cast<std::size_t>(count);
    }

    Samples cut(const Samples& heard) const {
        auto lacking = static_cast<std::ptrdiff_t>(count_) - static_cast<std::ptrdiff_t>(heard.size());
        Samples found(count_);
        if (lacking > 0) {
            std::copy(heard.begin(), heard.end(), found.begin() + (centre_ ? lacking / 2 : 0));
        } else {
            std::copy_n(heard.begin() + (centre_ ? -lacking / 2 : 0), count_, found.begin());
        }
        return found;
    }

    /// Triangles in Hz between points that are evenly spaced in mel, m = 2595 log10(1 + f / 700).
    void make_bands(double low, double high) {
        auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
        std::vector<double> edges;
        for (std::size_t place = 0; place < mels_ + 2; ++place) {
            double m = mel(low) + (mel(high) - mel(low)) * static_cast<double>(place) / static_cast<double>(mels_ + 1);
            edges.push_back(700 * (std::pow(10.0, m / 2595) - 1));
        }
        bands_.assign((fft_ / 2 + 1) * mels_, 0.0);
        for (std::size_t point = 0; point <= fft_ / 2; ++point) {
            double hertz = static_cast<double>(point) * rate / static_cast<double>(fft_);
            for (std::size_t band = 0; band < mels_; ++band) {
                double rising = (hertz - edges[band]) / (edges[band + 1] - edges[band]);
                double falling = (edges[band + 2] - hertz) / (edges[band + 2] - edges[band + 1]);
                bands_[point * mels_ + band] = std::max(0.0, std::min(rising, falling));
            }
        }
    }

    Samples spectrum(const Samples& samples) const {
        Samples found;
        for (std::size_t start = 0; start + frame_ <= samples.size(); start += hop_) {
            Complexes frame(fft_);
            for (std::size_t place = 0; place < frame_; ++place) {
                double hann = 0.5 - 0.5 * std::cos(TURN * static_cast<double>(place) / static_cast<double>(frame_));
                frame[place] = samples[start + place] * hann;
            }
            Complexes points = transformed(frame, -1);
            Samples logarithms(mels_);
            for (std::size_t point = 0; point <= fft_ / 2; ++point) {
                for (std::size_t band = 0; band < mels_; ++band) {
                    logarithms[band] += std::norm(points[point]) * bands_[point * mels_ + band];
                }
            }
            for (double& each : logarithms) each = std::log(std::max(each, floor_));
            for (std::size_t wave = 0; wave < coefficients_; ++wave) found.push_back(cosine(logarithms, wave));
            if (!coefficients_) found.insert(found.end(), logarithms.begin(), logarithms.end());
        }
        return found;
    }

    /// A coefficient of an orthonormal cosine transform of the second kind.
    double cosine(const Samples& bands, std::size_t wave) const {
        double sum = 0.0, count = static_cast<double>(mels_);
        for (std::size_t band = 0; band < mels_; ++band) {
            sum += bands[band] * std::cos(TURN / 2 / count * (static_cast<double>(band) + 0.5) * static_cast<double>(wave));
        }
        return sum * std::sqrt(2 / count) / (wave ? 1.0 : std::sqrt(2.0));
    }

    static void normalise(Samples& values, std::size_t width, double least) {
        std::size_t rows = values.size() / width;
        for (std::size_t column = 0; column < width; ++column) {
            double sum = 0.0, squares = 0.0;
            for (std::size_t row = 0; row < rows; ++row) sum += values[row * width + column];
            double mean = sum / static_cast<double>(rows);
            for (std::size_t row = 0; row < rows; ++row) squares += std::pow(values[row * width + column] - mean, 2);
            double deviation = std::sqrt(squares / static_cast<double>(rows)) + least;
            for (std::size_t row = 0; row < rows; ++row) {
                values[row * width + column] = (values[row * width + column] - mean) / deviation;
            }
        }
    }

    std::size_t count_, frame_, hop_, fft_ = 1, mels_, coefficients_;
    double floor_;
    bool centre_, raw_, normalise_;
    Samples bands_;
};

/// How sound as it comes is framed; the same for what goes in and what comes out.
struct Framing {
    std::size_t window, hop;
    bool tapers, spectrum;

    /// Throws Broken where a hop is longer than the window that it moves.
    explicit Framing(const Fields& said)
        : window(static_cast<std::size_t>(said.whole("window", 1))), hop(static_cast<std::size_t>(said.whole("hop", 1))),
          tapers(said.text("taper") != "none"), spectrum(said.text("features") == "spectrum") {
        if (hop <= window) return;
        throw Broken("contract.json: hop must be at most window, " + std::to_string(window) + ", got " + std::to_string(hop));
    }

    /// Numbers of a frame.
    std::size_t numbers() const { return spectrum ? 2 * (window / 2 + 1) : window; }

    double taper(std::size_t place) const {
        return tapers ? std::sin(TURN / 2 * static_cast<double>(place) / static_cast<double>(window)) : 1.0;
    }
};

/// Makes a frame of each `hop` new samples.
class Framer {
  public:
    explicit Framer(const Framing& said) : said_(said), heard_(said.window) {}

    /// The next frame.
    ///
    /// Args:
    ///     samples: The first of `hop`.
    std::vector<float> operator()(const double* samples) {
        std::rotate(heard_.begin(), heard_.begin() + static_cast<std::ptrdiff_t>(said_.hop), heard_.end());
        std::copy_n(samples, said_.hop, heard_.end() - static_cast<std::ptrdiff_t>(said_.hop));
        Complexes tapered;
        for (std::size_t place = 0; place < said_.window; ++place) tapered.push_back(heard_[place] * said_.taper(place));
        std::vector<float> found;
        if (said_.spectrum) tapered = transformed(tapered, -1);
        for (std::size_t place = 0; place < (said_.spectrum ? said_.window / 2 + 1 : said_.window); ++place) {
            found.push_back(static_cast<float>(tapered[place].real()));
            if (said_.spectrum) found.push_back(static_cast<float>(tapered[place].imag()));
        }
        return found;
    }

  private:
    Framing said_;
    Samples heard_;
};

/// Makes sound of answers that overlap.
class Adder {
  public:
    Adder(const Framing& said, double gain) : said_(said), gain_(gain), sum_(said.window) {}

    /// Appends `hop` samples that are complete, `window` - `hop` behind what was heard last.
    void operator()(const float* frame, std::vector<float>& target) {
        Complexes wide(said_.window);
        std::size_t last = said_.window / 2;
        for (std::size_t place = 0; said_.spectrum && place <= last; ++place) {
            bool real = place == 0 || 2 * place == said_.window;
            wide[place] = {frame[2 * place], real ? 0.0F : frame[2 * place + 1]};
            if (!real) wide[said_.window - place] = std::conj(wide[place]);
        }
        if (said_.spectrum) wide = transformed(wide, 1);
        for (std::size_t place = 0; place < said_.window; ++place) {
            double own = said_.spectrum ? wide[place].real() / static_cast<double>(said_.window)
                                        : static_cast<double>(frame[place]);
            sum_[place] += own * said_.taper(place);
        }
        for (std::size_t place = 0; place < said_.hop; ++place) target.push_back(static_cast<float>(sum_[place] / gain_));
        std::rotate(sum_.begin(), sum_.begin() + static_cast<std::ptrdiff_t>(said_.hop), sum_.end());
        std::fill(sum_.end() - static_cast<std::ptrdiff_t>(said_.hop), sum_.end(), 0.0);
    }

  private:
    Framing said_;
    double gain_;
    Samples sum_;
};

}  // namespace edgesft
