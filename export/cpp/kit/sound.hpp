// Sounds: WAV files, other rates, and how they are written.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "archive.hpp"
#include "mapped.hpp"

namespace edgesft {

using Samples = std::vector<double>;

/// Samples a second at most.
constexpr int MOST_RATE = 1 << 20;

/// A sound of one channel; several were averaged.
struct Sound {
    Samples samples;
    int rate = 0;
};

/// A WAV file of whole or floating numbers. Throws BadInput where it is none.
inline Sound sound_in(const std::string& path) {
    Mapped file(path);
    std::string_view data = file.view(), form;
    auto fail = [&] { throw BadInput("file must be a WAV of whole or floating numbers, got '" + path + "'"); };
    if (data.substr(0, 4) != "RIFF" || data.size() < 12 || data.substr(8, 4) != "WAVE") fail();
    for (std::size_t at = 12; at + 8 <= data.size();) {
        std::size_t length = Entry::number(data, at + 4, 4);
        std::string_view kind = data.substr(at, 4), body = data.substr(at + 8, length);
        at += 8 + length + length % 2;
        if (kind == "fmt ") form = body;
        if (kind != "data") continue;
        if (form.size() < 16) break;
        std::uint32_t code = Entry::number(form, 0, 2), channels = Entry::number(form, 2, 2);
        // A longer form says what the numbers are behind it.
        if (code == 0xFFFE && form.size() >= 26) code = Entry::number(form, 24, 2);
        std::uint32_t rate = Entry::number(form, 4, 4), width = Entry::number(form, 14, 2) / 8;
        bool floating = code == 3 && (width == 4 || width == 8), whole = code == 1 && width >= 1 && width <= 4;
        if (!channels || !rate || rate > MOST_RATE || !(floating || whole)) break;
        Sound found{{}, static_cast<int>(rate)};
        std::size_t count = body.size() / (channels * width);
        for (std::size_t index = 0; index < count; ++index) {
            double sum = 0.0;
            for (std::size_t channel = 0; channel < channels; ++channel) {
                const char* sample = body.data() + (index * channels + channel) * width;
                float single = 0;
                double twice = 0;
                std::uint32_t bits = 0;
                for (std::uint32_t byte = 0; whole && byte < width; ++byte) {
                    bits |= static_cast<std::uint32_t>(static_cast<unsigned char>(sample[byte])) << (8 * (4 - width + byte));
                }
                if (width == 1) bits ^= 0x80000000U;  // of 8 bits the middle is 128
                if (floating && width == 4) std::memcpy(&single, sample, 4), twice = static_cast<double>(single);
                if (floating && width == 8) std::memcpy(&twice, sample, 8);
                sum += floating ? twice : static_cast<double>(static_cast<std::int32_t>(bits)) / 0x1p31;
            }
            found.samples.push_back(sum / channels);
        }
        return found;
    }
    fail();
    return {};
}

/// Writes a WAV file of one channel, floats of 32 bits.
inline void write_wav(const std::string& path, const std::vector<float>& samples, int rate) {
    auto two = Entry::two, four = Entry::four;
    auto bytes = static_cast<std::uint32_t>(4 * samples.size()), each = static_cast<std::uint32_t>(rate);
    std::string head = "RIFF" + four(36 + bytes) + "WAVEfmt " + four(16) + two(3) + two(1) + four(each) + four(4 * each) +
                       two(4) + two(32) + "data" + four(bytes);
    std::ofstream file(path, std::ios::binary);
    file << head;
    file.write(reinterpret_cast<const char*>(samples.data()), static_cast<std::streamsize>(bytes));
    if (!file) throw BadInput("output must be a file that can be written, got '" + path + "'");
}

/// The modified Bessel function of the first kind and order 0, by its series; C++'s own is not everywhere.
inline double bessel(double x) {
    double sum = 1.0, term = 1.0;
    for (int k = 1; term > sum * 1e-17; ++k) sum += term *= x * x / (4.0 * k * k);
    return sum;
}

/// The same sound at another rate, by a windowed sinc (Smith, "Digital Audio Resampling", 1984), as in training.
inline Samples resampled(const Samples& samples, int rate, int wanted) {
    // Zero crossings on either side, and the shape of the Kaiser window over them.
    constexpr double taps = 16, beta = 8.0, pi = 3.14159265358979323846;
    if (rate == wanted) return samples;
    int divisor = std::gcd(rate, wanted), up = wanted / divisor, down = rate / divisor;
    double cutoff = std::min(1.0, static_cast<double>(up) / down), peak = bessel(beta);
    auto reach = static_cast<std::ptrdiff_t>(std::ceil(taps / cutoff));
    auto size = static_cast<std::ptrdiff_t>(samples.size()), count = (size * up + down - 1) / down;
    Samples found(static_cast<std::size_t>(count));
    for (std::ptrdiff_t phase = 0; phase < std::min<std::ptrdiff_t>(up, count); ++phase) {
        std::ptrdiff_t first = phase * down / up;
        double fraction = static_cast<double>(phase * down % up) / up;
        Samples weights;
        for (std::ptrdiff_t place = -reach; place <= reach; ++place) {
            double distance = static_cast<double>(place) - fraction, share = distance / static_cast<double>(reach);
            double angle = pi * cutoff * distance, sinc = angle == 0.0 ? 1.0 : std::sin(angle) / angle;
            double inside = std::sqrt(std::max(0.0, 1 - share * share));
            weights.push_back(std::abs(share) <= 1 ? cutoff * sinc * bessel(beta * inside) / peak : 0.0);
        }
        for (std::ptrdiff_t place = phase, centre = first; place < count; place += up, centre += down) {
            double sum = 0.0;
            for (std::ptrdiff_t tap = -reach; tap <= reach; ++tap) {
                std::ptrdiff_t at = centre + tap;
                if (at >= 0 && at < size) sum += samples[static_cast<std::size_t>(at)] * weights[static_cast<std::size_t>(tap + reach)];
            }
            found[static_cast<std::size_t>(place)] = sum;
        }
    }
    return found;
}

}  // namespace edgesft
