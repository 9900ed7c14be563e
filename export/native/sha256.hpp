// SHA-256 (FIPS 180-4): tells which file was measured.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

#include "refusal.hpp"

namespace edgesft {

class Sha256 {
  public:
    void add(const std::uint8_t* bytes, std::size_t size) {
        for (std::size_t at = 0; at < size;) {
            std::size_t held = length_ % 64, taken = std::min<std::size_t>(64 - held, size - at);
            if (taken == 64) {
                mix(bytes + at);
            } else {
                std::copy_n(bytes + at, taken, &block_[held]);
                if (held + taken == 64) mix(block_.data());
            }
            at += taken;
            length_ += taken;
        }
    }

    /// The digest in hexadecimal; nothing may be added after it.
    std::string digest() {
        std::uint64_t bits = length_ * 8;
        std::uint8_t one = 0x80, zero = 0;
        add(&one, 1);
        while (length_ % 64 != 56) add(&zero, 1);
        for (int shift = 56; shift >= 0; shift -= 8) {
            std::uint8_t byte = static_cast<std::uint8_t>(bits >> shift);
            add(&byte, 1);
        }
        std::string text;
        for (std::uint32_t word : state_) {
            char digits[9];
            std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(word));
            text += digits;
        }
        return text;
    }

  private:
    struct Constants {
        std::array<std::uint32_t, 8> begin;
        std::array<std::uint32_t, 64> rounds;
    };

    /// The first 32 bits behind the point: of the square roots of 8 primes, and of the cube roots of 64.
    static const Constants& constants() {
        static const Constants found = [] {
            Constants made;
            int count = 0;
            for (int number = 2; count < 64; ++number) {
                bool prime = true;
                for (int factor = 2; factor * factor <= number; ++factor) prime = prime && number % factor;
                if (!prime) continue;
                // A double holds these roots to 48 bits behind the point or more.
                auto bits = [](double root) { return static_cast<std::uint32_t>((root - std::floor(root)) * 0x1p32); };
                if (count < 8) made.begin[count] = bits(std::sqrt(static_cast<double>(number)));
                made.rounds[count++] = bits(std::cbrt(static_cast<double>(number)));
            }
            return made;
        }();
        return found;
    }

    static std::uint32_t turned(std::uint32_t word, int by) { return word >> by | word << (32 - by); }

    void mix(const std::uint8_t* block) {
        const Constants& known = constants();
        std::array<std::uint32_t, 64> words{};
        for (int t = 0; t < 16; ++t) {
            const std::uint8_t* four = block + 4 * t;
            for (int byte = 0; byte < 4; ++byte) words[t] = words[t] << 8 | four[byte];
        }
        for (int t = 16; t < 64; ++t) {
            std::uint32_t early = words[t - 15], late = words[t - 2];
            words[t] = words[t - 16] + (turned(early, 7) ^ turned(early, 18) ^ early >> 3) + words[t - 7] +
                       (turned(late, 17) ^ turned(late, 19) ^ late >> 10);
        }
        // The standard's names.
        auto [a, b, c, d, e, f, g, h] = state_;
        for (int t = 0; t < 64; ++t) {
            std::uint32_t first = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) +
                                  known.rounds[t] + words[t];
            std::uint32_t second =
                (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
        }
        std::array<std::uint32_t, 8> more = {a, b, c, d, e, f, g, h};
        for (int place = 0; place < 8; ++place) state_[place] += more[place];
    }

    std::array<std::uint32_t, 8> state_ = constants().begin;
    std::array<std::uint8_t, 64> block_{};
    std::uint64_t length_ = 0;
};

/// The size and the digest of a file.
inline std::pair<std::int64_t, std::string> sha256_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Refusal("the file cannot be read: " + path);
    Sha256 sum;
    std::int64_t size = 0;
    std::string piece(1 << 20, '\0');
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
        sum.add(reinterpret_cast<const std::uint8_t*>(piece.data()), static_cast<std::size_t>(file.gcount()));
        size += file.gcount();
    }
    return {size, sum.digest()};
}

}  // namespace edgesft
