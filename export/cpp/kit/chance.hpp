// The numbers that numpy draws of a seed (`numpy.random.default_rng(seed).random()`), so that an answer by chance is the
// same in every kit: PCG64 (O'Neill 2014, "PCG", XSL RR 128/64) behind numpy's SeedSequence.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace edgesft {

/// A number of 128 bits: not every compiler for a device has one.
struct Wide {
    std::uint64_t high, low;

    friend Wide operator+(Wide one, Wide other) {
        std::uint64_t low = one.low + other.low;
        return {one.high + other.high + (low < one.low), low};
    }

    /// The lower half of the product.
    friend Wide operator*(Wide one, Wide other) {
        std::uint64_t a = one.low & 0xFFFFFFFF, b = one.low >> 32, c = other.low & 0xFFFFFFFF, d = other.low >> 32;
        std::uint64_t middle = b * c + (a * c >> 32), rest = a * d + (middle & 0xFFFFFFFF);
        std::uint64_t carried = b * d + (middle >> 32) + (rest >> 32);
        return {carried + one.high * other.low + one.low * other.high, one.low * other.low};
    }
};

/// Numbers by chance, always the same of a seed.
class Chance {
  public:
    explicit Chance(std::uint64_t seed) {
        auto [high, low, next, last] = words(seed);
        step_ = {next << 1 | last >> 63, last << 1 | 1};
        advance();
        state_ = state_ + Wide{high, low};
        advance();
    }

    /// From 0 on, below 1.
    double next() {
        advance();
        std::uint64_t mixed = state_.high ^ state_.low, turns = state_.high >> 58;
        std::uint64_t turned = mixed >> turns | mixed << (-turns & 63);
        return static_cast<double>(turned >> 11) * 0x1p-53;
    }

  private:
    static constexpr Wide MULTIPLIER = {0x2360ED051FC65DA4, 0x4385DF649FCCF645};

    void advance() { state_ = state_ * MULTIPLIER + step_; }

    /// Four numbers of a seed, as SeedSequence of numpy/random/bit_generator.pyx gives them.
    static std::array<std::uint64_t, 4> words(std::uint64_t seed) {
        constexpr std::size_t size = 4;
        constexpr std::uint32_t init_a = 0x43B0D7E5, mult_a = 0x931E8875, init_b = 0x8B51F9DD, mult_b = 0x58F38DED;
        constexpr std::uint32_t mix_left = 0xCA01F9DD, mix_right = 0x4973F715;
        std::uint32_t constant = init_a;
        auto hashed = [&](std::uint32_t value, std::uint32_t factor) {
            value ^= constant;
            constant *= factor;
            value *= constant;
            return value ^ value >> 16;
        };
        std::uint32_t entropy[size] = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), 0, 0};
        std::array<std::uint32_t, size> pool{};
        for (std::size_t place = 0; place < size; ++place) pool[place] = hashed(entropy[place], mult_a);
        for (std::size_t from = 0; from < size; ++from) {
            for (std::size_t to = 0; to < size; ++to) {
                if (from == to) continue;
                std::uint32_t both = pool[to] * mix_left - hashed(pool[from], mult_a) * mix_right;
                pool[to] = both ^ both >> 16;
            }
        }
        constant = init_b;
        std::array<std::uint64_t, 4> found{};
        for (std::size_t place = 0; place < 2 * size; ++place) {
            found[place / 2] |= static_cast<std::uint64_t>(hashed(pool[place % size], mult_b)) << 32 * (place % 2);
        }
        return found;
    }

    Wide state_{0, 0}, step_{0, 0};
};

}  // namespace edgesft
